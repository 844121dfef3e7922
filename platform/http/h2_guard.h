// How much a client may send that costs and brings nothing, before it is taken for a flood.
#pragma once

#include <algorithm>
#include <chrono>

#include "platform/base/clock.h"

namespace starling::http {

// `burst` at once, `per_second` more each second. The clock is the caller's.
class FloodBudget {
 public:
  FloodBudget(double burst, double per_second)
      : burst_(burst), per_second_(per_second), left_(burst) {}

  // False: it is used up.
  bool Take(Instant now) {
    if (now > filled_) {
      const double seconds = std::chrono::duration<double>(now - filled_).count();
      left_ = std::min(burst_, left_ + seconds * per_second_);
      filled_ = now;
    }
    left_ -= 1;
    return left_ >= 0;
  }

 private:
  const double burst_;
  const double per_second_;
  double left_;
  Instant filled_{};
};

}  // namespace starling::http

// How long to wait before the next try of something that others may be trying too: twice as long
// each time, up to a bound, and a part of it at random, so that they do not all come at once.
#pragma once

#include <algorithm>

#include "platform/base/clock.h"
#include "platform/base/id.h"

namespace starling::discovery::etcd {

class Backoff {
 public:
  Backoff(Duration first, Duration most) : first_(first), most_(most) {}
  Duration Next() {
    const Duration whole = next_ == Duration(0) ? first_ : next_;
    next_ = std::min(whole * 2, most_);
    return whole / 2 + Duration(static_cast<Duration::rep>(
                           FastRandom() % static_cast<uint64_t>(whole.count() / 2 + 1)));
  }
  void Reset() { next_ = Duration(0); }

 private:
  const Duration first_;
  const Duration most_;
  Duration next_{0};
};

}  // namespace starling::discovery::etcd

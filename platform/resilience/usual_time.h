// How long an answer may take before it is slower than usual: the smoothed mean and four mean
// deviations, as TCP chooses its time-out (Jacobson, "Congestion Avoidance and Control", 1988).
//
//   usual.Observe(took);                       // of each answer that came
//   if (given < usual.Longest()) ...           // who waited less gave up too early
//
// Follows a change within some ten answers. Not thread-safe.
#pragma once

#include <algorithm>
#include <cmath>

#include "platform/base/clock.h"

namespace starling::resilience {

class UsualTime {
 public:
  void Observe(Duration took) {
    const auto sample = static_cast<double>(took.count());
    if (mean_ < 0) {
      mean_ = sample;
      deviation_ = sample / 2;
      return;
    }
    const double error = sample - mean_;
    mean_ += error / 8;
    deviation_ += (std::abs(error) - deviation_) / 4;
  }
  // At least a millisecond above the mean; Duration::max() before the first answer.
  Duration Longest() const {
    if (mean_ < 0) return Duration::max();
    constexpr double kMillisecond = 1e6;
    return Duration(static_cast<Duration::rep>(mean_ + std::max(4 * deviation_, kMillisecond)));
  }

 private:
  double mean_ = -1;  // ns; below 0: not known
  double deviation_ = 0;
};

}  // namespace starling::resilience

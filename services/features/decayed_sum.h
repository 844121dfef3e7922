// A sum whose parts fade: each is worth its weight times 2^(-age / half life).
//
//   DecayedSum sum;
//   sum.Add(1.0, event_time, half_life);
//   double now_worth = sum.At(now, half_life);
//
// Adding costs one exponential whatever was added before, in any order of time.
#pragma once

#include "services/features/feature_definitions.h"

namespace starling::features {

class DecayedSum {
 public:
  void Add(double weight, int64_t time, int64_t half_life) {
    if (time > time_) {
      value_ *= Decay(time - time_, half_life);
      time_ = time;
      value_ += weight;
    } else {
      value_ += weight * Decay(time_ - time, half_life);
    }
  }
  // Takes back what was added. What is left of rounding is no popularity.
  void Subtract(double weight, int64_t time, int64_t half_life) {
    value_ -= weight * Decay(time_ - time, half_life);
    if (value_ < 1e-9) value_ = 0;
  }
  double At(int64_t time, int64_t half_life) const {
    return value_ == 0 ? 0 : value_ * Decay(time - time_, half_life);
  }

 private:
  double value_ = 0;  // at time_
  int64_t time_ = 0;
};

}  // namespace starling::features

// Adam: a step down a gradient, each parameter by its own rate (Kingma and Ba, "Adam: A Method for
// Stochastic Optimization", ICLR 2015, with its constants).
//
//   Adam adam(parameters.size(), 1e-3, threads);
//   adam.Apply(gradient, parameters);
//
// 8 bytes a parameter. Threads change nothing.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "learning/math/parallel.h"

namespace starling::learning {

class Adam {
 public:
  Adam(size_t size, double rate, int threads)
      : rate_(rate), threads_(threads), first_(size, 0.0F), second_(size, 0.0F) {}

  // Both of the size it was made for.
  void Apply(std::span<const float> gradient, std::span<float> parameters) {
    ++time_;
    const auto rate = static_cast<float>(rate_ * std::sqrt(1 - std::pow(kSecondDecay, time_)) /
                                         (1 - std::pow(kFirstDecay, time_)));
    ParallelFor(parameters.size(), threads_, 65'536, [&](size_t begin, size_t end) {
      constexpr auto kFirst = static_cast<float>(kFirstDecay);
      constexpr auto kSecond = static_cast<float>(kSecondDecay);
      for (size_t i = begin; i < end; ++i) {
        const float g = gradient[i];
        first_[i] = kFirst * first_[i] + (1 - kFirst) * g;
        second_[i] = kSecond * second_[i] + (1 - kSecond) * g * g;
        parameters[i] -= rate * first_[i] / (std::sqrt(second_[i]) + kLeast);
      }
    });
  }

 private:
  static constexpr double kFirstDecay = 0.9;
  static constexpr double kSecondDecay = 0.999;
  static constexpr float kLeast = 1e-8F;

  double rate_;
  int threads_;
  int time_ = 0;
  std::vector<float> first_, second_;
};

}  // namespace starling::learning

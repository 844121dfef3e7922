// What one interaction is worth to a model: how often, and how long ago.
//
//   Weighting weighting{.scale = Weighting::Scale::kBinary, .half_life = 90 * kDay};
//   float x = Weigh(weighting, /*weight=*/3, bought_at, now);      // 0.5 after 90 days
//
// x = f(weight) 2^(-max(0, now - time) / half_life), with f(w) = 1, ln(1 + w) or w. A model keeps
// the weighting it was fitted with and applies it to the history that it is asked about, so that
// the two cannot drift apart. Pure; about 5 ns.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "platform/base/status.h"

namespace starling::learning {

inline constexpr double kDay = 86'400;

struct Weighting {
  enum class Scale : uint8_t { kBinary = 0, kLogarithmic = 1, kLinear = 2 };
  Scale scale = Scale::kBinary;
  double half_life = 0;  // seconds; 0: an interaction never ages

  bool operator==(const Weighting&) const = default;
};

inline Status CheckWeighting(const Weighting& weighting) {
  if (!(weighting.half_life >= 0) || !std::isfinite(weighting.half_life)) {
    return InvalidField("weighting.half_life",
                        "{} is not a number of seconds >= 0; 0 switches ageing off",
                        weighting.half_life);
  }
  if (weighting.scale > Weighting::Scale::kLinear) {
    return InvalidField("weighting.scale", "{} is unknown; 0 is binary, 1 logarithmic, 2 linear",
                        static_cast<int>(weighting.scale));
  }
  return OkStatus();
}

// time and now: unix seconds. What lies in the future counts as now.
inline float Weigh(const Weighting& weighting, float weight, int64_t time, int64_t now) {
  float value = 1;
  if (weighting.scale == Weighting::Scale::kLogarithmic) {
    value = std::log1p(weight);
  } else if (weighting.scale == Weighting::Scale::kLinear) {
    value = weight;
  }
  if (weighting.half_life > 0) {
    const double age = std::max(0.0, static_cast<double>(now) - static_cast<double>(time));
    value *= static_cast<float>(std::exp2(-age / weighting.half_life));
  }
  return value;
}

}  // namespace starling::learning

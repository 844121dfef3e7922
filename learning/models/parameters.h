// The scalars of a model in its artifact: section "parameters", f64, in the model's own order.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "learning/artifact.h"
#include "learning/math/array.h"
#include "learning/weighting.h"

namespace starling::learning {

// A weighting takes two of them.
inline std::vector<double> WeightingParameters(const Weighting& weighting) {
  return {static_cast<double>(weighting.scale), weighting.half_life};
}

inline StatusOr<Weighting> WeightingFrom(std::span<const double> parameters) {
  if (!(parameters[0] >= 0 && parameters[0] <= 2)) {
    return DataLoss("section 'parameters' has the unknown weight scale {}", parameters[0]);
  }
  Weighting weighting{.scale = static_cast<Weighting::Scale>(static_cast<int>(parameters[0])),
                      .half_life = parameters[1]};
  STARLING_RETURN_IF_ERROR(CheckWeighting(weighting));
  return weighting;
}

}  // namespace starling::learning

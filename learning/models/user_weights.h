// How much each user counts where items are regressed on items: n_u^-exponent, n_u being what the
// row adds up to, scaled so that a regularisation means the same for any exponent (ease.h).
#pragma once

#include <vector>

#include "learning/interactions.h"

namespace starling::learning {

std::vector<float> UserWeights(const Interactions& rows, double exponent);

}  // namespace starling::learning

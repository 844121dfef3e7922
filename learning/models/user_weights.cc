#include "learning/models/user_weights.h"

#include <cmath>

namespace starling::learning {

std::vector<float> UserWeights(const Interactions& rows, double exponent) {
  std::vector<float> weights(rows.users(), 1.0F);
  if (exponent == 0) return weights;
  double sum = 0;
  size_t users = 0;
  for (size_t user = 0; user < rows.users(); ++user) {
    double of_user = 0;
    for (const float weight : rows.row(user).weights) of_user += weight;
    if (!(of_user > 0)) continue;
    weights[user] = static_cast<float>(std::pow(of_user, -exponent));
    sum += std::pow(of_user, exponent / 2);
    ++users;
  }
  const double mean = users > 0 ? sum / static_cast<double>(users) : 1;
  for (float& weight : weights) weight *= static_cast<float>(mean * mean);
  return weights;
}

}  // namespace starling::learning

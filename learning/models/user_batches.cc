#include "learning/models/user_batches.h"

#include <algorithm>
#include <cmath>

namespace starling::learning {

size_t BatchOf(const Interactions& data) { return std::clamp<size_t>(data.users() / 24, 64, 256); }

UserBatches::UserBatches(const Interactions& rows, const UserBatchOptions& options)
    : rows_(rows), dropout_(options.dropout), random_(options.seed) {
  double sum = 0;
  for (uint32_t user = 0; user < rows.users(); ++user) {
    double n = 0;
    for (const float weight : rows.row(user).weights) n += weight;
    if (!(n > 0)) continue;
    users_.push_back(user);
    weights_.push_back(static_cast<float>(std::pow(n, -options.user_exponent)));
    sum += weights_.back();
  }
  for (float& weight : weights_)
    weight *= static_cast<float>(static_cast<double>(users_.size()) / sum);
  input_.resize(std::min(options.largest, users_.size()));
  next_ = users_.size();
}

UserBatch UserBatches::Next() {
  const size_t batch = size();
  if (next_ + batch > users_.size()) {
    next_ = 0;
    for (size_t i = users_.size(); i-- > 1;) {
      const size_t other = random_.Below(i + 1);
      std::swap(users_[i], users_[other]);
      std::swap(weights_[i], weights_[other]);
    }
  }
  const auto users = std::span(users_).subspan(next_, batch);
  const auto weights = std::span(weights_).subspan(next_, batch);
  for (size_t u = 0; u < batch; ++u) Draw(rows_.row(users[u]), input_[u]);
  next_ += batch;
  return {users, weights, input_};
}

void UserBatches::Draw(Interactions::Row row, UserInput& input) {
  input.items.clear();
  input.values.clear();
  double squares = 0;
  for (const float weight : row.weights) squares += static_cast<double>(weight) * weight;
  const auto scale = static_cast<float>(1 / (std::sqrt(squares) * (1 - dropout_)));
  for (size_t i = 0; i < row.size(); ++i) {
    if (random_.Unit() <= dropout_) continue;
    input.items.push_back(row.items[i]);
    input.values.push_back(row.weights[i] * scale);
  }
}

}  // namespace starling::learning

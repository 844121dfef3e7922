// One step of fitting an autoencoder (autoencoder.h): its loss on some users, and which way down.
#pragma once

#include <span>
#include <vector>

#include "learning/interactions.h"
#include "learning/models/user_batches.h"

namespace starling::learning {

// All that is fitted, in one piece: A and B, items x factors each, then a, then b.
struct AutoencoderShape {
  size_t items = 0;
  size_t factors = 0;

  size_t Decoder() const { return items * factors; }
  size_t EncoderBias() const { return 2 * items * factors; }
  size_t DecoderBias() const { return EncoderBias() + factors; }
  size_t Size() const { return DecoderBias() + items; }
};

class AutoencoderStep {
 public:
  AutoencoderStep(AutoencoderShape shape, size_t largest_batch, int threads);

  // Sets `gradient` to that of the mean loss of the batch: what a user's row has should come out of
  // the user's input, and counts by the weight. Gives the mean loss. One at a time.
  double Loss(std::span<const float> parameters, const Interactions& rows, const UserBatch& batch,
              std::vector<float>& gradient);

 private:
  AutoencoderShape shape_;
  int threads_;
  std::vector<float> hidden_, hidden_gradient_;  // batch x factors
  std::vector<float> scores_;                    // batch x items
};

}  // namespace starling::learning

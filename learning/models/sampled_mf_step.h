// One step of fitting a factorisation by samples (sampled_mf.h): its loss on some users, and which
// way down.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "learning/interactions.h"
#include "learning/models/sampled_mf.h"
#include "learning/models/user_batches.h"

namespace starling::learning {

class SampledMfStep {
 public:
  SampledMfStep(size_t items, size_t largest_batch, const SampledMfOptions& options);

  size_t Size() const { return 2 * items_ * factors_; }  // A, then B
  // Bytes of all that it keeps, the gradient included.
  static uint64_t Memory(size_t items, size_t batch, const SampledMfOptions& options);

  // Sets `gradient` to that of the mean loss of the batch, what a user has being the user's row.
  // negatives: ascending, of which those a user has do not count for the user. draws: for BPR a
  // number for each entry of the users' rows, which says its negative. Gives the mean loss. One at
  // a time.
  double Loss(std::span<const float> parameters, const Interactions& rows, const UserBatch& batch,
              std::span<const uint32_t> negatives, std::span<const uint64_t> draws,
              std::vector<float>& gradient);

 private:
  bool Cosine() const { return options_.loss != SampledLoss::kBpr; }
  void MakeUnits(std::span<const float> table);
  void MakeUsers(std::span<const float> parameters, const UserBatch& batch);
  double OfUser(Interactions::Row row, std::span<const float> had, std::span<float> scores,
                std::span<const uint64_t> draws, std::span<float> had_gradient) const;
  void AddGradient(const Interactions& rows, const UserBatch& batch,
                   std::span<const uint32_t> negatives, std::span<float> gradient);

  const size_t items_, factors_;
  const SampledMfOptions options_;
  std::vector<float> units_, lengths_;            // B as it is scored by, and |B_j|
  std::vector<float> users_, user_lengths_;       // batch x factors, as scored by; and |u|
  std::vector<float> users_gradient_;             // batch x factors
  std::vector<float> drawn_, drawn_gradient_;     // negatives x factors
  std::vector<float> scores_;                     // batch x negatives, then their gradient
  std::vector<std::vector<float>> had_gradient_;  // of each user's entries
};

}  // namespace starling::learning

// What several models say of the items that any of them would offer: enough to try many ways of
// putting the models together without asking them again.
//
//   CandidateScores candidates = CollectCandidates(models, train, valid, users, 100, threads);
//   std::vector<double> weights = FindBlend(candidates, 20, threads);
//
// A model's scores of one user are comparable with another's once standardised:
//   z_m(u, i) = (s_m(u, i) - mean_m(u)) / deviation_m(u),  mean and deviation over all items.
// 5 models x 100 items take about 10 kB a user.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "learning/interactions.h"
#include "learning/models/model.h"

namespace starling::learning {

using Models = std::vector<std::shared_ptr<const Model>>;

struct CandidateScores {
  size_t models = 0;
  std::vector<size_t> offsets;        // users + 1
  std::vector<uint32_t> items;        // of each user's candidates
  std::vector<float> z;               // candidates x models
  std::vector<uint8_t> relevant;      // of each candidate: 0 or 1
  std::vector<uint32_t> relevants;    // of each user, candidates or not
  std::vector<uint32_t> known;        // how much each user had
  std::vector<uint32_t> item_counts;  // how many users had each item
  size_t users() const { return relevants.size(); }
};

// z of every item, for one user's row; `scores` is one vector a model, resized as needed.
void StandardScores(const Models& models, const Interactions::Row& row, int64_t now,
                    std::vector<std::vector<float>>& scores);

// The `each` best of every model, of what the user has not in `known`.
CandidateScores CollectCandidates(const Models& models, const Interactions& known,
                                  const Interactions& relevant, std::span<const uint32_t> users,
                                  size_t each, int threads);

// NDCG@k, mean over users, of ranking each user's candidates by `score` (one a candidate).
double NdcgOf(const CandidateScores& candidates, std::span<const float> score, size_t k,
              int threads);

// Weights of the models with the best NDCG@k of sum_m w_m z_m, by coordinate ascent from the best
// single model; one weight is 1.
struct Blend {
  std::vector<double> weights;
  double ndcg = 0;
};
Blend FindBlend(const CandidateScores& candidates, size_t k, int threads);

}  // namespace starling::learning

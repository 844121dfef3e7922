// Which model, with which settings, alone or blended, ranks held-out interactions best.
//
//   Selection selection = *SelectModel({.train = train, .valid = valid, .test = &test}, {.k = 20});
//   fmt::print("{}: {}", selection.chosen, selection.models[0].settings);
//
// Each family of models (families.h) is fitted to `train` and measured on `valid`: from its
// defaults one setting after the other is moved along its grid for as long as that is better by
// NDCG@k. The best of each family are then put together in two ways: a weighted sum of standardised
// scores (candidates.h), and trees over all that they say (stacking.h). What a user had is never
// ranked. At last all are fitted to train and valid together, and measured on `test`, which nothing
// was chosen by.
//
// All users are measured, or max_users drawn evenly of them while choosing; metrics are of every
// item, none sampled. Deterministic for a thread count, but for the time limit: what finds no time
// left is not tried.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/metrics.h"

namespace starling::learning {

// Borrowed; matrices of one shape. An entry of valid or test that is in train too does not count.
struct SelectionData {
  const Interactions& train;
  const Interactions& valid;
  const Interactions* test = nullptr;
};

struct SelectionOptions {
  size_t k = 20;
  // Of kSelectable; empty: all of them but sampled_mf, which is tried only when it is named.
  std::vector<std::string> models;
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;  // of one fit
  // Seconds to choose in, divided among the families. A fit that is at work when those of its
  // family are over is given up; a family's first one when all are.
  double time_limit = 1'800;
  size_t max_users = 10'000;
  std::function<double()> now;  // seconds since any beginning; empty: the steady clock's
  // Called before and after the last fit of each model: for a peak of memory.
  std::function<void()> before_fit;
  std::function<uint64_t()> after_fit;
};
inline constexpr std::string_view kSelectable[] = {
    "popularity", "item_knn",    "low_pass", "als",   "slim",
    "sampled_mf", "autoencoder", "ease",     "blend", "two_stage"};

struct SelectedModel {
  std::string name;
  std::string settings;  // "regularisation 400, dropout 0.25"
  double valid_ndcg = 0;
  RankingEvaluation test{1, 0};  // of `valid` when there is no test; with its lists
  double fit_seconds = 0;
  uint64_t peak_bytes = 0;
  std::string error;  // why there is nothing of the above
};

struct Selection {
  std::vector<SelectedModel> models;
  std::string chosen;                // by valid_ndcg; empty when nothing could be fitted
  std::vector<uint32_t> test_users;  // whose figures each model's `test` has, in its order
};

// Told how far it is and what it does; false ends it with CANCELLED.
using SelectionProgress = std::function<bool(double done, const std::string& what)>;

// INVALID_ARGUMENT names an option that is wrong, or that no user can be measured.
StatusOr<Selection> SelectModel(const SelectionData& data, const SelectionOptions& options,
                                const SelectionProgress& progress = {});

// Of each user's interactions a tenth, one at least where there are two, drawn by `seed`: for who
// has no validation set.
struct HeldOut {
  Interactions rest, held_out;
};
StatusOr<HeldOut> HoldOutTenth(const Interactions& data, uint64_t seed);
// The entries of both.
StatusOr<Interactions> Together(const Interactions& a, const Interactions& b);

}  // namespace starling::learning

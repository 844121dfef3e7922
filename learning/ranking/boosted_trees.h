// Gradient-boosted oblivious trees for a question of yes or no: how likely is the target, given
// some dozens of numbers?
//
//   STARLING_ASSIGN_OR_RETURN(BoostedTrees trees,
//                             FitBoostedTrees({.columns = columns, .rows = rows, .targets =
//                             bought}, {}));
//   trees.Score(candidates, count, scores);             // column by column, as below
//
//   P(yes | x) = 1 / (1 + exp(-s)),    s(x) = bias + sum over trees of leaf_t(i_t(x)),
//   i_t(x) = sum over levels l of 2^l [x_f(t,l) > border(t,l)]
//
// All nodes of a level ask the same question (Kohavi and Langley's oblivious trees, as CatBoost has
// them: Prokhorenkova et al. 2018, section 4), so a tree of depth 6 is six comparisons and one
// look-up, without a branch, for as many rows at once as a register holds: 100 trees for 256 rows
// take some 30 us. Splits are chosen by the second-order gain over histograms of quantised
// features (Chen and Guestrin 2016, formula 7):
//   gain = sum over leaves of GL^2 / (HL + lambda) + GR^2 / (HR + lambda) - G^2 / (H + lambda)
// and a leaf is -learning_rate G / (H + lambda).
//
// When not to use it: for few examples of either answer (some hundreds), where a model of few
// parameters says more. A value that is not a number counts as smallest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/artifact.h"
#include "learning/math/array.h"
#include "learning/math/parallel.h"

namespace starling::learning {

inline constexpr size_t kMostTreeFeatures = 256;

// Borrowed; feature f of row r is columns[f * rows + r].
struct TreeExamples {
  std::span<const float> columns;
  size_t rows = 0;
  std::span<const uint8_t> targets;  // rows, 0 or 1
};

struct BoostedTreesOptions {
  int trees = 100;
  int depth = 6;               // 1 to 8
  double learning_rate = 0.1;  // (0, 1]
  double lambda = 5;
  double feature_share = 0.6;  // of the features that each level may ask about
  double row_share = 0.5;      // of the rows that each tree is grown from
  int bins = 64;               // 2 to 255
  uint64_t seed = 1;
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;
};

class BoostedTrees {
 public:
  BoostedTrees() = default;

  // scores[r] = s of row r; columns is features() x count, feature by feature. Takes `scratch`,
  // which it resizes to count. Thread-safe.
  void Score(const float* columns, size_t count, std::vector<uint32_t>& scratch,
             float* scores) const;

  // After a fit to examples of which the noes were thinned out: log of the share that was kept.
  void AddToBias(double shift);

  size_t features() const { return features_; }
  size_t trees() const { return borders_.size() / std::max<size_t>(1, depth_); }
  // By how much each feature's questions improved the fit, as a share of all; empty when opened.
  const std::vector<double>& importance() const { return importance_; }

  // Sections trees.shape, trees.features, trees.borders, trees.leaves.
  void AddTo(ArtifactWriter& writer) const;
  // DATA_LOSS says what is wrong.
  static StatusOr<BoostedTrees> Open(const Artifact& artifact);

 private:
  friend class TreeGrower;
  size_t features_ = 0;
  size_t depth_ = 0;
  float bias_ = 0;
  Array<uint32_t> asked_;  // trees x depth: of which feature
  Array<float> borders_;   // trees x depth
  Array<float> leaves_;    // trees x 2^depth
  Array<double> shape_;    // features, depth, bias: kept for AddTo
  std::vector<double> importance_;
};

// Deterministic for a seed, whatever the threads. INVALID_ARGUMENT names the option or the example
// that is wrong, RESOURCE_EXHAUSTED what it would take above the limit (about features + 15 bytes a
// row), CANCELLED when progress says so.
StatusOr<BoostedTrees> FitBoostedTrees(const TreeExamples& examples,
                                       const BoostedTreesOptions& options,
                                       const Progress& progress = {});
// Bytes that FitBoostedTrees takes at its peak beside the examples, the trees included.
uint64_t BoostedTreesMemory(const TreeExamples& examples, const BoostedTreesOptions& options);

}  // namespace starling::learning

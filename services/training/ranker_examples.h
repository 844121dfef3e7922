// What the second stage of a recommender learns from: what it would have chosen from for each user
// at past times, and what these users then bought.
//
//   RankerExamples examples;
//   examples.Add(made_before_march, data, Goal::kPurchase, march, april);
//   StatusOr<BoostedTrees> trees = examples.Fit(config, progress);
//
// The recommender must have been made of what came before the window, so that nothing it tells was
// known only later. Of the candidates that came to nothing a fifth is kept, and the trees' bias
// says so: what they give stays a probability. 190 bytes an example, some 130 of them a user. Pure.
#pragma once

#include <vector>

#include "learning/ranking/boosted_trees.h"
#include "learning/recommender/recommender.h"
#include "services/training/dataset.h"
#include "services/training/training_config.h"

namespace starling::training {

class RankerExamples {
 public:
  // Of users who did something before `from` and reached a goal in [from, to), at most 3,000 evenly
  // drawn.
  void Add(const learning::Recommender& recommender, const Dataset& data, learning::Goal goal,
           int64_t from, int64_t to);

  size_t rows() const { return targets_.size(); }
  // Whether there is enough to learn from.
  bool Suffice() const;
  // To the first `features` of what they say; to candidates that content alone found only when its
  // features are among them. RESOURCE_EXHAUSTED when they take more than config.memory.
  StatusOr<learning::BoostedTrees> Fit(size_t features, const TrainingConfig& config,
                                       const learning::Progress& progress) const;

 private:
  std::vector<float> rows_;  // rows x kRankFeatures
  std::vector<uint8_t> targets_;
  std::vector<uint8_t> cold_;  // whether content alone found it
  size_t positives_ = 0;
};

}  // namespace starling::training

// The second stage of a blend: trees that say of each candidate how likely it is had, from what
// every model says of it, how popular it is and how much the user has.
//
//   STARLING_ASSIGN_OR_RETURN(Stacked stacked, FitStacked(candidates, {.k = 20}));
//   if (stacked.ndcg > blend.ndcg) ... = ScoreStacked(stacked.trees, candidates_of_test)
//
// Stacked generalisation (Wolpert 1992): the models never saw what the trees learn from. A user's
// figure is by trees that were fitted to the other half of the users; those that are given back are
// fitted to all.
#pragma once

#include "learning/ranking/boosted_trees.h"
#include "learning/selection/candidates.h"

namespace starling::learning {

struct StackingOptions {
  size_t k = 20;
  int threads = 1;
  size_t memory_limit = size_t{4} << 30;
};

struct Stacked {
  BoostedTrees trees;
  double ndcg = 0;  // NDCG@k of the users whom the trees did not see
};

// FAILED_PRECONDITION when fewer than 200 users have a hit among their candidates.
StatusOr<Stacked> FitStacked(const CandidateScores& candidates, const StackingOptions& options,
                             const Progress& progress = {});

// A score for each candidate.
std::vector<float> ScoreStacked(const BoostedTrees& trees, const CandidateScores& candidates,
                                int threads);

}  // namespace starling::learning

// What models are worth on what happened after a day, each trained as if it were that day.
//
//   StatusOr<Evaluation> evaluation = Evaluate(data, config, {.cut = 1'291'000'000}, watch);
//
// Nothing after the cut is seen before a model is final: what a training chooses by, it holds out
// of what came before the cut. The recommender that is measured is the one that would serve. Blocks
// for as long as the trainings take. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "services/training/trainer.h"

namespace starling::training {

struct EvaluationOptions {
  int64_t cut = 0;                    // unix seconds; 0: as a training would cut
  std::vector<Algorithm> algorithms;  // none: all of them but blend and two_stage
};

struct EvaluatedModel {
  std::string name;    // "ease"
  std::string recipe;  // what it came to: "ease+popularity"
  Metrics metrics;
  double seconds = 0;  // to choose and fit
  std::string error;   // why there is nothing of the above
};

struct Evaluation {
  int64_t cut = 0;
  Metrics users;  // "users", "all.users"
  std::vector<EvaluatedModel> models;
};

StatusOr<Evaluation> Evaluate(const Dataset& data, const TrainingConfig& config,
                              const EvaluationOptions& options, const Trainer::Watch& watch);

}  // namespace starling::training

// What models are worth on what happened after a day, each trained as if it were that day.
//
//   StatusOr<Evaluation> evaluation = Evaluate(data, config, {.cut = 1'291'000'000}, watch);
//
// Nothing after the cut is seen before a model is final: what a training chooses by, it holds out
// of what came before the cut. The recommender that is measured is the one that would serve. Blocks
// for as long as the trainings take. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "learning/metrics/beyond_accuracy.h"
#include "services/training/trainer.h"

namespace starling::training {

struct EvaluationOptions {
  int64_t cut = 0;                    // unix seconds; 0: as a training would cut
  std::vector<Algorithm> algorithms;  // none: all but blend, two_stage, sampled_mf
  // Called before and after each training: for a peak of memory.
  std::function<void()> before_fit;
  std::function<uint64_t()> after_fit;
};

struct EvaluatedModel {
  std::string name;    // "ease"
  std::string recipe;  // what it came to: "ease+popularity"
  Metrics metrics;
  std::optional<Rankings> rankings;  // what the metrics are the means of
  learning::BeyondAccuracyFigures fresh, all;
  double seconds = 0;  // to choose and fit
  uint64_t peak_bytes = 0;
  std::string error;  // why there is nothing of the above
};

struct Evaluation {
  int64_t cut = 0;
  Metrics users;               // "users", "all.users"
  size_t items = 0;            // with an interaction
  size_t before = 0;           // pairs of a user and a product before the cut
  size_t before_users = 0;     // the users of those
  size_t held_out = 0;         // pairs to be found, of those measured
  bool by_categories = false;  // what calibration is of; else of thirds by popularity
  std::vector<EvaluatedModel> models;
};

StatusOr<Evaluation> Evaluate(const Dataset& data, const TrainingConfig& config,
                              const EvaluationOptions& options, const Trainer::Watch& watch);

}  // namespace starling::training

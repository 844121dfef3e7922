// A training from data to a measured artefact: splits by time, fits every candidate on the older
// part, measures, compares with the version that serves, and fits the best on everything.
//
//   Trainer trainer(data, config, watch);
//   StatusOr<Trained> trained = trainer.Train(Algorithm::kAuto, serving);
//   if (trained->not_worse) promote;
//
//   choose   the main model by NDCG@10 of the new task; one that serves more dearly must be better
//            by a hundredth
//   blend    then how much popularity is added, by the same; and where people buy again, how much
//            their repeats count, by NDCG@10 of the task `all`
//   rank     then whether trees, as a second stage, rank better what the first one brings: they
//            learn from three windows before the cut, each of the held-out length, with main models
//            of what came before each; also with what users alike buy, and with what is described
//            alike, when that is slightly better
//   compare  with what serves, on the same interactions: its stored metrics when the data is the
//            same, itself when it never saw what is held out, else its recipe fitted to the same
//            older part
//
// Blocks for as long as it takes: a thread of its own. Pure but for the clock that its limit needs.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "services/training/holdout.h"
#include "services/training/ranker_examples.h"
#include "services/training/recipe.h"

namespace starling::training {

// The version that serves, as a training needs to know it.
struct Serving {
  std::string version;
  std::map<std::string, std::string> parameters;
  Metrics metrics;
  std::string artifact;  // its bytes; empty when they cannot be had
};

struct Trained {
  std::string artifact;
  std::string algorithm;
  std::map<std::string, std::string> parameters;
  Metrics metrics;   // empty when too little was held out to measure
  Metrics baseline;  // of popularity
  std::string compared_version;
  Metrics compared;
  bool not_worse = false;
  int64_t evaluated_after = 0;  // unix seconds; 0: not measured
};

class Trainer {
 public:
  // Told how far it is, from 0 to 1, and what it does; false ends the training with CANCELLED.
  using Watch = std::function<bool(double done, const std::string& stage)>;
  Trainer(const Dataset& data, const TrainingConfig& config, Watch watch);

  StatusOr<Trained> Train(Algorithm algorithm, const std::optional<Serving>& serving);

 private:
  struct Measured {
    Recipe recipe;
    Metrics metrics;
    std::shared_ptr<const MainModel> main;  // nullptr where it is not needed again
  };
  // `fitted`: the recipe's main model, when there is one already.
  // trees: of a ranked recipe.
  StatusOr<Measured> Try(const Recipe& recipe, std::shared_ptr<const MainModel> fitted, double from,
                         double to, const learning::BoostedTrees* trees = nullptr);
  StatusOr<Measured> Choose(Algorithm algorithm);
  Status Blend(Algorithm algorithm, Measured& best);
  Status AddSecondStage(Algorithm algorithm, Measured& best);
  Status TrySecondStage(bool must, Measured& best);
  // What the trees of a ranked recipe learn from in the windows before the cut.
  StatusOr<RankerExamples> ExamplesBeforeCut(const Recipe& recipe, double from, double to);
  StatusOr<learning::BoostedTrees> FitTrees(const Recipe& recipe, const RankerExamples& examples,
                                            const std::string& stage, double from, double to);
  // Those of the held-out window too: for what is to serve.
  StatusOr<learning::BoostedTrees> FitLastTrees(const Recipe& recipe, const MainModel& older,
                                                RankerExamples examples);
  StatusOr<Measured> TryRecipeOfServing(const Recipe& recipe);
  StatusOr<Metrics> MeasureServing(const Serving& serving);
  Status Compare(const Serving& serving, Trained& trained);
  StatusOr<std::shared_ptr<const MainModel>> Fit(const Part& part, const Recipe& recipe,
                                                 const std::string& stage, double from, double to);
  // Over the factors of what is to serve, with a graph where that was the quickest to ask; nullopt
  // where there are none, or no time.
  StatusOr<std::optional<learning::RetrievalIndex>> IndexOf(const MainModel& main);
  bool TimeLeft(double share) const;
  std::string Fingerprint() const;

  const Dataset& data_;
  const TrainingConfig config_;
  const Watch watch_;
  const Instant start_;
  Holdout holdout_;
  Part older_;
  RankerExamples examples_;  // of the chosen recipe, when it is ranked
  std::vector<Measured> tried_;
  std::optional<Measured> next_basket_;  // what it came to by itself, when it was tried
  Metrics baseline_;
};

}  // namespace starling::training

// How one recommender is made: which models, with which settings. Kept with a version, so that it
// can be made again on other data.
//
//   for (const Recipe& recipe : Candidates(Algorithm::kEase)) ...
//   StatusOr<std::string> artifact = Cook(recipe, data, part, limits, progress);
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "learning/math/parallel.h"
#include "services/training/dataset.h"
#include "services/training/training_config.h"

namespace starling::training {

enum class Algorithm { kAuto, kPopularity, kItemKnn, kEase, kAls, kRepeat, kBlend };
// INVALID_ARGUMENT names those there are; "" is auto.
StatusOr<Algorithm> ParseAlgorithm(std::string_view name);

struct Recipe {
  enum class Main { kNone, kItemKnn, kEase, kAls };
  Main main = Main::kNone;
  double half_life_days = 0;             // of the history; 0: never ages
  double popularity_half_life_days = 0;  // 0: never ages
  double shrinkage = 10;                 // item_knn
  double regularisation = 200;           // ease, als
  double unobserved_weight = 0.1;        // als
  int factors = 64;                      // als
  double popularity_weight = 0;
  double repeat_weight = 0;  // > 0: with repeat purchases

  bool operator==(const Recipe&) const = default;
  std::string Name() const;  // "ease+repeat+popularity"
  std::map<std::string, std::string> ToParameters() const;
  // nullopt for parameters that no Recipe wrote.
  static std::optional<Recipe> FromParameters(const std::map<std::string, std::string>& parameters);
};

// What to try for the main model, cheapest to serve first.
std::vector<Recipe> Candidates(Algorithm algorithm);

// Fits and writes the artefact. CANCELLED when progress says so, RESOURCE_EXHAUSTED above
// config.memory.
StatusOr<std::string> Cook(const Recipe& recipe, const Dataset& data, const Part& part,
                           const TrainingConfig& config, const learning::Progress& progress);

}  // namespace starling::training

// How one recommender is made: which models, with which settings. Kept with a version, so that it
// can be made again on other data.
//
//   for (const Recipe& recipe : Candidates(Algorithm::kEase, products)) ...
//   STARLING_ASSIGN_OR_RETURN(MainModel main, FitMain(recipe, part, config, progress));
//   StatusOr<std::string> artifact = Assemble(recipe, main, data, part, config);
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "learning/math/parallel.h"
#include "services/training/dataset.h"
#include "services/training/training_config.h"

namespace starling::training {

enum class Algorithm {
  kAuto,
  kPopularity,
  kItemKnn,
  kEase,
  kAls,
  kRepeat,
  kTransitions,
  kNextBasket,
  kSampledMf,
  kBlend,
  kTwoStage
};
// INVALID_ARGUMENT names those there are; "" is auto.
StatusOr<Algorithm> ParseAlgorithm(std::string_view name);

struct Recipe {
  enum class Main { kNone, kItemKnn, kEase, kAls, kTransitions, kNextBasket, kSampledMf };
  Main main = Main::kNone;
  double half_life_days = 0;             // of the history; 0: never ages
  double popularity_half_life_days = 0;  // 0: never ages
  double shrinkage = 10;                 // item_knn
  double regularisation = 200;           // ease, als
  double user_exponent = 0;              // ease
  double unobserved_weight = 0.1;        // als
  int factors = 64;                      // als, sampled_mf
  double popularity_weight = 0;
  double repeat_weight = 0;  // > 0: with repeat purchases
  double own_share = 0.7;    // next_basket
  bool ranked = false;       // by trees, as the second stage
  // What the trees are told beside: what users alike buy, and then what is described alike.
  enum class Told { kPlain, kAlike, kAlikeAndContent };
  Told told = Told::kPlain;

  bool operator==(const Recipe&) const = default;
  std::string Name() const;  // "ease+repeat+popularity"
  std::map<std::string, std::string> ToParameters() const;
  // nullopt for parameters that no Recipe wrote.
  static std::optional<Recipe> FromParameters(const std::map<std::string, std::string>& parameters);
};

// What to try for the main model, cheapest to serve first, for a catalogue of that size.
std::vector<Recipe> Candidates(Algorithm algorithm, size_t products);

// What a recipe's main model is once fitted: one of them, or none.
struct MainModel {
  std::optional<learning::ItemToItemModel> similar;
  std::shared_ptr<const learning::FactorModel> factors;
  std::optional<learning::NextBasketModel> next_basket;
};
// How many of the features of the second stage its trees are told.
size_t FeaturesOf(Recipe::Told told);

// The part that takes the time. CANCELLED when progress says so, RESOURCE_EXHAUSTED above
// config.memory.
StatusOr<MainModel> FitMain(const Recipe& recipe, const Part& part, const TrainingConfig& config,
                            const learning::Progress& progress);
// What serves always has it, for what goes with a product, when the catalogue was read; and has
// vectors of its products then, also without a catalogue.
enum class Content { kWhereTold, kAlways };
// Fits what is blended with it, and writes the artefact, with a graph over its factors when there
// is one. Without trees a ranked recipe's artefact
// ranks by its first stage, and describes candidates for the second.
StatusOr<std::string> Assemble(const Recipe& recipe, const MainModel& main, const Dataset& data,
                               const Part& part, const TrainingConfig& config,
                               const learning::BoostedTrees* trees = nullptr,
                               Content content = Content::kWhereTold,
                               const learning::HnswGraph* graph = nullptr);

}  // namespace starling::training

#include "services/training/recipe.h"

#include <fmt/format.h>

#include <charconv>

#include "learning/models/als.h"
#include "learning/models/content.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/item_vectors.h"
#include "learning/models/local_ease.h"
#include "learning/models/sampled_mf.h"
#include "learning/models/transitions.h"
#include "learning/recommender/second_stage.h"
#include "platform/base/nearest.h"

namespace starling::training {
namespace {

using learning::kDay;
using learning::Weighting;

constexpr std::string_view kMainNames[] = {
    "", "item_knn", "ease", "als", "transitions", "next_basket", "sampled_mf"};

// As many as are kept for serving, twice.
constexpr int kLocalNeighbours = 100;
constexpr size_t kLargeCatalogue = 20'000;
constexpr size_t kVectorDimension = 64;
constexpr learning::FrequencyOptions kFrequency;
// The part is aged before a model sees it.
constexpr Weighting kAsGiven{.scale = Weighting::Scale::kLinear, .half_life = 0};

std::string Text(double value) { return fmt::format("{}", value); }

bool Number(const std::map<std::string, std::string>& parameters, const std::string& name,
            double& value) {
  const auto at = parameters.find(name);
  if (at == parameters.end()) return false;
  const std::string& text = at->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

StatusOr<Algorithm> ParseAlgorithm(std::string_view name) {
  static const std::vector<std::string> kNames = {
      "auto",        "popularity",  "item_knn",   "ease",  "als",      "repeat",
      "transitions", "next_basket", "sampled_mf", "blend", "two_stage"};
  if (name.empty()) return Algorithm::kAuto;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Algorithm>(i);
  }
  return InvalidField("algorithm", "'{}' is unknown{}; there are {}", name,
                      DidYouMean(std::string(name), kNames),
                      fmt::format("{}", fmt::join(kNames, ", ")));
}

std::string Recipe::Name() const {
  std::string name(kMainNames[static_cast<size_t>(main)]);
  const auto add = [&](std::string_view part) {
    if (!name.empty()) name += '+';
    name += part;
  };
  if (repeat_weight > 0) add("repeat");
  if (popularity_weight > 0 || name.empty()) add("popularity");
  if (ranked) add("trees");
  if (told != Told::kPlain) add("alike");
  if (told == Told::kAlikeAndContent) add("content");
  return name;
}

std::map<std::string, std::string> Recipe::ToParameters() const {
  std::map<std::string, std::string> parameters = {
      {"main", std::string(kMainNames[static_cast<size_t>(main)])},
      {"half_life_days", Text(half_life_days)},
      {"popularity_half_life_days", Text(popularity_half_life_days)},
      {"popularity_weight", Text(popularity_weight)},
      {"repeat_weight", Text(repeat_weight)},
      {"trees", ranked ? "1" : "0"}};
  if (told != Told::kPlain) parameters["told"] = Text(static_cast<int>(told));
  if (main == Main::kNextBasket) parameters["own_share"] = Text(own_share);
  if (main == Main::kItemKnn) parameters["shrinkage"] = Text(shrinkage);
  if (main == Main::kEase || main == Main::kAls)
    parameters["regularisation"] = Text(regularisation);
  if (main == Main::kEase) parameters["user_exponent"] = Text(user_exponent);
  if (main == Main::kAls) {
    parameters["unobserved_weight"] = Text(unobserved_weight);
  }
  if (main == Main::kAls || main == Main::kSampledMf) parameters["factors"] = Text(factors);
  return parameters;
}

std::optional<Recipe> Recipe::FromParameters(const std::map<std::string, std::string>& parameters) {
  Recipe recipe;
  const auto main = parameters.find("main");
  if (main == parameters.end()) return std::nullopt;
  const auto* known = std::find(std::begin(kMainNames), std::end(kMainNames), main->second);
  if (known == std::end(kMainNames)) return std::nullopt;
  recipe.main = static_cast<Main>(known - std::begin(kMainNames));
  bool good = Number(parameters, "half_life_days", recipe.half_life_days) &&
              Number(parameters, "popularity_half_life_days", recipe.popularity_half_life_days) &&
              Number(parameters, "popularity_weight", recipe.popularity_weight) &&
              Number(parameters, "repeat_weight", recipe.repeat_weight);
  if (recipe.main == Main::kItemKnn) {
    good = good && Number(parameters, "shrinkage", recipe.shrinkage);
  } else if (recipe.main == Main::kNextBasket) {
    good = good && Number(parameters, "own_share", recipe.own_share);
  } else if (recipe.main == Main::kEase || recipe.main == Main::kAls) {
    good = good && Number(parameters, "regularisation", recipe.regularisation);
  }
  if (recipe.main == Main::kEase)
    good = good && Number(parameters, "user_exponent", recipe.user_exponent);
  if (recipe.main == Main::kAls)
    good = good && Number(parameters, "unobserved_weight", recipe.unobserved_weight);
  if (recipe.main == Main::kAls || recipe.main == Main::kSampledMf) {
    double factors = 0;
    good = good && Number(parameters, "factors", factors);
    recipe.factors = static_cast<int>(factors);
  }
  double ranked = 0;
  good = good && Number(parameters, "trees", ranked);
  recipe.ranked = ranked > 0;
  double told = 0;  // older versions do not say it
  if (parameters.contains("told")) good = good && Number(parameters, "told", told);
  recipe.told = told >= 2 ? Told::kAlikeAndContent : told >= 1 ? Told::kAlike : Told::kPlain;
  if (!good) return std::nullopt;
  return recipe;
}

std::vector<Recipe> Candidates(Algorithm algorithm, size_t products) {
  using Main = Recipe::Main;
  std::vector<Recipe> recipes;
  const bool any = algorithm == Algorithm::kAuto || algorithm == Algorithm::kTwoStage;
  const bool mixed = any || algorithm == Algorithm::kBlend;
  if (any || algorithm == Algorithm::kPopularity || algorithm == Algorithm::kRepeat) {
    recipes.push_back({});
  }
  if (mixed || algorithm == Algorithm::kItemKnn) {
    recipes.push_back({.main = Main::kItemKnn});
    recipes.push_back({.main = Main::kItemKnn, .half_life_days = 60});
  }
  if (any || algorithm == Algorithm::kTransitions) {
    recipes.push_back({.main = Main::kTransitions, .half_life_days = 14});
  }
  if (algorithm == Algorithm::kTransitions)
    recipes.push_back({.main = Main::kTransitions, .half_life_days = 60});
  // Aged data weighs less, so it wants less regularisation.
  if (mixed || algorithm == Algorithm::kEase) {
    recipes.push_back({.main = Main::kEase, .regularisation = 300});
    recipes.push_back({.main = Main::kEase, .half_life_days = 180, .regularisation = 150});
    recipes.push_back({.main = Main::kEase, .half_life_days = 60, .regularisation = 100});
    recipes.push_back({.main = Main::kEase, .regularisation = 150, .user_exponent = 0.5});
    recipes.push_back(
        {.main = Main::kEase, .half_life_days = 60, .regularisation = 50, .user_exponent = 0.5});
  }
  if (any || algorithm == Algorithm::kNextBasket) recipes.push_back({.main = Main::kNextBasket});
  if (mixed || algorithm == Algorithm::kAls) {
    // It is multiplied by the size of the catalogue (als.h).
    const double regularisation = products > kLargeCatalogue ? 0.0005 : 0.003;
    recipes.push_back({.main = Main::kAls, .regularisation = regularisation});
    recipes.push_back({.main = Main::kAls, .half_life_days = 60, .regularisation = regularisation});
  }
  // Never better than als where it was tried (docs/models.md), so it is for who names it.
  if (algorithm == Algorithm::kSampledMf) {
    recipes.push_back({.main = Main::kSampledMf});
    recipes.push_back({.main = Main::kSampledMf, .half_life_days = 60});
  }
  return recipes;
}

StatusOr<MainModel> FitMain(const Recipe& recipe, const Part& part, const TrainingConfig& config,
                            const learning::Progress& progress) {
  MainModel main;
  const learning::Interactions aged = part.strengths.Weighed(
      {.scale = Weighting::Scale::kLinear, .half_life = recipe.half_life_days * kDay}, part.until);
  const size_t memory = config.memory.count();
  switch (recipe.main) {
    case Recipe::Main::kNone:
      STARLING_RETURN_IF_ERROR(learning::ReportProgress(progress, 0));
      break;
    case Recipe::Main::kItemKnn: {
      STARLING_ASSIGN_OR_RETURN(main.similar, learning::FitItemKnn(aged,
                                                                   {.weighting = kAsGiven,
                                                                    .shrinkage = recipe.shrinkage,
                                                                    .threads = config.threads,
                                                                    .memory_limit = memory},
                                                                   progress));
      break;
    }
    case Recipe::Main::kTransitions: {
      STARLING_ASSIGN_OR_RETURN(main.similar,
                                learning::FitTransitions(part.baskets,
                                                         {.half_life = recipe.half_life_days * kDay,
                                                          .threads = config.threads,
                                                          .memory_limit = memory},
                                                         progress));
      break;
    }
    case Recipe::Main::kNextBasket: {
      STARLING_ASSIGN_OR_RETURN(
          main.next_basket,
          learning::FitNextBasket(
              part.baskets,
              {.frequency = kFrequency, .own_share = recipe.own_share, .memory_limit = memory},
              progress));
      break;
    }
    case Recipe::Main::kEase: {
      if (aged.items() > learning::kLocalEaseFrom) {
        STARLING_ASSIGN_OR_RETURN(main.similar,
                                  learning::FitLocalEase(aged,
                                                         {.weighting = kAsGiven,
                                                          .regularisation = recipe.regularisation,
                                                          .user_exponent = recipe.user_exponent,
                                                          .neighbours = kLocalNeighbours,
                                                          .threads = config.threads,
                                                          .memory_limit = memory},
                                                         progress));
        break;
      }
      STARLING_ASSIGN_OR_RETURN(main.similar,
                                learning::FitEase(aged,
                                                  {.weighting = kAsGiven,
                                                   .regularisation = recipe.regularisation,
                                                   .user_exponent = recipe.user_exponent,
                                                   .threads = config.threads,
                                                   .memory_limit = memory},
                                                  progress));
      break;
    }
    case Recipe::Main::kAls: {
      STARLING_ASSIGN_OR_RETURN(learning::AlsModel als,
                                learning::FitAls(aged,
                                                 {.weighting = kAsGiven,
                                                  .factors = recipe.factors,
                                                  .unobserved_weight = recipe.unobserved_weight,
                                                  .regularisation = recipe.regularisation,
                                                  .threads = config.threads,
                                                  .memory_limit = memory},
                                                 progress));
      main.factors = std::make_shared<const learning::AlsModel>(std::move(als));
      break;
    }
    case Recipe::Main::kSampledMf: {
      STARLING_ASSIGN_OR_RETURN(learning::SampledMfModel sampled,
                                learning::FitSampledMf(aged,
                                                       {.weighting = kAsGiven,
                                                        .factors = recipe.factors,
                                                        .threads = config.threads,
                                                        .memory_limit = memory},
                                                       progress));
      main.factors = std::make_shared<const learning::SampledMfModel>(std::move(sampled));
      break;
    }
  }
  return main;
}

size_t FeaturesOf(Recipe::Told told) {
  switch (told) {
    case Recipe::Told::kPlain:
      return learning::kFirstOfNextBasket;
    case Recipe::Told::kAlike:
      return learning::kFirstOfContent;
    case Recipe::Told::kAlikeAndContent:
      break;
  }
  return learning::kRankFeatures;
}

namespace {

// None without a catalogue, or where it takes too much memory: everything else goes on without.
StatusOr<std::optional<learning::ItemToItemModel>> FitContentOf(const Dataset& data,
                                                                const Part& part,
                                                                const TrainingConfig& config) {
  std::optional<learning::ItemToItemModel> content;
  if (data.terms.empty()) return content;
  std::vector<uint32_t> buyers = part.strengths.ItemCounts();
  buyers.resize(data.items.size(), 0);
  auto fitted = learning::FitContent(
      data.terms, buyers, {.threads = config.threads, .memory_limit = config.memory.count()});
  if (fitted.status().code() == StatusCode::kResourceExhausted) return content;
  if (!fitted.ok()) return fitted.status();
  content = *std::move(fitted);
  return content;
}

// None where they take too much memory: everything else goes on without.
StatusOr<std::vector<float>> FitVectorsOf(const Part& part, const TrainingConfig& config) {
  auto fitted = learning::FitItemVectors(
      part.strengths, {.dimension = kVectorDimension, .memory_limit = config.memory.count()});
  if (fitted.status().code() == StatusCode::kResourceExhausted) return std::vector<float>();
  return fitted;
}

}  // namespace

StatusOr<std::string> Assemble(const Recipe& recipe, const MainModel& main, const Dataset& data,
                               const Part& part, const TrainingConfig& config,
                               const learning::BoostedTrees* trees, Content when,
                               const learning::HnswGraph* graph) {
  const bool alike = recipe.told != Recipe::Told::kPlain;
  std::optional<learning::NextBasketModel> of_alike;
  if (alike && !main.next_basket.has_value()) {
    STARLING_ASSIGN_OR_RETURN(
        of_alike, learning::FitNextBasket(part.baskets, {.frequency = kFrequency,
                                                         .memory_limit = config.memory.count()}));
  }
  const learning::NextBasketModel* next_basket = main.next_basket ? &*main.next_basket
                                                 : of_alike       ? &*of_alike
                                                                  : nullptr;
  const learning::UserHistory history =
      HistoryOf(part, recipe.half_life_days * kDay, next_basket != nullptr ? &kFrequency : nullptr);
  STARLING_ASSIGN_OR_RETURN(
      const learning::PopularityModel popularity,
      learning::FitPopularity(part.strengths,
                              {.weighting = {.scale = Weighting::Scale::kLinear,
                                             .half_life = recipe.popularity_half_life_days * kDay},
                               .as_of = part.until}));
  std::optional<learning::RepeatModel> repeat;
  if (recipe.repeat_weight > 0) {
    STARLING_ASSIGN_OR_RETURN(repeat, learning::FitRepeat(part.goals, {}));
  }
  learning::RecommenderSettings settings{.until = part.until,
                                         .goal = part.goal,
                                         .half_life = recipe.half_life_days * kDay,
                                         .repeat_half_life = kRepeatHalfLife,
                                         .popularity_weight = recipe.popularity_weight,
                                         .repeat_weight = recipe.repeat_weight,
                                         .history_cap = static_cast<size_t>(config.history),
                                         .strength = config.weights.ByKind()};
  std::optional<learning::ItemToItemModel> content;
  if (when == Content::kAlways || recipe.told == Recipe::Told::kAlikeAndContent) {
    STARLING_ASSIGN_OR_RETURN(content, FitContentOf(data, part, config));
  }
  std::vector<float> vectors;
  if (when == Content::kAlways) {
    STARLING_ASSIGN_OR_RETURN(vectors, FitVectorsOf(part, config));
  }
  std::vector<float> facts;
  if (recipe.ranked) facts = ItemFactsOf(data, part.until, part.goal);
  return learning::WriteRecommender(
      {.items = data.items,
       .users = data.users,
       .history = history,
       .settings = settings,
       .algorithm = recipe.Name(),
       .popularity = popularity,
       .similar = main.similar ? &*main.similar : nullptr,
       .factors = main.factors.get(),
       .graph = graph,
       .repeat = repeat ? &*repeat : nullptr,
       .next_basket = next_basket,
       .content = content ? &*content : nullptr,
       .vectors = vectors,
       .vector_dimension = kVectorDimension,
       .item_facts = facts,
       .attributes = data.attributes.empty() ? nullptr : &data.attributes,
       .trees = trees,
       .neighbours = static_cast<size_t>(config.neighbours)});
}

}  // namespace starling::training

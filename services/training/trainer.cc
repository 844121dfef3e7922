#include "services/training/trainer.h"

#include <algorithm>

namespace starling::training {
namespace {

// Where in a training each step ends.
constexpr double kChosen = 0.45;
constexpr double kBlended = 0.5;
constexpr double kRanked = 0.7;
constexpr double kCompared = 0.75;
constexpr double kFitted = 0.95;

// How much better one must be that serves more dearly, and how much a blend that says more.
constexpr double kClearly = 1.01;
// And trees that are told more.
constexpr double kSlightly = 1.003;

// Windows before the held-out one that the trees learn from.
constexpr int64_t kWindows = 3;

constexpr double kPopularityWeights[] = {0.05, 0.15, 0.4};
constexpr double kRepeatWeights[] = {0.5, 1, 2, 4, 8, 16};

double At(const Metrics& metrics, const char* name) {
  const auto at = metrics.find(name);
  return at == metrics.end() ? 0 : at->second;
}

}  // namespace

Trainer::Trainer(const Dataset& data, const TrainingConfig& config, Watch watch)
    : data_(data),
      config_(config),
      watch_(std::move(watch)),
      start_(std::chrono::steady_clock::now()),
      holdout_(MakeHoldout(data, {.share = config.holdout,
                                  .longest = config.holdout_limit / std::chrono::seconds(1)})) {}

bool Trainer::TimeLeft(double share) const {
  const Duration spent = std::chrono::steady_clock::now() - start_;
  return static_cast<double>(spent.count()) <
         share * static_cast<double>(config_.time_limit.count());
}

std::string Trainer::Fingerprint() const {
  return fmt::format("{:016x}-{}-{:g}", data_.fingerprint, holdout_.cut, config_.holdout);
}

StatusOr<std::shared_ptr<const MainModel>> Trainer::Fit(const Part& part, const Recipe& recipe,
                                                        const std::string& stage, double from,
                                                        double to) {
  bool late = false;
  StatusOr<MainModel> main = FitMain(recipe, part, config_, [&](double done) {
    late = !TimeLeft(1);
    return !late && watch_(from + done * (to - from), stage);
  });
  if (late) {
    return DeadlineExceeded("fitting {} went beyond training.time_limit, {}; raise it",
                            recipe.Name(), FormatDuration(config_.time_limit));
  }
  if (!main.ok()) return main.status();
  return std::make_shared<const MainModel>(*std::move(main));
}

StatusOr<Trainer::Measured> Trainer::Try(const Recipe& recipe,
                                         std::shared_ptr<const MainModel> fitted, double from,
                                         double to, const learning::BoostedTrees* trees) {
  const std::string stage = "measuring " + recipe.Name();
  const double half = from + 0.8 * (to - from);
  if (fitted == nullptr) {
    STARLING_ASSIGN_OR_RETURN(fitted, Fit(older_, recipe, stage, from, half));
  }
  if (!watch_(half, stage)) return Cancelled("the training was cancelled");
  STARLING_ASSIGN_OR_RETURN(const std::string artifact,
                            Assemble(recipe, *fitted, data_, older_, config_, trees));
  STARLING_ASSIGN_OR_RETURN(
      const learning::Recommender recommender,
      learning::Recommender::Open(std::as_bytes(std::span(artifact)), nullptr));
  Measured measured{recipe,
                    Measure(recommender, data_, holdout_, [&] { return watch_(half, stage); }),
                    std::move(fitted)};
  if (measured.metrics.empty()) return Cancelled("the training was cancelled");
  tried_.push_back({measured.recipe, measured.metrics, nullptr});
  return measured;
}

StatusOr<Trainer::Measured> Trainer::Choose(Algorithm algorithm) {
  // What sells lately, or ever: the better of the two is what every model must beat.
  STARLING_ASSIGN_OR_RETURN(Measured popular, Try({}, nullptr, 0, 0.02));
  STARLING_ASSIGN_OR_RETURN(const Measured lately,
                            Try({.popularity_half_life_days = 30}, nullptr, 0.02, 0.04));
  if (At(lately.metrics, kNdcg) > At(popular.metrics, kNdcg)) popular = lately;
  baseline_ = popular.metrics;

  std::optional<Measured> best;
  const std::vector<Recipe> candidates = Candidates(algorithm, data_.acted_on);
  for (size_t i = 0; i < candidates.size(); ++i) {
    Recipe recipe = candidates[i];
    recipe.popularity_half_life_days = popular.recipe.popularity_half_life_days;
    if (best.has_value() && !TimeLeft(0.5)) break;
    const double step = (kChosen - 0.04) / static_cast<double>(candidates.size());
    const StatusOr<Measured> tried = Try(recipe, nullptr, 0.04 + step * static_cast<double>(i),
                                         0.04 + step * static_cast<double>(i + 1));
    const bool too_large = tried.status().code() == StatusCode::kResourceExhausted ||
                           tried.status().code() == StatusCode::kDeadlineExceeded;
    if (too_large && (best.has_value() || i + 1 < candidates.size())) continue;
    if (!tried.ok()) return tried.status();
    if (recipe.main == Recipe::Main::kNextBasket) next_basket_ = *tried;
    const bool dearer = best.has_value() && best->recipe.main != recipe.main;
    if (!best.has_value() ||
        At(tried->metrics, kNdcg) > At(best->metrics, kNdcg) * (dearer ? kClearly : 1)) {
      best = *tried;
    }
  }
  return *best;
}

Status Trainer::Blend(Algorithm algorithm, Measured& best) {
  const bool blends = algorithm == Algorithm::kBlend;
  // Takes `recipe` when it is clearly better by `metric`; whatever it is when `must`.
  const auto consider = [&](const Recipe& recipe, const char* metric, bool& must,
                            Measured& into) -> Status {
    STARLING_ASSIGN_OR_RETURN(const Measured tried, Try(recipe, best.main, kChosen, kBlended));
    if (must || At(tried.metrics, metric) > At(into.metrics, metric) * kClearly) into = tried;
    must = false;
    return OkStatus();
  };
  const bool any = algorithm == Algorithm::kAuto || algorithm == Algorithm::kTwoStage;
  if ((blends || any) && best.recipe.main != Recipe::Main::kNone) {
    bool must = blends;
    Measured mixed = best;
    for (const double weight : kPopularityWeights) {
      Recipe recipe = best.recipe;
      recipe.popularity_weight = weight;
      STARLING_RETURN_IF_ERROR(consider(recipe, kNdcg, must, mixed));
    }
    best = mixed;
  }
  if (algorithm == Algorithm::kRepeat || blends || (any && holdout_.Repeats())) {
    bool must = !any;
    Measured mixed = best;
    for (const double weight : kRepeatWeights) {
      Recipe recipe = best.recipe;
      recipe.repeat_weight = weight;
      STARLING_RETURN_IF_ERROR(consider(recipe, kAllNdcg, must, mixed));
    }
    best = mixed;
  }
  return OkStatus();
}

StatusOr<RankerExamples> Trainer::ExamplesBeforeCut(const Recipe& recipe, double from, double to) {
  RankerExamples examples;
  const int64_t length = data_.newest - holdout_.cut + 1;
  for (int64_t window = kWindows; window > 0; --window) {
    const int64_t begin = holdout_.cut - window * length;
    if (begin <= data_.oldest + length) continue;  // too little came before it
    const auto done = static_cast<double>(kWindows - window) / kWindows;
    STARLING_ASSIGN_OR_RETURN(const Part part, MakePart(data_, begin - 1, holdout_.goal));
    STARLING_ASSIGN_OR_RETURN(const std::shared_ptr<const MainModel> main,
                              Fit(part, recipe, "looking back", from + done * (to - from),
                                  from + (done + 1.0 / kWindows) * (to - from)));
    STARLING_ASSIGN_OR_RETURN(const std::string artifact,
                              Assemble(recipe, *main, data_, part, config_));
    STARLING_ASSIGN_OR_RETURN(
        const learning::Recommender recommender,
        learning::Recommender::Open(std::as_bytes(std::span(artifact)), nullptr));
    examples.Add(recommender, data_, holdout_.goal, begin, begin + length);
  }
  return examples;
}

StatusOr<learning::BoostedTrees> Trainer::FitTrees(const Recipe& recipe,
                                                   const RankerExamples& examples,
                                                   const std::string& stage, double from,
                                                   double to) {
  bool late = false;
  auto trees = examples.Fit(FeaturesOf(recipe.told), config_, [&](double done) {
    late = !TimeLeft(1);
    return !late && watch_(from + done * (to - from), stage);
  });
  if (late) {
    return DeadlineExceeded("{} went beyond training.time_limit, {}; raise it", stage,
                            FormatDuration(config_.time_limit));
  }
  return trees;
}

StatusOr<learning::BoostedTrees> Trainer::FitLastTrees(const Recipe& recipe, const MainModel& older,
                                                       RankerExamples examples) {
  STARLING_ASSIGN_OR_RETURN(const std::string artifact,
                            Assemble(recipe, older, data_, older_, config_));
  STARLING_ASSIGN_OR_RETURN(
      const learning::Recommender recommender,
      learning::Recommender::Open(std::as_bytes(std::span(artifact)), nullptr));
  examples.Add(recommender, data_, holdout_.goal, holdout_.cut, data_.newest + 1);
  return FitTrees(recipe, examples, "fitting trees", kCompared, 0.8);
}

// What finds neither time nor memory is left out, unless it was asked for by name.
Status Trainer::AddSecondStage(Algorithm algorithm, Measured& best) {
  const bool must = algorithm == Algorithm::kTwoStage;
  if (!must && (algorithm != Algorithm::kAuto || !TimeLeft(0.5))) return OkStatus();
  const Status added = TrySecondStage(must, best);
  const bool too_large = added.code() == StatusCode::kResourceExhausted ||
                         added.code() == StatusCode::kDeadlineExceeded;
  return too_large && !must ? OkStatus() : added;
}

Status Trainer::TrySecondStage(bool must, Measured& best) {
  using Told = Recipe::Told;
  Recipe recipe = best.recipe;
  recipe.ranked = true;
  const bool described = !data_.terms.empty();
  // All that trees may be told, once; then as much of it as helps.
  recipe.told = described ? Told::kAlikeAndContent : Told::kAlike;
  const double middle = (kBlended + kRanked) / 2;
  StatusOr<RankerExamples> examples = ExamplesBeforeCut(recipe, kBlended, middle);
  if (!examples.ok()) return examples.status();
  if (!examples->Suffice()) return OkStatus();
  double needed = must ? -1 : At(best.metrics, kQuality) * kClearly;
  const std::shared_ptr<const MainModel> main = best.main;
  for (const Told told : {Told::kPlain, Told::kAlike, Told::kAlikeAndContent}) {
    if (told == Told::kAlikeAndContent && !described) break;
    if (told != Told::kPlain && !TimeLeft(0.5)) break;
    recipe.told = told;
    STARLING_ASSIGN_OR_RETURN(const learning::BoostedTrees trees,
                              FitTrees(recipe, *examples, "fitting trees", middle, kRanked));
    STARLING_ASSIGN_OR_RETURN(const Measured ranked, Try(recipe, main, kRanked, kRanked, &trees));
    if (!(At(ranked.metrics, kQuality) > needed)) continue;
    best = ranked;
    needed = At(best.metrics, kQuality) * kSlightly;
  }
  if (best.recipe.ranked) examples_ = *std::move(examples);
  return OkStatus();
}

StatusOr<Trainer::Measured> Trainer::TryRecipeOfServing(const Recipe& recipe) {
  if (!recipe.ranked) return Try(recipe, nullptr, kRanked, kCompared);
  STARLING_ASSIGN_OR_RETURN(const RankerExamples examples,
                            ExamplesBeforeCut(recipe, kRanked, kCompared));
  if (!examples.Suffice()) return Try(recipe, nullptr, kRanked, kCompared);
  STARLING_ASSIGN_OR_RETURN(const learning::BoostedTrees trees,
                            FitTrees(recipe, examples, "comparing", kRanked, kCompared));
  return Try(recipe, nullptr, kRanked, kCompared, &trees);
}

// Empty when it cannot be measured.
StatusOr<Metrics> Trainer::MeasureServing(const Serving& serving) {
  const auto fingerprint = serving.parameters.find("data");
  if (fingerprint != serving.parameters.end() && fingerprint->second == Fingerprint() &&
      !serving.metrics.empty()) {
    return serving.metrics;
  }
  const auto opened =
      learning::Recommender::Open(std::as_bytes(std::span(serving.artifact)), nullptr);
  if (opened.ok() && opened->settings().until < holdout_.cut) {
    Metrics metrics =
        Measure(*opened, data_, holdout_, [&] { return watch_(kRanked, "comparing"); });
    if (metrics.empty()) return Cancelled("the training was cancelled");
    return metrics;
  }
  const auto recipe = Recipe::FromParameters(serving.parameters);
  if (!recipe.has_value()) return Metrics();
  for (const Measured& tried : tried_) {
    if (tried.recipe == *recipe) return tried.metrics;
  }
  const StatusOr<Measured> again = TryRecipeOfServing(*recipe);
  if (again.status().code() == StatusCode::kCancelled) return again.status();
  return again.ok() ? again->metrics : Metrics();
}

Status Trainer::Compare(const Serving& serving, Trained& trained) {
  STARLING_ASSIGN_OR_RETURN(trained.compared, MeasureServing(serving));
  trained.not_worse = false;
  if (trained.compared.empty()) return OkStatus();
  trained.compared_version = serving.version;
  trained.not_worse =
      At(trained.metrics, kQuality) >= At(trained.compared, kQuality) * (1 - config_.tolerance);
  return OkStatus();
}

StatusOr<std::optional<learning::RetrievalIndex>> Trainer::IndexOf(const MainModel& main) {
  std::optional<learning::RetrievalIndex> none;
  const learning::RetrievalOptions options{.memory_limit = config_.memory.count()};
  if (main.factors == nullptr || main.factors->items() < options.graph_from) return none;
  const auto seconds = [] {
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double>(time).count();
  };
  bool late = false;
  auto index = learning::RetrievalIndex::Make(
      {main.factors->factors(), main.factors->dimension()}, seconds, options, [&](double done) {
        late = !TimeLeft(1);
        return !late && watch_(kFitted + done * (1 - kFitted), "linking products");
      });
  if (late) return none;
  if (!index.ok()) return index.status();
  return std::optional(*std::move(index));
}

StatusOr<Trained> Trainer::Train(Algorithm algorithm, const std::optional<Serving>& serving) {
  Trained trained;
  Recipe recipe;
  std::optional<learning::BoostedTrees> trees;
  if (holdout_.Measures()) {
    STARLING_ASSIGN_OR_RETURN(older_, MakePart(data_, holdout_.cut - 1, holdout_.goal));
    STARLING_ASSIGN_OR_RETURN(Measured best, Choose(algorithm));
    STARLING_RETURN_IF_ERROR(Blend(algorithm, best));
    STARLING_RETURN_IF_ERROR(AddSecondStage(algorithm, best));
    // By both tasks it may be the best by itself, where it is not by new products.
    if (algorithm == Algorithm::kAuto && holdout_.Repeats() && next_basket_.has_value() &&
        At(next_basket_->metrics, kQuality) > At(best.metrics, kQuality) * kClearly) {
      best = *next_basket_;
    }
    recipe = best.recipe;
    trained.metrics = best.metrics;
    trained.baseline = baseline_;
    trained.evaluated_after = holdout_.cut - 1;
    trained.not_worse = !serving.has_value();
    if (serving.has_value()) STARLING_RETURN_IF_ERROR(Compare(*serving, trained));
    if (recipe.ranked) {
      STARLING_ASSIGN_OR_RETURN(trees, FitLastTrees(recipe, *best.main, std::move(examples_)));
    }
  } else {
    // Nothing can be measured, so nothing is chosen: similarity is safe with little data.
    const bool any = algorithm == Algorithm::kAuto || algorithm == Algorithm::kTwoStage;
    recipe = Candidates(any ? Algorithm::kItemKnn : algorithm, data_.acted_on).front();
    if (algorithm == Algorithm::kRepeat) recipe.repeat_weight = 1;
    trained.not_worse = !serving.has_value();
  }
  older_ = Part();
  STARLING_ASSIGN_OR_RETURN(const Part everything, MakePart(data_, data_.newest, holdout_.goal));
  STARLING_ASSIGN_OR_RETURN(const std::shared_ptr<const MainModel> main,
                            Fit(everything, recipe, "fitting " + recipe.Name(), 0.8, kFitted));
  STARLING_ASSIGN_OR_RETURN(const auto index, IndexOf(*main));
  STARLING_ASSIGN_OR_RETURN(trained.artifact, Assemble(recipe, *main, data_, everything, config_,
                                                       trees ? &*trees : nullptr, Content::kAlways,
                                                       index ? index->graph() : nullptr));
  trained.algorithm = recipe.Name();
  trained.parameters = recipe.ToParameters();
  trained.parameters["data"] = Fingerprint();
  return trained;
}

}  // namespace starling::training

#include "services/training/evaluation.h"

namespace starling::training {
namespace {

constexpr std::pair<Algorithm, const char*> kAll[] = {{Algorithm::kPopularity, "popularity"},
                                                      {Algorithm::kItemKnn, "item_knn"},
                                                      {Algorithm::kEase, "ease"},
                                                      {Algorithm::kAls, "als"},
                                                      {Algorithm::kRepeat, "repeat"},
                                                      {Algorithm::kBlend, "blend"},
                                                      {Algorithm::kTwoStage, "two_stage"},
                                                      {Algorithm::kAuto, "auto"}};
static_assert(std::size(kAll) == static_cast<size_t>(Algorithm::kTwoStage) + 1, "all of them");

}  // namespace

StatusOr<Evaluation> Evaluate(const Dataset& data, const TrainingConfig& config,
                              const EvaluationOptions& options, const Trainer::Watch& watch) {
  const Holdout holdout =
      MakeHoldout(data, {.share = config.holdout,
                         .longest = config.holdout_limit / std::chrono::seconds(1),
                         .cut = options.cut});
  if (!holdout.Measures()) {
    return FailedPrecondition(
        "too few users did something both before and after {} to measure by; cut at another day",
        FormatRfc3339(TimePoint(std::chrono::seconds(holdout.cut))));
  }
  STARLING_ASSIGN_OR_RETURN(const Dataset before, Before(data, holdout.cut));
  Evaluation evaluation{.cut = holdout.cut};
  std::vector<std::pair<Algorithm, const char*>> wanted;
  for (const auto& entry : kAll) {
    // What blend and two_stage would come to, auto does where it is better.
    const bool in_auto = entry.first == Algorithm::kBlend || entry.first == Algorithm::kTwoStage;
    if (options.algorithms.empty() ? !in_auto
                                   : std::find(options.algorithms.begin(), options.algorithms.end(),
                                               entry.first) != options.algorithms.end()) {
      wanted.push_back(entry);
    }
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto& [algorithm, name] = wanted[i];
    const auto step = [&](double done, const std::string& stage) {
      return watch((static_cast<double>(i) + done) / static_cast<double>(wanted.size()),
                   fmt::format("{}: {}", name, stage));
    };
    const Instant start = std::chrono::steady_clock::now();
    EvaluatedModel& model = evaluation.models.emplace_back();
    model.name = name;
    const StatusOr<Trained> trained = Trainer(before, config, step).Train(algorithm, std::nullopt);
    if (trained.status().code() == StatusCode::kCancelled) return trained.status();
    if (!trained.ok()) {
      model.error = std::string(trained.status().message());
      continue;
    }
    model.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    model.recipe = trained->algorithm;
    STARLING_ASSIGN_OR_RETURN(
        const learning::Recommender recommender,
        learning::Recommender::Open(std::as_bytes(std::span(trained->artifact)), nullptr));
    model.metrics = Measure(recommender, data, holdout, [&] { return step(1, "measuring"); });
    if (model.metrics.empty()) return Cancelled("the evaluation was cancelled");
    evaluation.users = {{"users", model.metrics["users"]},
                        {"all.users", model.metrics["all.users"]}};
  }
  return evaluation;
}

}  // namespace starling::training

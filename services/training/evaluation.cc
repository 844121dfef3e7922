#include "services/training/evaluation.h"

namespace starling::training {
namespace {

constexpr std::pair<Algorithm, const char*> kAll[] = {{Algorithm::kPopularity, "popularity"},
                                                      {Algorithm::kItemKnn, "item_knn"},
                                                      {Algorithm::kEase, "ease"},
                                                      {Algorithm::kAls, "als"},
                                                      {Algorithm::kRepeat, "repeat"},
                                                      {Algorithm::kTransitions, "transitions"},
                                                      {Algorithm::kNextBasket, "next_basket"},
                                                      {Algorithm::kSampledMf, "sampled_mf"},
                                                      {Algorithm::kBlend, "blend"},
                                                      {Algorithm::kTwoStage, "two_stage"},
                                                      {Algorithm::kAuto, "auto"}};
static_assert(std::size(kAll) == static_cast<size_t>(Algorithm::kTwoStage) + 1, "all of them");

// Who had what before the cut, whatever the event was.
StatusOr<learning::Interactions> KnownAt(const Dataset& data, int64_t cut) {
  std::vector<learning::Interaction> known;
  for (const Event& event : data.events) {
    if (event.time < cut) known.push_back({event.user, event.item});
  }
  return learning::MakeInteractions(known, data.users.size(), data.items.size());
}

// The widest category of each item, numbered anew; empty where no item has one.
std::vector<uint32_t> CategoriesOf(const Dataset& data) {
  using learning::ItemAttributes;
  std::unordered_map<uint32_t, uint32_t> numbers = {{0, 0}};  // 0: none
  std::vector<uint32_t> categories;
  for (size_t item = 0; item < data.attributes.items(); ++item) {
    const uint32_t group =
        data.attributes.groups()[item * ItemAttributes::kKinds + ItemAttributes::kWidest];
    const auto next = static_cast<uint32_t>(numbers.size());
    categories.push_back(numbers.try_emplace(group, next).first->second);
  }
  return numbers.size() > 1 ? categories : std::vector<uint32_t>();
}

}  // namespace

StatusOr<Evaluation> Evaluate(const Dataset& data, const TrainingConfig& config,
                              const EvaluationOptions& options, const Trainer::Watch& watch) {
  const Holdout holdout =
      MakeHoldout(data, {.share = config.holdout,
                         .longest = config.holdout_limit / std::chrono::seconds(1),
                         .cut = options.cut,
                         .most_users = data.users.size()});
  if (!holdout.Measures()) {
    return FailedPrecondition(
        "too few users did something both before and after {} to measure by; cut at another day",
        FormatRfc3339(TimePoint(std::chrono::seconds(holdout.cut))));
  }
  STARLING_ASSIGN_OR_RETURN(const Dataset before, Before(data, holdout.cut));
  STARLING_ASSIGN_OR_RETURN(const learning::Interactions known, KnownAt(data, holdout.cut));
  const std::vector<uint32_t> categories = CategoriesOf(data);
  const learning::BeyondAccuracy beyond(known, categories, std::max(1, config.threads));
  std::vector<uint32_t> fresh_users;
  std::vector<uint32_t> all_users;
  Evaluation evaluation{.cut = holdout.cut,
                        .items = data.acted_on,
                        .before = known.entries(),
                        .by_categories = !categories.empty()};
  for (size_t user = 0; user < known.users(); ++user)
    evaluation.before_users += known.row(user).size() > 0 ? 1 : 0;
  for (const Holdout::User& user : holdout.users) {
    if (!user.fresh.empty()) fresh_users.push_back(user.user);
    all_users.push_back(user.user);
    evaluation.held_out += user.all.size();
  }
  std::vector<std::pair<Algorithm, const char*>> wanted;
  for (const auto& entry : kAll) {
    // What blend and two_stage would come to, auto does where it is better.
    const bool if_named = entry.first == Algorithm::kBlend || entry.first == Algorithm::kTwoStage ||
                          entry.first == Algorithm::kSampledMf;
    if (options.algorithms.empty() ? !if_named
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
    if (options.before_fit) options.before_fit();
    const StatusOr<Trained> trained = Trainer(before, config, step).Train(algorithm, std::nullopt);
    if (trained.status().code() == StatusCode::kCancelled) return trained.status();
    if (!trained.ok()) {
      model.error = std::string(trained.status().message());
      continue;
    }
    model.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (options.after_fit) model.peak_bytes = options.after_fit();
    model.recipe = trained->algorithm;
    STARLING_ASSIGN_OR_RETURN(
        const learning::Recommender recommender,
        learning::Recommender::Open(std::as_bytes(std::span(trained->artifact)), nullptr));
    model.rankings = RankHoldout(recommender, data, holdout, [&] { return step(1, "measuring"); });
    if (!model.rankings.has_value()) return Cancelled("the evaluation was cancelled");
    model.metrics = MetricsOf(*model.rankings, holdout);
    STARLING_ASSIGN_OR_RETURN(model.fresh,
                              beyond.Measure(fresh_users, model.rankings->fresh.lists(), {}));
    STARLING_ASSIGN_OR_RETURN(model.all,
                              beyond.Measure(all_users, model.rankings->all.lists(), {}));
    evaluation.users = {{"users", model.metrics["users"]},
                        {"all.users", model.metrics["all.users"]}};
  }
  return evaluation;
}

}  // namespace starling::training

// How good and how fast the models are on a data set: fits each on the training events and prints
// recall, NDCG and coverage on the test events, the seconds of the fit and the microseconds of a
// call.
//
//   evaluate_data --train train.txt --test test.txt --format triplets --task new --k 10
//   evaluate_data --train train.txt --train valid.txt --test test.txt --format adjacency --k 20
//
// adjacency: a user a line, "user item item ..."; triplets: an event a line, "user item weight
// time". All are numbers; users and items from 0, time in unix seconds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "learning/interactions.h"
#include "learning/metrics.h"
#include "learning/models/als.h"
#include "learning/models/ease.h"
#include "learning/models/item_knn.h"
#include "learning/models/popularity.h"
#include "learning/models/repeat.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {
namespace {

using SteadyClock = std::chrono::steady_clock;

double SecondsSince(SteadyClock::time_point start) {
  return std::chrono::duration<double>(SteadyClock::now() - start).count();
}

struct Settings {
  std::vector<std::string> train;
  std::string test;
  std::string format = "triplets";
  std::string task = "new";
  std::vector<std::string> models;
  std::string scale = "binary";
  size_t k = 10;
  int threads = 1;
  double half_life_days = 0;
  EaseOptions ease;
  ItemKnnOptions item_knn;
  AlsOptions als;
  RepeatOptions repeat;
};

template <typename T>
bool TakeNumber(std::string_view& line, T& value) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  return error == std::errc();
}

StatusOr<std::vector<Interaction>> ReadEvents(const std::string& path, const std::string& format) {
  std::ifstream file(path);
  if (!file) {
    return NotFound("{} cannot be read", path);
  }
  std::vector<Interaction> events;
  std::string text;
  for (size_t number = 1; std::getline(file, text); ++number) {
    std::string_view line = text;
    Interaction event;
    bool good = TakeNumber(line, event.user);
    if (format == "adjacency") {
      while (TakeNumber(line, event.item)) {
        events.push_back(event);
      }
    } else {
      good = good && TakeNumber(line, event.item) && TakeNumber(line, event.weight) &&
             TakeNumber(line, event.time);
      events.push_back(event);
    }
    if (!good || !line.empty()) {
      return DataLoss("line {} of {} is not in the format '{}'", number, path, format);
    }
  }
  return events;
}

struct Data {
  Interactions train;
  Interactions test;
  std::vector<std::vector<HistoryItem>> histories;  // the training events of each user
};

StatusOr<Data> Read(const Settings& settings) {
  std::vector<Interaction> train;
  for (const std::string& path : settings.train) {
    STARLING_ASSIGN_OR_RETURN(const std::vector<Interaction> events,
                              ReadEvents(path, settings.format));
    train.insert(train.end(), events.begin(), events.end());
  }
  STARLING_ASSIGN_OR_RETURN(const std::vector<Interaction> test,
                            ReadEvents(settings.test, settings.format));
  size_t users = 0;
  size_t items = 0;
  for (const std::vector<Interaction>* events : {&std::as_const(train), &test}) {
    for (const Interaction& event : *events) {
      users = std::max<size_t>(users, event.user + 1);
      items = std::max<size_t>(items, event.item + 1);
    }
  }
  Data data;
  STARLING_ASSIGN_OR_RETURN(data.train, MakeInteractions(train, users, items));
  STARLING_ASSIGN_OR_RETURN(data.test, MakeInteractions(test, users, items));
  if (settings.task == "new") {
    STARLING_ASSIGN_OR_RETURN(data.test, WithoutKnown(data.test, data.train));
  }
  data.histories.resize(users);
  for (const Interaction& event : train) {
    data.histories[event.user].push_back({event.item, event.weight, event.time});
  }
  return data;
}

void Evaluate(const Data& data, const Settings& settings, const Model& model, double fit_seconds) {
  RankingEvaluation evaluation(settings.k, data.train.items());
  std::vector<float> scores(model.items());
  std::vector<uint32_t> ranked;
  double score_seconds = 0;
  double rank_seconds = 0;
  for (size_t user = 0; user < data.test.users(); ++user) {
    if (data.test.row(user).size() == 0 || data.histories[user].empty()) {
      continue;
    }
    auto start = SteadyClock::now();
    model.Score(data.histories[user], data.train.latest_time(), scores);
    score_seconds += SecondsSince(start);
    start = SteadyClock::now();
    TopKOptions top{.k = settings.k};
    if (settings.task == "new") {
      top.excluded = data.train.row(user).items;
    }
    const std::vector<ScoredItem> best = TopK(scores, top);
    rank_seconds += SecondsSince(start);
    ranked.clear();
    for (const ScoredItem& scored : best) {
      ranked.push_back(scored.item);
    }
    evaluation.Add(ranked, data.test.row(user).items);
  }
  const auto users = static_cast<double>(evaluation.users());
  const auto ndcg = evaluation.Bootstrap(RankingMetric::kNdcg, {});
  fmt::print(
      "{:<12}{:>8.2f}{:>10.4f}{:>10.4f}{:>10.4f}  [{:.4f}, {:.4f}]{:>9.3f}{:>10.1f}{:>8.1f}\n",
      model.kind(), fit_seconds, evaluation.Mean(RankingMetric::kRecall),
      evaluation.Mean(RankingMetric::kRecallCapped), evaluation.Mean(RankingMetric::kNdcg),
      ndcg.ok() ? ndcg->low : 0, ndcg.ok() ? ndcg->high : 0, evaluation.Coverage(),
      score_seconds / users * 1e6, rank_seconds / users * 1e6);
}

template <typename Fit>
Status FitAndEvaluate(const std::string& name, const Data& data, const Settings& settings,
                      const Fit& fit) {
  if (std::find(settings.models.begin(), settings.models.end(), name) == settings.models.end()) {
    return OkStatus();
  }
  const auto start = SteadyClock::now();
  const auto model = fit();
  if (!model.ok()) {
    return Annotate(model.status(), name);
  }
  Evaluate(data, settings, *model, SecondsSince(start));
  return OkStatus();
}

Status Run(Settings settings) {
  Weighting weighting{.half_life = settings.half_life_days * kDay};
  weighting.scale = settings.scale == "linear"        ? Weighting::Scale::kLinear
                    : settings.scale == "logarithmic" ? Weighting::Scale::kLogarithmic
                                                      : Weighting::Scale::kBinary;
  STARLING_ASSIGN_OR_RETURN(const Data data, Read(settings));
  settings.ease.weighting = settings.item_knn.weighting = settings.als.weighting = weighting;
  settings.repeat.weighting.half_life = weighting.half_life;
  settings.ease.threads = settings.item_knn.threads = settings.als.threads = settings.threads;
  fmt::print("{} users, {} items, {} training entries, {} test entries\n", data.train.users(),
             data.train.items(), data.train.entries(), data.test.entries());
  fmt::print("{:<12}{:>8}{:>10}{:>10}{:>10}  {:<16}{:>9}{:>10}{:>8}\n", "model", "fit s",
             fmt::format("rec@{}", settings.k), "capped", "NDCG", "95 % of NDCG", "coverage",
             "score us", "top us");
  STARLING_RETURN_IF_ERROR(FitAndEvaluate("popularity", data, settings, [&] {
    return FitPopularity(data.train, {.weighting = weighting});
  }));
  STARLING_RETURN_IF_ERROR(FitAndEvaluate("repeat", data, settings,
                                          [&] { return FitRepeat(data.train, settings.repeat); }));
  STARLING_RETURN_IF_ERROR(FitAndEvaluate(
      "item_knn", data, settings, [&] { return FitItemKnn(data.train, settings.item_knn); }));
  STARLING_RETURN_IF_ERROR(
      FitAndEvaluate("als", data, settings, [&] { return FitAls(data.train, settings.als); }));
  return FitAndEvaluate("ease", data, settings, [&] { return FitEase(data.train, settings.ease); });
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Fits the models on training events and measures them on test events.");
  app.add_option("--train", settings.train, "Files of training events")->required();
  app.add_option("--test", settings.test, "File of test events")->required();
  app.add_option("--format", settings.format)->check(CLI::IsMember({"triplets", "adjacency"}));
  app.add_option("--task", settings.task, "new: items the user does not have; all: any item")
      ->check(CLI::IsMember({"new", "all"}));
  settings.models = {"popularity", "repeat", "item_knn", "als", "ease"};
  app.add_option("--models", settings.models, "Which to fit")->delimiter(',');
  app.add_option("--k", settings.k)->check(CLI::PositiveNumber);
  app.add_option("--threads", settings.threads);
  app.add_option("--half-life", settings.half_life_days, "Days; 0: no ageing");
  app.add_option("--scale", settings.scale)
      ->check(CLI::IsMember({"binary", "logarithmic", "linear"}));
  app.add_option("--ease-regularisation", settings.ease.regularisation);
  app.add_option("--ease-neighbours", settings.ease.neighbours, "0: all");
  app.add_option("--ease-max-items", settings.ease.max_items);
  app.add_option("--knn-neighbours", settings.item_knn.neighbours);
  app.add_option("--knn-shrinkage", settings.item_knn.shrinkage);
  app.add_option("--als-factors", settings.als.factors);
  app.add_option("--als-iterations", settings.als.iterations);
  app.add_option("--als-unobserved", settings.als.unobserved_weight);
  app.add_option("--als-regularisation", settings.als.regularisation);
  app.add_option("--als-exponent", settings.als.frequency_exponent);
  app.add_option("--als-cg-steps", settings.als.cg_steps, "0: exactly");
  app.add_option("--seed", settings.als.seed);
  CLI11_PARSE(app, argc, argv);
  const Status status = Run(settings);
  if (!status.ok()) {
    fmt::print(stderr, "evaluate_data: {}\n", ToString(status));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace starling::learning

int main(int argc, char** argv) { return starling::learning::Main(argc, argv); }

// starling evaluate: what each model is worth on the newest part of the data.
#include <cstdio>

#include "apps/starling/commands.h"
#include "apps/starling/evaluation/peak_memory.h"
#include "apps/starling/evaluation/report_html.h"
#include "apps/starling/import/progress_bar.h"
#include "apps/starling/interrupted.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "apps/starling/version.h"
#include "contracts/features/v1/features.service.h"
#include "platform/host/process.h"
#include "platform/host/signals.h"
#include "services/training/dataset_reader.h"
#include "services/training/evaluation.h"

namespace starling {
namespace {

using training::EvaluatedModel;
using training::Evaluation;

StatusOr<int64_t> ParseDay(const std::string& day) {
  if (day.empty()) return 0;
  const std::optional<TimePoint> time = ParseRfc3339(day.size() == 10 ? day + "T00:00:00Z" : day);
  if (!time.has_value()) {
    return InvalidArgument(
        "--cut {}: give a day, as 2010-11-01, or a time, as "
        "2010-11-01T12:00:00Z",
        day);
  }
  return time->time_since_epoch() / std::chrono::seconds(1);
}

// The chosen one is what a training chooses; where none was asked for, the best that was measured.
void Choose(const Evaluation& evaluation, Report& report) {
  double best = -1;
  for (const EvaluatedModel& model : evaluation.models) {
    if (!model.error.empty()) continue;
    if (model.name == "auto") {
      report.chosen = model.name;
      report.chosen_by =
          "what a training chooses by what was done before the cut; it came to " + model.recipe;
      return;
    }
    const double quality = model.metrics.at(training::kQuality);
    if (quality <= best) continue;
    best = quality;
    report.chosen = model.name;
    report.chosen_by =
        "the best of those measured, by these very figures, as auto is not among them";
  }
}

std::vector<Fact> FactsOf(const Evaluation& evaluation) {
  const auto count = [](const char* name, size_t number) {
    return Fact{name, static_cast<double>(number), {}};
  };
  const auto pairs = static_cast<double>(evaluation.before_users) *
                     static_cast<double>(std::max<size_t>(evaluation.items, 1));
  return {{"cut", {}, FormatRfc3339(TimePoint(std::chrono::seconds(evaluation.cut)))},
          count("users", evaluation.before_users),
          count("items", evaluation.items),
          count("entries_before", evaluation.before),
          count("entries_to_find", evaluation.held_out),
          {"density", pairs > 0 ? static_cast<double>(evaluation.before) / pairs : 0, {}},
          {"calibration_by", {}, evaluation.by_categories ? "categories" : "popularity"}};
}

StatusOr<Report> ReportOf(const Evaluation& evaluation, const std::string& command) {
  Report report{.title = "What the models are worth on what was bought since " +
                         FormatRfc3339(TimePoint(std::chrono::seconds(evaluation.cut))),
                .command = command,
                .cost =
                    "of the whole training, which tries settings and fits the best on all; "
                    "memory is what it takes at its peak beyond the data",
                .k = 10,
                .facts = FactsOf(evaluation)};
  Choose(evaluation, report);
  struct Task {
    std::string prefix, what;
    learning::RankingEvaluation training::Rankings::*ranking;
    learning::BeyondAccuracyFigures EvaluatedModel::*beyond;
  };
  const Task tasks[] = {
      {"", "Products new to their user", &training::Rankings::fresh, &EvaluatedModel::fresh},
      {"all.", "All products (all.)", &training::Rankings::all, &EvaluatedModel::all}};
  for (const EvaluatedModel& model : evaluation.models) {
    report.models.push_back({.name = model.name,
                             .settings = model.recipe,
                             .fit_seconds = model.seconds,
                             .peak_bytes = model.peak_bytes,
                             .error = model.error});
  }
  for (const Task& task : tasks) {
    std::vector<const learning::RankingEvaluation*> rankings;
    size_t users = 0;
    for (size_t m = 0; m < report.models.size(); ++m) {
      const EvaluatedModel& model = evaluation.models[m];
      rankings.push_back(nullptr);
      if (!model.rankings.has_value()) continue;
      const learning::RankingEvaluation& ranking = (*model.rankings).*task.ranking;
      if (ranking.users() == 0) continue;
      users = ranking.users();
      rankings.back() = &ranking;
      STARLING_RETURN_IF_ERROR(AddFigures(task.prefix, ranking, model.*task.beyond,
                                          RecallIs::kCapped, report.models[m]));
    }
    if (users == 0) continue;
    report.tasks.push_back({task.prefix, task.what, users});
    STARLING_RETURN_IF_ERROR(AddDifferences(task.prefix, rankings, RecallIs::kCapped, report));
  }
  return report;
}

StatusOr<Evaluation> Run(host::Process& process, const training::TrainingConfig& config,
                         const training::EvaluationOptions& options) {
  const auto features = process.services().Get<features::v1::Features>();
  if (features == nullptr) {
    return FailedPrecondition(
        "features runs elsewhere, as peers.services.features says; evaluate where its data is");
  }
  const auto catalog = process.services().Get<catalog::v1::Catalog>();
  ProgressBar bar;
  STARLING_ASSIGN_OR_RETURN(const training::Dataset data,
                            training::ReadDataset(process.runtime(), *features, catalog.get(),
                                                  config, [&](double done, const char* stage) {
                                                    bar.Show(stage, done, -1);
                                                    return !Interrupted();
                                                  }));
  return training::Evaluate(data, config, options, [&](double done, const std::string& stage) {
    bar.Show(stage, done, -1);
    return !Interrupted();
  });
}

}  // namespace

int Evaluate(const CommonOptions& common, const EvaluateOptions& options) {
  if (const Status name = CheckPlotName(options.plot); !name.ok()) return Fail(name);
  PeakMemory peak;
  training::EvaluationOptions wanted{.before_fit = [&] { peak.Begin(); },
                                     .after_fit = [&] { return peak.End(); }};
  const auto cut = ParseDay(options.cut);
  if (!cut.ok()) return Fail(cut.status());
  wanted.cut = *cut;
  for (const std::string& name : options.algorithms) {
    const auto algorithm = training::ParseAlgorithm(name);
    if (!algorithm.ok()) return Fail(algorithm.status());
    wanted.algorithms.push_back(*algorithm);
  }
  if (const std::string holder = host::DataFolder::Holder(common.data); !holder.empty()) {
    return Fail(FailedPrecondition("{} is in use by {}; evaluate a copy of the folder",
                                   common.data.string(), holder));
  }
  host::BlockSignals();
  Configuration configuration;
  if (Status loaded = LoadConfigForTool(common, configuration); !loaded.ok()) return Fail(loaded);
  auto process = host::Process::Start({.known = Services(),
                                       .serve = false,
                                       .data = common.data,
                                       .command = "starling evaluate",
                                       .version = kVersion,
                                       .remote_events = MakeRemoteEvents},
                                      configuration.registry, configuration.process);
  if (!process.ok()) return Fail(process.status());
  const auto config = configuration.registry.Section<training::TrainingConfig>(
      training::TrainingConfig::kSection, training::TrainingConfig::kDoc);
  const StatusOr<Evaluation> evaluation = Run(**process, *config.Get(), wanted);
  const Status stopped = (*process)->Stop();
  if (!evaluation.ok()) return Fail(evaluation.status());
  const StatusOr<Report> report = ReportOf(*evaluation, options.command);
  if (!report.ok()) return Fail(report.status());
  fmt::print("{}", options.json ? JsonOf(*report) + "\n" : TableOf(*report));
  if (!options.plot.empty()) {
    if (const Status written = WriteHtml(*report, options.plot); !written.ok())
      return Fail(written);
  }
  return stopped.ok() ? 0 : Fail(stopped);
}

}  // namespace starling

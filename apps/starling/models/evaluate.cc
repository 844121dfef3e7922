// starling evaluate: what each model is worth on the newest part of the data.
#include <cstdio>

#include "apps/starling/commands.h"
#include "apps/starling/import/progress_bar.h"
#include "apps/starling/interrupted.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "apps/starling/version.h"
#include "contracts/features/v1/features.service.h"
#include "platform/host/process.h"
#include "platform/json/writer.h"
#include "services/training/dataset_reader.h"
#include "services/training/evaluation.h"

namespace starling {
namespace {

using training::EvaluatedModel;
using training::Evaluation;

constexpr const char* kColumns[] = {"ndcg@10",     "recall@10",     "coverage",
                                    "all.ndcg@10", "all.recall@10", "all.coverage"};

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

double At(const training::Metrics& metrics, const char* name) {
  const auto at = metrics.find(name);
  return at == metrics.end() ? 0 : at->second;
}

void PrintTable(const Evaluation& evaluation) {
  fmt::print("trained on what was done before {}, measured on what was bought since\n",
             FormatRfc3339(TimePoint(std::chrono::seconds(evaluation.cut))));
  fmt::print("{:<12}", "model");
  for (const char* column : kColumns) fmt::print("{:>15}", column);
  fmt::print("{:>10}  {}\n", "seconds", "what it came to");
  for (const EvaluatedModel& model : evaluation.models) {
    fmt::print("{:<12}", model.name);
    if (!model.error.empty()) {
      fmt::print("  {}\n", model.error);
      continue;
    }
    for (const char* column : kColumns) fmt::print("{:>15.4f}", At(model.metrics, column));
    fmt::print("{:>10.1f}  {}\n", model.seconds, model.recipe);
  }
  fmt::print(
      "{:.0f} users with products new to them, {:.0f} with any (all.); recall is divided by the "
      "smaller of 10 and what there was to find\n",
      At(evaluation.users, "users"), At(evaluation.users, "all.users"));
}

void PrintJson(const Evaluation& evaluation) {
  json::Writer writer;
  writer.BeginObject();
  writer.Name("\"cut\":");
  writer.String(FormatRfc3339(TimePoint(std::chrono::seconds(evaluation.cut))));
  writer.Name("\"models\":");
  writer.BeginArray();
  for (const EvaluatedModel& model : evaluation.models) {
    writer.BeginObject();
    writer.Name("\"name\":");
    writer.String(model.name);
    if (!model.error.empty()) {
      writer.Name("\"error\":");
      writer.String(model.error);
    } else {
      writer.Name("\"recipe\":");
      writer.String(model.recipe);
      writer.Name("\"metrics\":");
      writer.BeginObject();
      for (const auto& [name, value] : model.metrics) {
        writer.Name(std::string_view(name));
        writer.Double(value);
      }
      writer.EndObject();
      writer.Name("\"fit_seconds\":");
      writer.Double(model.seconds);
    }
    writer.EndObject();
  }
  writer.EndArray();
  writer.EndObject();
  fmt::print("{}\n", writer.text());
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
  training::EvaluationOptions wanted;
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
  host::Process::BlockSignals();
  Configuration configuration;
  if (Status loaded = LoadConfigForTool(common, configuration.registry); !loaded.ok())
    return Fail(loaded);
  auto process = host::Process::Start({.known = Services(),
                                       .serve = false,
                                       .data = common.data,
                                       .command = "starling evaluate",
                                       .version = kVersion},
                                      configuration.registry, configuration.process);
  if (!process.ok()) return Fail(process.status());
  const auto config = configuration.registry.Section<training::TrainingConfig>(
      training::TrainingConfig::kSection, training::TrainingConfig::kDoc);
  const StatusOr<Evaluation> evaluation = Run(**process, *config.Get(), wanted);
  const Status stopped = (*process)->Stop();
  if (!evaluation.ok()) return Fail(evaluation.status());
  options.json ? PrintJson(*evaluation) : PrintTable(*evaluation);
  return stopped.ok() ? 0 : Fail(stopped);
}

}  // namespace starling

#include "services/training/job.h"

#include "platform/telemetry/log.h"
#include "services/training/dataset_reader.h"

namespace starling::training {
namespace {

constexpr double kRead = 0.1;
constexpr double kFitted = 0.97;

std::optional<Serving> ServingOf(const Job& job, const v1::ModelVersion& version) {
  Serving serving{.version = version.version(), .parameters = {}, .metrics = {}, .artifact = {}};
  serving.parameters.insert(version.parameters().begin(), version.parameters().end());
  serving.metrics.insert(version.metrics().begin(), version.metrics().end());
  StatusOr<std::string> artifact = job.registry->ReadArtifact(version);
  if (artifact.ok()) {
    serving.artifact = *std::move(artifact);
  } else {
    log::Warning("training", "what serves is compared by its recipe").With(artifact.status());
  }
  return serving;
}

void SetTime(int64_t seconds, google::protobuf::Timestamp* out) { out->set_seconds(seconds); }

v1::ModelVersion Draft(const Job& job, const Dataset& data, const Trained& trained, Duration took) {
  v1::ModelVersion draft;
  draft.set_model(job.model);
  draft.set_algorithm(trained.algorithm);
  draft.mutable_metrics()->insert(trained.metrics.begin(), trained.metrics.end());
  draft.mutable_baseline_metrics()->insert(trained.baseline.begin(), trained.baseline.end());
  draft.mutable_parameters()->insert(trained.parameters.begin(), trained.parameters.end());
  draft.set_compared_version(trained.compared_version);
  draft.mutable_compared_metrics()->insert(trained.compared.begin(), trained.compared.end());
  v1::Lineage& lineage = *draft.mutable_lineage();
  lineage.set_interactions(static_cast<int64_t>(data.events.size()));
  lineage.set_users(static_cast<int64_t>(data.users.size()));
  lineage.set_products(static_cast<int64_t>(data.acted_on));
  SetTime(data.oldest, lineage.mutable_oldest());
  SetTime(data.newest, lineage.mutable_newest());
  if (trained.evaluated_after > 0) {
    SetTime(trained.evaluated_after, lineage.mutable_evaluated_after());
  }
  lineage.set_code_version(STARLING_VERSION);
  lineage.set_seconds(std::chrono::duration<double>(took).count());
  return draft;
}

}  // namespace

StatusOr<v1::ModelVersion> RunJob(const Job& job, const Trainer::Watch& watch) {
  const Instant start = std::chrono::steady_clock::now();
  STARLING_ASSIGN_OR_RETURN(const auto serves, job.registry->Serving(job.model));
  STARLING_ASSIGN_OR_RETURN(
      const Dataset data,
      ReadDataset(*job.runtime, *job.features, job.catalog, *job.config,
                  [&](double done, const char* stage) { return watch(done * kRead, stage); }));
  std::optional<Serving> serving;
  if (serves.has_value()) serving = ServingOf(job, *serves);
  Trainer trainer(data, *job.config, [&](double done, const std::string& stage) {
    return watch(kRead + done * (kFitted - kRead), stage);
  });
  STARLING_ASSIGN_OR_RETURN(const Trained trained, trainer.Train(job.algorithm, serving));
  if (!watch(kFitted, "registering")) return Cancelled("the training was cancelled");
  STARLING_ASSIGN_OR_RETURN(
      v1::ModelVersion made,
      job.registry->Register(Draft(job, data, trained, std::chrono::steady_clock::now() - start),
                             trained.artifact, job.clock->Now()));
  const bool promote = job.promotion == v1::PROMOTION_ALWAYS ||
                       (job.promotion != v1::PROMOTION_NEVER && trained.not_worse);
  if (promote) {
    STARLING_ASSIGN_OR_RETURN(
        made, job.registry->Promote(made.model(), made.version(), job.clock->Now()));
  }
  STARLING_RETURN_IF_ERROR(job.registry->Prune(job.model, job.config->keep));
  log::Info("training", "version {} of {} is trained", made.version(), made.model())
      .With("algorithm", made.algorithm())
      .With("serves", made.serving())
      .With("seconds", made.lineage().seconds());
  return made;
}

}  // namespace starling::training

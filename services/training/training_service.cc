#include "services/training/training_service.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "embedded/training_migrations.h"
#include "platform/telemetry/log.h"
#include "services/training/job.h"
#include "services/training/schedule.h"

namespace starling::training {
namespace {

constexpr char kModel[] = "recommender";
constexpr size_t kChunk = 1 << 20;
constexpr Duration kLook = std::chrono::seconds(10);  // how often the schedule is looked at
// What failed by schedule is not tried again and again: a person may have to mend something first.
constexpr Duration kAfterFailure = std::chrono::hours(1);
constexpr Duration kTell = std::chrono::seconds(1);
constexpr Duration kSoon = std::chrono::seconds(1);  // while it cannot be

Status CheckModel(std::string_view model) {
  if (model == kModel) return OkStatus();
  return NotFound("there is no model '{}'; there is '{}'", model, kModel);
}

// This thread gives way to every other; those that it starts inherit that.
void YieldToOthers() {
  const auto thread = static_cast<id_t>(gettid());
  if (setpriority(PRIO_PROCESS, thread, 19) != 0)
    log::Warning("training", "the training thread keeps its priority");
  const sched_param parameters{};
  if (sched_setscheduler(static_cast<pid_t>(thread), SCHED_IDLE, &parameters) != 0)
    log::Warning("training", "the training thread keeps its scheduling policy");
}

}  // namespace

StatusOr<std::shared_ptr<TrainingService>> TrainingService::Create(host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(auto database, environment.OpenDatabase("training", kMigrations));
  STARLING_ASSIGN_OR_RETURN(auto outbox, environment.OpenOutbox(*database));
  STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, environment.Folder("training"));
  STARLING_ASSIGN_OR_RETURN(auto artifacts, environment.OpenBlobs("training", "artifacts"));
  STARLING_RETURN_IF_ERROR(TakeOverFiles(folder / "models", *artifacts));
  STARLING_ASSIGN_OR_RETURN(auto registry,
                            VersionRegistry::Open(*database, *outbox, std::move(artifacts)));
  return std::make_shared<TrainingService>(std::move(database), std::move(outbox),
                                           std::move(registry), environment);
}

TrainingService::TrainingService(std::unique_ptr<sql::Database> database,
                                 std::unique_ptr<messaging::Outbox> outbox,
                                 std::unique_ptr<VersionRegistry> registry,
                                 host::Environment& environment)
    : environment_(environment),
      config_(environment.Config<TrainingConfig>()),
      database_(std::move(database)),
      outbox_(std::move(outbox)),
      registry_(std::move(registry)),
      operation_table_(*database_),
      turn_(database_->MakeLock("training")) {}

Status TrainingService::Start() {
  features_ = environment_.Find<features::v1::Features>();
  catalog_ = environment_.Find<catalog::v1::Catalog>();
  outbox_->Start();
  thread_ = std::thread([this] { Work(); });
  if (database_->IsShared()) telling_ = std::thread([this] { TellOthers(); });
  return OkStatus();
}

void TrainingService::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  operations_.CancelAll();
  changed_.notify_one();
  ending_.notify_one();
  if (telling_.joinable()) telling_.join();
  if (thread_.joinable()) thread_.join();
  outbox_->Stop();
}

void TrainingService::Work() {
  if (config_.Get()->low_priority) YieldToOthers();
  std::unique_lock lock(mutex_);
  Duration pause{};
  while (!stopping_) {
    changed_.wait_for(lock, pause, [&] { return stopping_ || ordered_.has_value(); });
    if (stopping_) break;
    const std::optional<Ordered> order = std::exchange(ordered_, std::nullopt);
    lock.unlock();
    if (order.has_value()) {
      Run(*order);
    } else {
      pause = TrainWhenDue() ? kLook : kSoon;
    }
    lock.lock();
  }
  const std::optional<Ordered> left = std::exchange(ordered_, std::nullopt);
  lock.unlock();
  if (left.has_value()) Finish(left->operation_id, Cancelled("the process ends"));
}

StatusOr<v1::Operation> TrainingService::Begin(const std::string& model) {
  const TimePoint now = environment_.clock().Now();
  if (!database_->IsShared() || operations_.Running().has_value())
    return operations_.Begin(model, now);
  STARLING_ASSIGN_OR_RETURN(const bool mine, turn_->TryAcquire());
  if (!mine) {
    return FailedPrecondition(
        "another instance trains already; wait for it, or end its operation with POST "
        "/v1/operations/ID:cancel");
  }
  StatusOr<v1::Operation> begun = operations_.Begin(model, now);
  Status status = begun.status();
  if (status.ok()) status = operation_table_.Put(*begun, now).status();
  if (status.ok()) return begun;
  turn_->Release();
  if (begun.ok()) operations_.Finish(begun->operation_id(), status);
  return status;
}

void TrainingService::Finish(const std::string& operation_id,
                             const StatusOr<v1::ModelVersion>& result) {
  const std::lock_guard lock(mutex_);
  if (database_->IsShared()) turn_->Release();
  operations_.Finish(operation_id, result);
  if (!database_->IsShared()) return;
  const StatusOr<v1::Operation> finished = operations_.Get(operation_id);
  if (!finished.ok()) return;
  if (const auto told = operation_table_.Put(*finished, environment_.clock().Now()); !told.ok())
    log::Warning("training", "other instances do not hear of an end").With(told.status());
}

void TrainingService::TellOthers() {
  std::unique_lock lock(mutex_);
  while (!ending_.wait_for(lock, kTell, [this] { return stopping_; })) {
    const std::optional<v1::Operation> running = operations_.Running();
    if (!running.has_value()) continue;
    // Under the lock, so that the end is told after it.
    const StatusOr<bool> cancelled = operation_table_.Put(*running, environment_.clock().Now());
    if (cancelled.ok() && *cancelled) (void)operations_.Cancel(running->operation_id());
  }
}

StatusOr<v1::Operation> TrainingService::Order(Ordered order) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return Unavailable("the process ends; ask again when it is up");
  STARLING_ASSIGN_OR_RETURN(v1::Operation begun, Begin(order.model));
  order.operation_id = begun.operation_id();
  ordered_ = std::move(order);
  changed_.notify_one();
  return begun;
}

void TrainingService::Run(const Ordered& order) {
  const Job job{.model = order.model,
                .algorithm = order.algorithm,
                .promotion = order.promotion,
                .features = features_.get(),
                .catalog = catalog_.get(),
                .registry = registry_.get(),
                .runtime = &environment_.runtime(),
                .clock = &environment_.clock(),
                .config = config_.Get()};
  const StatusOr<v1::ModelVersion> made = RunJob(job, [&](double done, const std::string& stage) {
    return operations_.Update(order.operation_id, done, stage);
  });
  if (!made.ok()) {
    log::Warning("training", "no version came of it").With(made.status());
    not_before_ = environment_.clock().MonotonicNow() + kAfterFailure;
  }
  Finish(order.operation_id, made);
}

bool TrainingService::TrainWhenDue() {
  const auto config = config_.Get();
  if (features_ == nullptr || (config->every == Duration(0) && config->after_events == 0))
    return true;
  if (environment_.clock().MonotonicNow() < not_before_) return true;
  const auto versions = registry_->Versions(kModel);
  if (!versions.ok()) return true;
  std::optional<v1::ModelVersion> newest;
  if (!versions->empty()) newest = versions->front();
  rpc::CallContext context = rpc::CallContext::ForService("training", std::chrono::seconds(10));
  const auto statistics = environment_.runtime().Block(features_->GetStatistics(context, {}));
  if (statistics.status().code() == StatusCode::kUnavailable) return false;  // it still loads
  if (!statistics.ok()) {
    log::Warning("training", "the schedule waits for features").With(statistics.status());
    return true;
  }
  if (!TrainingIsDue(*config, newest, *statistics, environment_.clock().Now())) return true;
  const auto begun = Order({.operation_id = {}, .model = kModel});
  if (begun.ok()) log::Info("training", "a scheduled training begins");
  return true;
}

Task<StatusOr<v1::ListModelsResponse>> TrainingService::ListModels(CallContext&,
                                                                   const v1::ListModelsRequest&) {
  auto models = co_await environment_.runtime().blocking().Run([&] { return registry_->Models(); });
  if (!models.ok()) co_return models.status();
  v1::ListModelsResponse response;
  for (v1::Model& model : *models) *response.add_models() = std::move(model);
  if (response.models_size() == 0) response.add_models()->set_model(kModel);
  co_return response;
}

Task<StatusOr<v1::ListVersionsResponse>> TrainingService::ListVersions(
    CallContext&, const v1::ListVersionsRequest& request) {
  CO_RETURN_IF_ERROR(CheckModel(request.model()));
  auto versions = co_await environment_.runtime().blocking().Run(
      [&] { return registry_->Versions(request.model()); });
  if (!versions.ok()) co_return versions.status();
  v1::ListVersionsResponse response;
  for (v1::ModelVersion& version : *versions) *response.add_versions() = std::move(version);
  co_return response;
}

Task<StatusOr<v1::Operation>> TrainingService::TrainModel(CallContext&,
                                                          const v1::TrainModelRequest& request) {
  CO_RETURN_IF_ERROR(CheckModel(request.model()));
  CO_ASSIGN_OR_RETURN(const Algorithm algorithm, ParseAlgorithm(request.algorithm()));
  if (!v1::Promotion_IsValid(request.promotion())) {
    co_return InvalidField("promotion", "{} is unknown", static_cast<int>(request.promotion()));
  }
  if (features_ == nullptr) {
    co_return FailedPrecondition(
        "this process cannot reach features, which has the interactions; name it in "
        "peers.services.features, or run it here");
  }
  co_return co_await environment_.runtime().blocking().Run([&] {
    return Order({.operation_id = {},
                  .model = request.model(),
                  .algorithm = algorithm,
                  .promotion = request.promotion()});
  });
}

Task<StatusOr<v1::ModelVersion>> TrainingService::PromoteVersion(
    CallContext&, const v1::PromoteVersionRequest& request) {
  CO_RETURN_IF_ERROR(CheckModel(request.model()));
  if (request.version().empty()) co_return InvalidField("version", "is missing");
  auto promoted = co_await environment_.runtime().blocking().Run([&] {
    return registry_->Promote(request.model(), request.version(), environment_.clock().Now());
  });
  // Which artefact is damaged is the operator's to know, who is who asks here.
  if (promoted.status().code() == StatusCode::kDataLoss) {
    co_return FailedPrecondition("{}", std::string(promoted.status().message()));
  }
  co_return promoted;
}

Task<StatusOr<v1::Operation>> TrainingService::GetOperation(
    CallContext&, const v1::GetOperationRequest& request) {
  StatusOr<v1::Operation> own = operations_.Get(request.operation_id());
  if (own.ok() || !database_->IsShared()) co_return own;
  co_return co_await environment_.runtime().blocking().Run(
      [&] { return operation_table_.Get(request.operation_id(), environment_.clock().Now()); });
}

Task<StatusOr<v1::Operation>> TrainingService::CancelOperation(
    CallContext&, const v1::CancelOperationRequest& request) {
  StatusOr<v1::Operation> own = operations_.Cancel(request.operation_id());
  if (own.ok() || !database_->IsShared()) co_return own;
  co_return co_await environment_.runtime().blocking().Run(
      [&] { return operation_table_.Cancel(request.operation_id(), environment_.clock().Now()); });
}

Task<Status> TrainingService::ReadArtifact(CallContext&, const v1::ReadArtifactRequest& request,
                                           rpc::Stream<v1::ArtifactChunk>& out) {
  CO_RETURN_IF_ERROR(CheckModel(request.model()));
  struct Read {
    v1::ModelVersion version;
    std::string bytes;
  };
  auto read = co_await environment_.runtime().blocking().Run([&]() -> StatusOr<Read> {
    Read found;
    STARLING_ASSIGN_OR_RETURN(found.version, registry_->Find(request.model(), request.version()));
    STARLING_ASSIGN_OR_RETURN(found.bytes, registry_->ReadArtifact(found.version));
    return found;
  });
  if (!read.ok()) co_return read.status();
  for (size_t at = 0; at < read->bytes.size(); at += kChunk) {
    v1::ArtifactChunk chunk;
    chunk.set_data(read->bytes.substr(at, kChunk));
    if (at == 0) *chunk.mutable_version() = read->version;
    CO_RETURN_IF_ERROR(co_await out.Write(chunk));
  }
  co_return OkStatus();
}

}  // namespace starling::training

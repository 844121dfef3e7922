// Trains models and keeps their versions: reads every interaction from features, measures what it
// made on the newest of them, registers it and promotes it when it is not worse.
//
// Owns the tables `models` and `versions` and the blobs `artifacts`, of models. One training
// at a time, among all instances that share a database (by a lock of the database, which goes with
// its holder's connection; the instance that got the call or was first to find that one is due
// trains), on a thread of its own that yields to everything else (nice 19, SCHED_IDLE), with
// training.threads in all; none of it runs on io threads or in the shared blocking pool. A training
// that the process' end cuts leaves nothing but a number that no version has.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/features/v1/features.service.h"
#include "contracts/training/v1/training.service.h"
#include "platform/host/hosted_service.h"
#include "platform/messaging/outbox.h"
#include "platform/storage/sql/sql.h"
#include "services/training/operation_table.h"
#include "services/training/operations.h"
#include "services/training/recipe.h"
#include "services/training/training_config.h"
#include "services/training/version_registry.h"

namespace starling::training {

class TrainingService final : public v1::Training, public host::HostedService {
 public:
  using Contract = v1::Training;
  static constexpr host::Keeps kKeeps = host::Keeps::kDatabase | host::Keeps::kFolder;
  using Config = TrainingConfig;
  static StatusOr<std::shared_ptr<TrainingService>> Create(host::Environment& environment);
  TrainingService(std::unique_ptr<sql::Database> database,
                  std::unique_ptr<messaging::Outbox> outbox,
                  std::unique_ptr<VersionRegistry> registry, host::Environment& environment);

  Task<StatusOr<v1::ListModelsResponse>> ListModels(CallContext& context,
                                                    const v1::ListModelsRequest& request) override;
  Task<StatusOr<v1::ListVersionsResponse>> ListVersions(
      CallContext& context, const v1::ListVersionsRequest& request) override;
  Task<StatusOr<v1::Operation>> TrainModel(CallContext& context,
                                           const v1::TrainModelRequest& request) override;
  Task<StatusOr<v1::ModelVersion>> PromoteVersion(
      CallContext& context, const v1::PromoteVersionRequest& request) override;
  Task<StatusOr<v1::Operation>> GetOperation(CallContext& context,
                                             const v1::GetOperationRequest& request) override;
  Task<StatusOr<v1::Operation>> CancelOperation(CallContext& context,
                                                const v1::CancelOperationRequest& request) override;
  Task<Status> ReadArtifact(CallContext& context, const v1::ReadArtifactRequest& request,
                            rpc::Stream<v1::ArtifactChunk>& out) override;

  Status Start() override;
  void Stop() override;

 private:
  struct Ordered {
    std::string operation_id;
    std::string model;
    Algorithm algorithm = Algorithm::kAuto;
    v1::Promotion promotion = v1::PROMOTION_UNSPECIFIED;
  };
  // Blocks where the database is shared.
  StatusOr<v1::Operation> Order(Ordered order);
  StatusOr<v1::Operation> Begin(const std::string& model);
  void Finish(const std::string& operation_id, const StatusOr<v1::ModelVersion>& result);
  // Tells the other instances of the operation that goes on here, until the end.
  void TellOthers();
  void Work();
  void Run(const Ordered& order);
  // False while features still loads what the schedule goes by.
  bool TrainWhenDue();

  host::Environment& environment_;
  const config::Handle<TrainingConfig> config_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<messaging::Outbox> outbox_;
  std::unique_ptr<VersionRegistry> registry_;
  std::shared_ptr<features::v1::Features> features_;
  std::shared_ptr<catalog::v1::Catalog> catalog_;  // nullptr: trained without what it knows
  Operations operations_;                          // of this instance
  OperationTable operation_table_;                 // of all, where the database is shared
  const std::unique_ptr<sql::Lock> turn_;          // to train; used under mutex_

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Ordered> ordered_;
  bool stopping_ = false;
  Instant not_before_{};  // of a training by schedule; on the training thread
  std::thread thread_;
  std::condition_variable ending_;
  std::thread telling_;
};

}  // namespace starling::training

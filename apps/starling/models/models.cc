// starling train, starling models: train a version, look at the versions, promote one.
#include <csignal>
#include <cstdio>
#include <ctime>

#include "apps/starling/commands.h"
#include "apps/starling/import/progress_bar.h"
#include "apps/starling/load_config.h"
#include "apps/starling/models/training_client.h"
#include "platform/host/signals.h"

namespace starling {
namespace {

namespace v1 = training::v1;

constexpr char kModel[] = "recommender";

StatusOr<v1::Promotion> ParsePromotion(const std::string& text) {
  if (text == "always") return v1::PROMOTION_ALWAYS;
  if (text == "never") return v1::PROMOTION_NEVER;
  if (text == "when-not-worse") return v1::PROMOTION_WHEN_NOT_WORSE;
  return InvalidArgument("--promote {}: there are always, never and when-not-worse", text);
}

// Waits for a moment; true when the user wants it to end.
bool Interrupted() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  const timespec moment{.tv_sec = 0, .tv_nsec = 100'000'000};
  return sigtimedwait(&signals, nullptr, &moment) > 0;
}

StatusOr<v1::Operation> Follow(TrainingClient& client, v1::Operation operation) {
  ProgressBar bar;
  v1::GetOperationRequest get;
  get.set_operation_id(operation.operation_id());
  while (!operation.done()) {
    if (Interrupted()) {
      v1::CancelOperationRequest cancel;
      cancel.set_operation_id(operation.operation_id());
      STARLING_RETURN_IF_ERROR(client.Call(&v1::Training::CancelOperation, cancel).status());
    }
    STARLING_ASSIGN_OR_RETURN(operation, client.Call(&v1::Training::GetOperation, get));
    bar.Show("training", operation.progress(), -1);
  }
  return operation;
}

double At(const google::protobuf::Map<std::string, double>& metrics, const std::string& name) {
  const auto at = metrics.find(name);
  return at == metrics.end() ? 0 : at->second;
}

void PrintMetrics(const v1::ModelVersion& version) {
  if (version.metrics().empty()) {
    fmt::print("not measured: too few users did something both before and after the cut\n");
    return;
  }
  const bool compared = !version.compared_version().empty();
  fmt::print("{:<18}{:>12}{:>12}{}\n", "metric", "version " + version.version(), "popularity",
             compared ? fmt::format("{:>12}", "version " + version.compared_version()) : "");
  for (const char* name : {"ndcg@10", "recall@10", "hit_rate@10", "coverage", "all.ndcg@10",
                           "all.recall@10", "all.hit_rate@10"}) {
    fmt::print("{:<18}{:>12.4f}{:>12.4f}{}\n", name, At(version.metrics(), name),
               At(version.baseline_metrics(), name),
               compared ? fmt::format("{:>12.4f}", At(version.compared_metrics(), name)) : "");
  }
  fmt::print("measured on {:.0f} users with products new to them, {:.0f} in all (all.)\n",
             At(version.metrics(), "users"), At(version.metrics(), "all.users"));
}

Status TrainWith(TrainingClient& client, const v1::TrainModelRequest& request) {
  STARLING_ASSIGN_OR_RETURN(const v1::Operation begun,
                            client.Call(&v1::Training::TrainModel, request));
  STARLING_ASSIGN_OR_RETURN(const v1::Operation ended, Follow(client, begun));
  if (!ended.error().empty()) return FailedPrecondition("{}", ended.error());
  const v1::ModelVersion& version = ended.result();
  fmt::print("version {}: {}, {} interactions of {} users with {} products, in {:.1f} s\n",
             version.version(), version.algorithm(), WithCommas(version.lineage().interactions()),
             WithCommas(version.lineage().users()), WithCommas(version.lineage().products()),
             version.lineage().seconds());
  PrintMetrics(version);
  if (version.serving()) {
    fmt::print("it serves\n");
  } else if (request.promotion() == v1::PROMOTION_NEVER) {
    fmt::print("it waits: starling models promote {}\n", version.version());
  } else if (version.compared_version().empty()) {
    fmt::print(
        "it waits, since it could not be compared with what serves: starling models promote "
        "{}\n",
        version.version());
  } else {
    fmt::print(
        "it is worse than version {}, which serves on: starling models promote {} all the "
        "same\n",
        version.compared_version(), version.version());
  }
  return OkStatus();
}

Status List(TrainingClient& client) {
  v1::ListVersionsRequest request;
  request.set_model(kModel);
  STARLING_ASSIGN_OR_RETURN(const v1::ListVersionsResponse listed,
                            client.Call(&v1::Training::ListVersions, request));
  fmt::print("{:<8} {:<8} {:<28} {:>9} {:>9} {:>10} {:<21} {}\n", "VERSION", "STATE", "ALGORITHM",
             "NDCG@10", "POPULAR", "MB", "TRAINED", "PROBLEM");
  for (const v1::ModelVersion& version : listed.versions()) {
    fmt::print("{:<8} {:<8} {:<28} {:>9.4f} {:>9.4f} {:>10.1f} {:<21} {}\n", version.version(),
               version.serving() ? "serves" : "kept", version.algorithm(),
               At(version.metrics(), "ndcg@10"), At(version.baseline_metrics(), "ndcg@10"),
               static_cast<double>(version.artifact_bytes()) / 1e6,
               FormatRfc3339(TimePoint(std::chrono::seconds(version.create_time().seconds()))),
               version.problem());
  }
  if (listed.versions().empty()) fmt::print("there is none; train one with `starling train`\n");
  return OkStatus();
}

Status Promote(TrainingClient& client, const std::string& version) {
  v1::PromoteVersionRequest request;
  request.set_model(kModel);
  request.set_version(version);
  STARLING_ASSIGN_OR_RETURN(const v1::ModelVersion promoted,
                            client.Call(&v1::Training::PromoteVersion, request));
  fmt::print("version {} serves\n", promoted.version());
  return OkStatus();
}

template <typename F>
int With(const CommonOptions& common, const ServerOptions& server, std::string command,
         const F& f) {
  const auto client = TrainingClient::Connect(common, server, std::move(command));
  if (!client.ok()) return Fail(client.status());
  const Status done = f(**client);
  const Status closed = (*client)->Close();
  if (!done.ok()) return Fail(done);
  return closed.ok() ? 0 : Fail(closed);
}

}  // namespace

int Train(const CommonOptions& common, const ServerOptions& server, const TrainOptions& options) {
  const auto promotion = ParsePromotion(options.promote);
  if (!promotion.ok()) return Fail(promotion.status());
  v1::TrainModelRequest request;
  request.set_model(kModel);
  request.set_algorithm(options.algorithm);
  request.set_promotion(*promotion);
  host::BlockSignals();
  return With(common, server, "starling train",
              [&](TrainingClient& client) { return TrainWith(client, request); });
}

int ModelsList(const CommonOptions& common, const ServerOptions& server) {
  return With(common, server, "starling models list", List);
}

int ModelsPromote(const CommonOptions& common, const ServerOptions& server,
                  const std::string& version) {
  return With(common, server, "starling models promote",
              [&](TrainingClient& client) { return Promote(client, version); });
}

}  // namespace starling

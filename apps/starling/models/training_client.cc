#include "apps/starling/models/training_client.h"

#include "apps/starling/load_config.h"
#include "apps/starling/models/remote_training.h"
#include "apps/starling/services.h"
#include "apps/starling/version.h"
#include "platform/host/process.h"
#include "platform/host/signals.h"

namespace starling {
namespace {

class LocalClient final : public TrainingClient {
 public:
  Status Start(const CommonOptions& common, std::string command) {
    STARLING_RETURN_IF_ERROR(LoadConfigForTool(common, config_));
    STARLING_ASSIGN_OR_RETURN(
        process_, host::Process::Start({.known = Services(),
                                        .serve = false,
                                        .data = common.data,
                                        .command = std::move(command),
                                        .version = kVersion,
                                        .remote_events = MakeRemoteEvents,
                                        .on_admin_key =
                                            [](std::string_view token) {
                                              fmt::print("admin key (shown only now): {}\n", token);
                                            }},
                                       config_.registry, config_.process));
    training_ = process_->services().Get<training::v1::Training>();
    if (training_ == nullptr) {
      return FailedPrecondition(
          "training runs elsewhere, as peers.services.training says; name that server with "
          "--server");
    }
    return OkStatus();
  }
  Status Close() override { return process_->Stop(); }

 private:
  Runtime& runtime() override { return process_->runtime(); }
  training::v1::Training& training() override { return *training_; }

  Configuration config_;
  std::unique_ptr<host::Process> process_;
  std::shared_ptr<training::v1::Training> training_;
};

class ServerClient final : public TrainingClient {
 public:
  explicit ServerClient(const ServerOptions& server)
      : training_(MakeRemoteTraining(client_, server.url, server.key)) {}
  Status Close() override { return OkStatus(); }

 private:
  Runtime& runtime() override { return runtime_; }
  training::v1::Training& training() override { return *training_; }

  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  http::Client client_{runtime_, {}};
  std::shared_ptr<training::v1::Training> training_;
};

}  // namespace

StatusOr<std::unique_ptr<TrainingClient>> TrainingClient::Connect(const CommonOptions& common,
                                                                  const ServerOptions& server,
                                                                  std::string command) {
  if (!server.url.empty()) return std::make_unique<ServerClient>(server);
  if (const std::string holder = host::DataFolder::Holder(common.data); !holder.empty()) {
    return FailedPrecondition(
        "{} is in use by {}; ask that server, with --server http://127.0.0.1:8080 and --key, a key "
        "with the scopes models.read and models.write",
        common.data.string(), holder);
  }
  host::BlockSignals();
  auto client = std::make_unique<LocalClient>();
  STARLING_RETURN_IF_ERROR(client->Start(common, std::move(command)));
  return client;
}

}  // namespace starling

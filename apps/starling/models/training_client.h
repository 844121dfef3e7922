// The training service as the commands use it: in this process on the data folder, or behind the
// HTTP API of a server.
//
//   StatusOr<std::unique_ptr<TrainingClient>> client = TrainingClient::Connect(options);
//   auto listed = (*client)->Call(&training::v1::Training::ListModels, {});
#pragma once

#include <memory>
#include <string>

#include "apps/starling/commands.h"
#include "contracts/training/v1/training.service.h"
#include "platform/async/runtime.h"

namespace starling {

class TrainingClient {
 public:
  // With options.server its API; otherwise every service in this process, which serves nobody. A
  // data folder that is in use is FAILED_PRECONDITION, saying --server.
  static StatusOr<std::unique_ptr<TrainingClient>> Connect(const CommonOptions& common,
                                                           const ServerOptions& server,
                                                           std::string command);
  virtual ~TrainingClient() = default;

  template <typename Request, typename Response>
  StatusOr<Response> Call(
      Task<StatusOr<Response>> (training::v1::Training::*method)(CallContext&, const Request&),
      const std::type_identity_t<Request>& request) {
    CallContext context = CallContext::ForService("command line", std::chrono::seconds(60));
    return runtime().Block((training().*method)(context, request));
  }
  // Ends what Connect began; for a process that is its orderly stop.
  virtual Status Close() = 0;

 private:
  virtual Runtime& runtime() = 0;
  virtual training::v1::Training& training() = 0;
};

}  // namespace starling

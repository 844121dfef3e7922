// Serves the local services of a registry over gRPC, without generated gRPC code: one generic
// handler for all methods.
//
//   GrpcServer server(runtime, registry, {.address = "127.0.0.1:0", .cluster_key = key,
//   .authenticator = &auth}); StatusOr<int> port = server.Start();
//   server.Drain(std::chrono::seconds(10));
//
// A call runs on one of the runtime's io threads through the in-process binding, so every rule
// holds here as it does in process. Messages above max_message_bytes are refused with
// RESOURCE_EXHAUSTED; calls above max_in_flight with UNAVAILABLE. Thread-safe. Destruction drains
// for one second.
#pragma once

#include <memory>
#include <string>

#include "platform/async/runtime.h"
#include "platform/rpc/registry.h"

namespace google::protobuf {
class DescriptorPool;
}
namespace starling::security {
class Authenticator;
}

namespace starling::rpc {

class GrpcServer {
 public:
  struct Options {
    std::string address = "127.0.0.1:0";
    std::string version = "dev";  // of this program, for who asks which contracts it has
    // Where its contracts are described; nullptr: as they were compiled in.
    const google::protobuf::DescriptorPool* contracts = nullptr;
    std::string cluster_key;  // "" trusts nobody's word on who calls
    security::Authenticator* authenticator = nullptr;
    int max_message_bytes = 4 << 20;
    int max_in_flight = 10'000;
  };
  GrpcServer(Runtime& runtime, const Registry& registry, Options options);
  ~GrpcServer();

  // The port that is listened on; UNAVAILABLE when it is taken, with what to do.
  StatusOr<int> Start();
  // Takes no new calls, waits for those in flight, cancels what remains after `limit`.
  void Drain(Duration limit);

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace starling::rpc

// A way to another process: what a generated client needs of it. To one address by gRPC
// (grpc_channel.h); to all that run a service, with retries and the like (service_channel.h).
//
// Thread-safe. A call ends at its context's deadline at the latest, and when the context is
// cancelled.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "platform/rpc/descriptor.h"
#include "platform/rpc/service.h"

namespace starling::rpc {

// The reason (WithReason) of an UNAVAILABLE that no second try mends: the other side's contract is
// another one.
inline constexpr std::string_view kContractMismatch = "CONTRACT_MISMATCH";

class Channel {
 public:
  virtual ~Channel() = default;
  virtual Task<StatusOr<std::string>> Call(const MethodDescriptor& method, CallContext& context,
                                           std::string request) = 0;
  virtual Task<Status> CallStream(const MethodDescriptor& method, CallContext& context,
                                  std::string request, ByteSink& sink) = 0;
  // Whether a call would be sent now; false starts an attempt to connect where that is needed.
  virtual bool Usable() { return true; }
  // Why no call is ever sent although the other side is there (its contract is another one); OK
  // otherwise. Not asked for while calls are sent.
  virtual Status Refusal() { return OkStatus(); }
  // "127.0.0.1:9000", for errors and `doctor`.
  virtual std::string_view target() const = 0;
};

template <typename Response, typename Request>
Task<StatusOr<Response>> CallRemote(Channel& channel, const MethodDescriptor& method,
                                    CallContext& context, const Request& request) {
  StatusOr<std::string> bytes = co_await channel.Call(method, context, request.SerializeAsString());
  if (!bytes.ok()) co_return std::move(bytes).status();
  Response response;
  if (!response.ParseFromString(*bytes)) {
    co_return Internal("{}: the answer from {} is not a {}", method.full_name, channel.target(),
                       Response::descriptor()->full_name());
  }
  co_return response;
}

template <typename Response>
class DecodingSink final : public ByteSink {
 public:
  explicit DecodingSink(Stream<Response>& out) : out_(out) {}
  Task<Status> Write(std::string bytes) override {
    Response response;
    if (!response.ParseFromString(bytes))
      co_return Internal("an answer is not a {}", Response::descriptor()->full_name());
    co_return co_await out_.Write(response);
  }

 private:
  Stream<Response>& out_;
};

template <typename Response, typename Request>
Task<Status> StreamRemote(Channel& channel, const MethodDescriptor& method, CallContext& context,
                          const Request& request, Stream<Response>& out) {
  DecodingSink<Response> sink(out);
  co_return co_await channel.CallStream(method, context, request.SerializeAsString(), sink);
}

}  // namespace starling::rpc

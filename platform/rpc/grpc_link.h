// Whether the other end of a gRPC channel may be called: it is connected, and has our contract.
// Internal to the gRPC channel.
//
//   away -> READY -> asking -> usable | refused      without a contract to ask for: READY -> usable
//     any -> not READY -> away
//
// Thread-safe.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "platform/rpc/grpc_channel.h"

namespace starling::rpc {

grpc::ByteBuffer ToBuffer(const std::string& bytes);
std::string ToString(const grpc::ByteBuffer& buffer);

class GrpcLink : public std::enable_shared_from_this<GrpcLink> {
 public:
  // `options` outlives the use of the link, until Close.
  GrpcLink(const GrpcChannelOptions& options, const std::shared_ptr<grpc::Channel>& channel)
      : options_(options), channel_(channel) {}

  void OnState(grpc_connectivity_state now);
  bool Usable();
  // OK, or why it is never called.
  Status Refusal() const;
  // OK, or why not now, of what gRPC itself does not know.
  Status MayCall() const;
  // Ends what it asks.
  void Close();

 private:
  enum State { kAway, kUnasked, kAsking, kUsable, kRefused };
  struct Question;
  void Ask();  // under mutex_
  void Answered(const Question& question, const Status& status, const std::string& answer);
  State Judge(const Status& status, const std::string& answer);  // under mutex_
  void Count(const char* result) const;

  const GrpcChannelOptions options_;
  const std::weak_ptr<grpc::Channel> channel_;
  std::atomic<State> state_{kAway};
  mutable std::mutex mutex_;
  std::shared_ptr<Question> question_;  // the open one
  std::string warned_;                  // the difference that was told last
  Status refusal_;
  bool closed_ = false;
};

}  // namespace starling::rpc

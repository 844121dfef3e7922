// Watches the connections of gRPC channels, each change as it comes, on one thread for all.
//
//   const std::shared_ptr<ChannelStates> states = ChannelStates::Shared();
//   states->Watch(channel, [link](grpc_connectivity_state now) { ... });
//
// gRPC itself looks after a connection only while a call is on it, or every five seconds; a watch
// is someone who waits on its socket. A channel that is idle or lost is connected again at once,
// after gRPC's own back-off.
//
// A watch ends with its channel, which must be gone before the last owner of the ChannelStates is.
// Thread-safe.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>

#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace starling::rpc {

class ChannelStates {
 public:
  using OnState = std::function<void(grpc_connectivity_state)>;

  // The one of this process, made when nobody has it.
  static std::shared_ptr<ChannelStates> Shared();
  ~ChannelStates();
  ChannelStates(const ChannelStates&) = delete;
  ChannelStates& operator=(const ChannelStates&) = delete;

  // `on_state` is called with the state there is, then with each new one, never concurrently; it
  // must not block, nor own the channel.
  void Watch(const std::shared_ptr<grpc::Channel>& channel, OnState on_state);

 private:
  struct Watched;
  ChannelStates();
  void Run();
  // Tells the state and waits for the next; false when there is nothing to watch any more.
  bool Next(Watched& watched);

  grpc::CompletionQueue queue_;
  std::mutex mutex_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace starling::rpc

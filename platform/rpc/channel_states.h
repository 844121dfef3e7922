// Watches the connections of gRPC channels, each change as it comes, on one thread for all.
//
//   const std::shared_ptr<ChannelStates> states = ChannelStates::Shared();
//   states->Watch(channel, [link](grpc_connectivity_state now) { ... });
//
// gRPC itself looks after a connection only while a call is on it, or every five seconds; a watch
// is someone who waits on its socket. A channel that is idle or lost is connected again at once,
// after gRPC's own back-off.
//
// A watch keeps its channel, and drops it when nobody else has it, kEnd later at most: in gRPC 1.51
// a channel that ends while a change of its state is told uses the watcher after it is gone
// (ClientChannel::ExternalConnectivityWatcher::Notify, whose clean-up is queued behind the end), so
// the last reference goes here, where no watch is pending. Thread-safe.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/completion_queue.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace starling::rpc {

class ChannelStates {
 public:
  using OnState = std::function<void(grpc_connectivity_state)>;
  static constexpr std::chrono::milliseconds kEnd{100};

  // The one of this process, made when nobody has it.
  static std::shared_ptr<ChannelStates> Shared();
  ~ChannelStates();  // waits kEnd at most
  ChannelStates(const ChannelStates&) = delete;
  ChannelStates& operator=(const ChannelStates&) = delete;

  // `on_state` is called with the state there is, then with each new one, never concurrently; it
  // must not block, nor own the channel.
  void Watch(std::shared_ptr<grpc::Channel> channel, OnState on_state);

 private:
  struct Watched;
  ChannelStates();
  void Run();
  // Tells the state if it changed, and waits for the next; false when nobody else has the channel
  // any more.
  bool Next(Watched& watched, bool changed);

  grpc::CompletionQueue queue_;
  std::mutex mutex_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace starling::rpc

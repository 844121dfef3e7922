#include "platform/rpc/channel_states.h"

#include <utility>

namespace starling::rpc {

struct ChannelStates::Watched {
  std::shared_ptr<grpc::Channel> channel;
  OnState on_state;
  grpc_connectivity_state told = GRPC_CHANNEL_IDLE;
};

std::shared_ptr<ChannelStates> ChannelStates::Shared() {
  static std::mutex mutex;
  static std::weak_ptr<ChannelStates> known;
  const std::lock_guard lock(mutex);
  std::shared_ptr<ChannelStates> states = known.lock();
  if (states == nullptr) {
    states = std::shared_ptr<ChannelStates>(new ChannelStates());
    known = states;
  }
  return states;
}

ChannelStates::ChannelStates() : thread_([this] { Run(); }) {}

ChannelStates::~ChannelStates() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  queue_.Shutdown();
  thread_.join();
}

void ChannelStates::Watch(std::shared_ptr<grpc::Channel> channel, OnState on_state) {
  auto watched = std::make_unique<Watched>(Watched{std::move(channel), std::move(on_state)});
  if (Next(*watched, true)) (void)watched.release();  // the queue's until it comes back
}

bool ChannelStates::Next(Watched& watched, bool changed) {
  if (watched.channel.use_count() == 1) return false;  // and nobody can get at it again
  const grpc_connectivity_state now = watched.channel->GetState(true);
  // It may have changed since the time was over.
  if (changed || now != watched.told) watched.on_state(now);
  watched.told = now;
  const std::lock_guard lock(mutex_);
  if (ending_ || now == GRPC_CHANNEL_SHUTDOWN) return false;
  watched.channel->NotifyOnStateChange(now, std::chrono::system_clock::now() + kEnd, &queue_,
                                       &watched);
  return true;
}

void ChannelStates::Run() {
  void* tag = nullptr;
  bool ok = false;  // the state changed; else the time was over
  while (queue_.Next(&tag, &ok)) {
    std::unique_ptr<Watched> watched(static_cast<Watched*>(tag));
    if (Next(*watched, ok)) (void)watched.release();
  }
}

}  // namespace starling::rpc

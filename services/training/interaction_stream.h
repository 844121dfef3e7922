// The stream of interactions between the io thread that receives it and the thread that trains.
//
//   InteractionStream stream(64);
//   Spawn(executor, [&]() -> Task<void> {
//     stream.End(co_await features->ExportInteractions(context, {}, stream));
//   });
//   while (!stream.ended()) {
//     if (std::optional<UserInteractions> user = stream.Next(limit)) ...   // blocks, for `limit`
//   }
//   Status ended = stream.status();
//
// At most `capacity` messages wait; then the sender does, without holding its thread. Stop makes
// its next Write give CANCELLED. The stream must live until it has ended.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "contracts/features/v1/features.pb.h"
#include "platform/rpc/service.h"

namespace starling::training {

class InteractionStream final : public rpc::Stream<features::v1::UserInteractions> {
 public:
  explicit InteractionStream(size_t capacity) : capacity_(capacity) {}

  Task<Status> Write(const features::v1::UserInteractions& user) override {
    Status status = co_await Suspend<Status>([&](Completion<Status> completion) {
      std::unique_lock lock(mutex_);
      if (!stopped_ && users_.size() >= capacity_) {
        waiting_ = std::move(completion);
        return;
      }
      const bool stopped = stopped_;
      lock.unlock();
      completion(stopped ? Cancelled("the training ended") : OkStatus());
    });
    if (!status.ok()) co_return status;
    {
      const std::lock_guard lock(mutex_);
      users_.push_back(user);
    }
    changed_.notify_one();
    co_return OkStatus();
  }

  // No more will come.
  void End(Status status) {
    const std::lock_guard lock(mutex_);
    status_ = std::move(status);
    ended_ = true;
    changed_.notify_one();  // under the lock: the stream may be gone right after it
  }

  // Whether the sender is done and everything was taken.
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_ && users_.empty();
  }

  std::optional<features::v1::UserInteractions> Next(Duration limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [&] { return ended_ || !users_.empty(); });
    if (users_.empty()) return std::nullopt;
    features::v1::UserInteractions user = std::move(users_.front());
    users_.pop_front();
    Completion<Status> waiter = std::move(waiting_);
    lock.unlock();
    if (waiter) waiter(OkStatus());
    return user;
  }

  void Stop() {
    std::unique_lock lock(mutex_);
    stopped_ = true;
    Completion<Status> waiter = std::move(waiting_);
    lock.unlock();
    if (waiter) waiter(Cancelled("the training ended"));
  }

  const Status& status() const { return status_; }

 private:
  const size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<features::v1::UserInteractions> users_;
  Completion<Status> waiting_;
  bool stopped_ = false;
  bool ended_ = false;
  Status status_;
};

}  // namespace starling::training

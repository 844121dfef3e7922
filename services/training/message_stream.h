// A stream of messages between the io thread that receives it and the thread that trains.
//
//   MessageStream<UserInteractions> stream(64);
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

#include "platform/rpc/service.h"

namespace starling::training {

template <typename T>
class MessageStream final : public rpc::Stream<T> {
 public:
  explicit MessageStream(size_t capacity) : capacity_(capacity) {}

  Task<Status> Write(const T& message) override {
    Status status = co_await Suspend<Status>([&](Completion<Status> completion) {
      std::unique_lock lock(mutex_);
      if (!stopped_ && messages_.size() >= capacity_) {
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
      messages_.push_back(message);
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
    return ended_ && messages_.empty();
  }

  std::optional<T> Next(Duration limit) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, limit, [&] { return ended_ || !messages_.empty(); });
    if (messages_.empty()) return std::nullopt;
    T message = std::move(messages_.front());
    messages_.pop_front();
    Completion<Status> waiter = std::move(waiting_);
    lock.unlock();
    if (waiter) waiter(OkStatus());
    return message;
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
  std::deque<T> messages_;
  Completion<Status> waiting_;
  bool stopped_ = false;
  bool ended_ = false;
  Status status_;
};

}  // namespace starling::training

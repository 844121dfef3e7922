// A queue with a bound between threads, its consumer a coroutine.
//
//   BoundedQueue<Event> queue(1024);
//   if (!queue.TryPush(event)) { dropped.Increment(); }        // any thread, never waits
//   while (std::optional<Event> event = co_await queue.Pop()) ...  // nullopt once closed and empty
//
// At the bound TryPush gives false and takes nothing: what then happens is the caller's choice, to
// be counted. Thread-safe; several consumers may wait, first come first served. A push costs one
// uncontended lock.
#pragma once

#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "platform/async/task.h"

namespace starling {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(size_t capacity) : capacity_(capacity) {}

  [[nodiscard]] bool TryPush(T value) {
    Completion<std::optional<T>> waiter;
    {
      const std::lock_guard lock(mutex_);
      if (closed_ || values_.size() >= capacity_) return false;
      if (waiters_.empty()) {
        values_.push_back(std::move(value));
        return true;
      }
      waiter = std::move(waiters_.front());
      waiters_.pop_front();
    }
    waiter(std::optional<T>(std::move(value)));
    return true;
  }

  Task<std::optional<T>> Pop() {
    co_return co_await Suspend<std::optional<T>>([this](Completion<std::optional<T>> completion) {
      std::unique_lock lock(mutex_);
      if (values_.empty() && !closed_) {
        waiters_.push_back(std::move(completion));
        return;
      }
      std::optional<T> value;
      if (!values_.empty()) {
        value = std::move(values_.front());
        values_.pop_front();
      }
      lock.unlock();
      completion(std::move(value));
    });
  }

  // No more is taken; what is inside is still given out.
  void Close() {
    std::deque<Completion<std::optional<T>>> waiters;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      waiters.swap(waiters_);
    }
    for (auto& waiter : waiters) waiter(std::nullopt);
  }

  size_t size() const {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }
  size_t capacity() const { return capacity_; }

 private:
  const size_t capacity_;
  mutable std::mutex mutex_;
  std::deque<T> values_;
  std::deque<Completion<std::optional<T>>> waiters_;
  bool closed_ = false;
};

}  // namespace starling

// The bounded pool for calls that block: SQLite, fsync, big scans, password hashes.
//
//   StatusOr<Rows> rows = co_await pool.Run([&]() -> StatusOr<Rows> { return connection.Query(...);
//   });
//
// The function runs on one of the pool's threads; the coroutine goes on on its own executor. At the
// bound (queue_limit waiting calls) Run fails at once with UNAVAILABLE, reason OVERLOADED and a
// retry delay: it never waits for room. Thread-safe. A hop there and back costs about 10 us.
// Destruction stops.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "platform/async/task.h"

namespace starling {

class BlockingPool {
 public:
  struct Options {
    std::string name =
        "blocking";  // thread name and error text; at most 12 characters show in top(1)
    int threads = 2;
    size_t queue_limit = 4096;
    // By how much its threads are nicer than who makes them (setpriority(2)): they leave the
    // processor to others that want it.
    int nice = 0;
  };
  explicit BlockingPool(Options options);
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  // f returns Status or StatusOr<T>; so does Run.
  template <typename F>
  Task<std::invoke_result_t<F&>> Run(F f) {
    using Result = std::invoke_result_t<F&>;
    co_return co_await Suspend<Result>([this, &f](Completion<Result> completion) {
      auto shared = std::make_shared<Completion<Result>>(std::move(completion));
      const Status accepted = Submit([&f, shared] { (*shared)(f()); });
      if (!accepted.ok()) (*shared)(Result(accepted));
    });
  }

  // The same without a coroutine: runs f later, or says why it will not.
  Status Submit(std::function<void()> f);

  // Runs what was accepted, joins, and accepts nothing more. Not while another thread stops it.
  void Stop();

  // Calls that wait now; for metrics.
  size_t Waiting() const;
  const Options& options() const { return options_; }

 private:
  void Work();

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace starling

// Task<T>: what every coroutine in Starling returns, and the one bridge from callbacks to
// coroutines.
//
//   Task<StatusOr<int>> Answer(BlockingPool& pool) {
//     co_await SleepFor(std::chrono::milliseconds(10));
//     StatusOr<int> answer = co_await pool.Run([]() -> StatusOr<int> { return 42; });
//     co_return answer;
//   }
//   int answer = RunSync(Answer(pool)).value();   // in a test or in main, never on an io thread
//
// A task is lazy: it runs when awaited, on its caller's thread, and stays there. It costs about 20
// ns. Bind a co_await's result to a local before using it inside ?:, an initialiser list or a call
// with other temporaries: GCC 12 destroys temporaries there too early or twice.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling {

template <typename T>
using Task = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;

// Resumes a suspended coroutine with a value: callable once, from any thread; the coroutine goes on
// on its own executor. Destroyed without a call, it destroys the coroutine (as at shutdown).
template <typename T>
class Completion {
 public:
  struct State {
    virtual ~State() = default;
    virtual void Complete(T value) = 0;
  };
  Completion() = default;
  explicit Completion(std::unique_ptr<State> state) : state_(std::move(state)) {}
  explicit operator bool() const { return state_ != nullptr; }
  void operator()(T value) { std::exchange(state_, nullptr)->Complete(std::move(value)); }

 private:
  std::unique_ptr<State> state_;
};

Task<void> SleepFor(Duration duration);
Task<Executor> CurrentExecutor();

// Starts a task on an executor and forgets it. An exception that leaves it ends the process: it is
// our bug.
void Spawn(const Executor& executor, Task<void> task);
void Spawn(const Executor& executor, std::function<Task<void>()> task);

}  // namespace starling

#include "platform/async/task_impl.h"

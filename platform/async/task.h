// Task<T>: what every coroutine in Starling returns.
//
//   Task<StatusOr<int>> Answer(BlockingPool& pool) {
//     co_await SleepFor(std::chrono::milliseconds(10));
//     StatusOr<int> answer = co_await pool.Run([]() -> StatusOr<int> { return 42; });
//     co_return answer;
//   }
//   int answer = RunSync(Answer(pool)).value();   // in a test or in main, never on an io thread
//
// A task is lazy: it runs when awaited, once, on its caller's thread, and stays there. A call that
// does not wait costs about 15 ns and a move of its result; one whose result is large can be read
// where it is:
//
//   Task<StatusOr<Product>> call = catalog.GetProduct(context, request);
//   StatusOr<Product>& product = co_await call;      // lives as long as `call`
//
// Bridges: Suspend turns a callback into a coroutine's wait, Spawn starts a task from ordinary
// code, and asio_await.h awaits Asio's operations.
//
// When the io_context of a waiting task ends, the task's frames are destroyed where they wait:
// destructors run, nothing after the co_await does.
//
// Bind a co_await's result to a local before using it inside ?:, an initialiser list or a call
// with other temporaries: GCC 12 destroys temporaries there too early or twice.
//
// Why not boost::asio::awaitable: docs/decisions/008-own-task.md.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling {

template <typename T>
class Task;

// Where a task runs. Every executor in Starling is that of an io_context with one thread.
using Executor = boost::asio::io_context::executor_type;

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

// co_await Suspend<T>(start): suspends the calling coroutine, hands its Completion<T> to `start`,
// and gives what it is completed with.
template <typename T, typename Start>
auto Suspend(Start start);

Task<void> SleepFor(Duration duration);

// co_await CurrentExecutor(): where the calling coroutine runs. Never waits.
auto CurrentExecutor();

// Starts a task on an executor and forgets it; at once, when called on that executor's thread. An
// exception that leaves it ends the process: it is our bug.
void Spawn(const Executor& executor, Task<void> task);
// The same with a function that makes the task, which lives as long as the task does.
void Spawn(const Executor& executor, std::function<Task<void>()> task);

// Runs a task on another executor and gives its result on the caller's.
template <typename T>
Task<T> RunOn(Executor executor, Task<T> task);

// Runs a task to its end on the calling thread with an io_context of its own. For tests and main.
template <typename T>
T RunSync(Task<T> task);

}  // namespace starling

#include "platform/async/task_impl.h"

// The threads of a process: one io_context a core with one thread each, the pool for what blocks,
// and one thread for what may wait.
//
//   Runtime runtime({.io_threads = 2});
//   Spawn(runtime.executor(0), Serve());
//   StatusOr<int> answer = runtime.Block(Compute());   // from a thread that is not an io thread
//   runtime.Stop();
//
// A request lives on one io thread from accept to answer. Nothing may block an io thread: a debug
// build measures each step and says so on stderr when one takes longer than `slow_step`.
// Destruction stops and joins.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "platform/async/blocking_pool.h"
#include "platform/async/task.h"

namespace starling {

class Runtime {
 public:
  struct Options {
    int io_threads = 0;  // 0: one a core
    int blocking_threads = 4;
    size_t blocking_queue_limit = 4096;
    Duration slow_step = std::chrono::milliseconds(50);
  };
  explicit Runtime(Options options);
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  int io_threads() const { return static_cast<int>(contexts_.size()); }
  boost::asio::io_context& context(int index) { return *contexts_[index]; }
  Executor executor(int index) { return contexts_[index]->get_executor(); }
  // One after the other, to spread work that has no home.
  Executor NextExecutor();
  BlockingPool& blocking() { return blocking_; }
  // For work that blocks and that no request waits for, as taking a changed configuration: one
  // thread, which gets about a tenth of a core where those that serve want all of it.
  BlockingPool& background() { return background_; }

  // Runs a task on an io thread and waits for its result. Never call it on an io thread.
  template <typename T>
  T Block(Task<T> task) {
    std::promise<T> promise;
    Spawn(NextExecutor(), Deliver(std::move(task), promise));
    return promise.get_future().get();
  }
  void Block(Task<void> task) {
    std::promise<void> promise;
    Spawn(NextExecutor(), DeliverVoid(std::move(task), promise));
    promise.get_future().get();
  }

  // Ends the threads and destroys the coroutines that still wait. Whoever owns what such coroutines
  // refer to calls it first: see StopAtEnd. May be called again.
  void Stop();

 private:
  struct Context final : boost::asio::io_context {
    using boost::asio::io_context::io_context;
    // Of every coroutine, timer and socket that waits here. What is posted later is destroyed with
    // the context.
    void DestroyWaiting() { shutdown(); }
  };
  using WorkGuard = boost::asio::executor_work_guard<Executor>;
  template <typename T>
  static Task<void> Deliver(Task<T> task, std::promise<T>& promise) {
    T value = co_await std::move(task);
    promise.set_value(std::move(value));
  }
  static Task<void> DeliverVoid(Task<void> task, std::promise<void>& promise) {
    co_await std::move(task);
    promise.set_value();
  }
  void RunContext(int index);

  const Options options_;
  std::vector<std::unique_ptr<Context>> contexts_;
  std::vector<WorkGuard> guards_;
  std::vector<std::thread> threads_;
  std::atomic<unsigned> next_{0};
  // Last: they finish what they accepted while the contexts still exist.
  BlockingPool blocking_;
  BlockingPool background_;
};

// Stops a runtime when it goes out of scope: as a member behind all that waiting coroutines refer
// to, it ends them first.
class StopAtEnd {
 public:
  explicit StopAtEnd(Runtime& runtime) : runtime_(runtime) {}
  ~StopAtEnd() { runtime_.Stop(); }
  StopAtEnd(const StopAtEnd&) = delete;
  StopAtEnd& operator=(const StopAtEnd&) = delete;

 private:
  Runtime& runtime_;
};

}  // namespace starling

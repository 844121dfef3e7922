#include "platform/async/runtime.h"

#include <pthread.h>

#include <algorithm>
#include <cstdio>

namespace starling {
namespace {

// A weight of 110 where others have 1024 (sched(7)).
constexpr int kBackgroundNice = 10;

}  // namespace

Runtime::Runtime(Options options)
    : options_(options),
      blocking_({.name = "blocking",
                 .threads = options.blocking_threads,
                 .queue_limit = options.blocking_queue_limit}),
      background_({.name = "background",
                   .threads = 1,
                   .queue_limit = options.blocking_queue_limit,
                   .nice = kBackgroundNice}) {
  const int count = options_.io_threads > 0
                        ? options_.io_threads
                        : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (int i = 0; i < count; ++i) {
    contexts_.push_back(std::make_unique<Context>(1));
    guards_.emplace_back(contexts_.back()->get_executor());
  }
  for (int i = 0; i < count; ++i) {
    threads_.emplace_back([this, i] { RunContext(i); });
    pthread_setname_np(threads_.back().native_handle(), fmt::format("io-{}", i).c_str());
  }
}

Runtime::~Runtime() { Stop(); }

void Runtime::Stop() {
  for (auto& context : contexts_) context->stop();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  blocking_.Stop();
  background_.Stop();
  for (auto& context : contexts_) context->DestroyWaiting();
}

Executor Runtime::NextExecutor() {
  return executor(
      static_cast<int>(next_.fetch_add(1, std::memory_order_relaxed) % contexts_.size()));
}

void Runtime::RunContext(int index) {
  boost::asio::io_context& context = *contexts_[index];
#ifdef STARLING_DEBUG
  while (!context.stopped()) {
    if (context.poll_one() == 0) {
      // Nothing was ready: wait for one step; its own time cannot be told from the waiting, so it
      // is not measured.
      context.run_one();
      continue;
    }
    Instant start = std::chrono::steady_clock::now();
    while (context.poll_one() > 0) {
      const Instant end = std::chrono::steady_clock::now();
      if (end - start > options_.slow_step) {
        std::fprintf(
            stderr, "warning: io thread %d was blocked for %lld ms by one step\n", index,
            static_cast<long long>(
                std::chrono::duration_cast<std::chrono::milliseconds>(end - start).count()));
      }
      start = end;
    }
  }
#else
  context.run();
#endif
}

}  // namespace starling

#include "platform/async/task.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdio>
#include <cstdlib>

namespace starling {
namespace {

void EndOnException(const std::exception_ptr& error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fatal: an exception left a coroutine: %s\n", e.what());
  } catch (...) {
    std::fprintf(stderr, "fatal: an unknown exception left a coroutine\n");
  }
  std::abort();
}

}  // namespace

Task<void> SleepFor(Duration duration) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, duration);
  co_await timer.async_wait(boost::asio::use_awaitable);
}

Task<Executor> CurrentExecutor() { co_return co_await boost::asio::this_coro::executor; }

void Spawn(const Executor& executor, Task<void> task) {
  boost::asio::co_spawn(executor, std::move(task), EndOnException);
}

void Spawn(const Executor& executor, std::function<Task<void>()> task) {
  boost::asio::co_spawn(executor, std::move(task), EndOnException);
}

}  // namespace starling

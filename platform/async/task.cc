#include "platform/async/task.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>

#include "platform/async/asio_await.h"

namespace starling {
namespace async_internal {
namespace {

// Owns a frame that waits for its first step, or to be destroyed.
class Frame {
 public:
  explicit Frame(std::coroutine_handle<> handle) : handle_(handle) {}
  Frame(Frame&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Frame& operator=(Frame&&) = delete;
  ~Frame() {
    if (handle_) handle_.destroy();
  }
  std::coroutine_handle<> Release() { return std::exchange(handle_, nullptr); }

 private:
  std::coroutine_handle<> handle_;
};

[[noreturn]] void EndOnException() {
  try {
    throw;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fatal: an exception left a coroutine: %s\n", e.what());
  } catch (...) {
    std::fprintf(stderr, "fatal: an unknown exception left a coroutine\n");
  }
  std::abort();
}

// The outermost frame of a chain: it owns itself, from its start to its end.
struct Outermost {
  struct promise_type {
    // The arguments are the coroutine's: the executor comes first.
    template <typename... Arguments>
    explicit promise_type(const Executor& executor, Arguments&...)
        : own{executor, std::coroutine_handle<promise_type>::from_promise(*this)} {}
    Outermost get_return_object() { return {own.outermost}; }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { EndOnException(); }

    const Chain own;
    const Chain* chain = &own;
  };
  std::coroutine_handle<> handle;
};

Outermost Run(Executor, Task<void> task) { co_await std::move(task); }

Outermost RunMade(Executor, std::function<Task<void>()> make) { co_await make(); }

void Start(const Executor& executor, Outermost outermost) {
  boost::asio::dispatch(executor,
                        [frame = Frame(outermost.handle)]() mutable { frame.Release().resume(); });
}

}  // namespace

void Abandon(const Chain& chain) {
  boost::asio::post(chain.executor, [frame = Frame(chain.outermost)] { (void)frame; });
}

}  // namespace async_internal

Task<void> SleepFor(Duration duration) {
  const Executor executor = co_await CurrentExecutor();
  boost::asio::steady_timer timer(executor, duration);
  boost::system::error_code ignored;
  co_await timer.async_wait(AsTask(ignored));
}

void Spawn(const Executor& executor, Task<void> task) {
  async_internal::Start(executor, async_internal::Run(executor, std::move(task)));
}

void Spawn(const Executor& executor, std::function<Task<void>()> task) {
  async_internal::Start(executor, async_internal::RunMade(executor, std::move(task)));
}

}  // namespace starling

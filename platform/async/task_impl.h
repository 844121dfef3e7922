// The templates behind task.h.
//
// A frame's promise points to the context of its chain: where it runs, and the outermost frame,
// which owns all others. An awaited task is resumed inside its caller's await_suspend: when it ends
// without waiting, the caller goes on there, and no stack grows in a loop whatever the compiler
// does with tail calls. When it waits, it resumes its caller at its own end. That needs no atomics,
// since a chain runs on one thread.
//
// A chain that waits is owned by what will resume it, a Resumer: dropped without a call, it
// destroys the outermost frame, and with it the others.
#pragma once

#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <coroutine>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>

namespace starling {
namespace async_internal {

struct Chain {
  Executor executor;
  std::coroutine_handle<> outermost;
};

// Destroys a waiting chain, on its executor: now would be under the feet of who is just suspending.
void Abandon(const Chain& chain);

// Whoever holds it resumes a waiting coroutine, once, or destroys its chain.
class Resumer {
 public:
  Resumer(const Chain& chain, std::coroutine_handle<> waiting)
      : chain_(&chain), waiting_(waiting) {}
  Resumer(Resumer&& other) noexcept
      : chain_(std::exchange(other.chain_, nullptr)), waiting_(other.waiting_) {}
  Resumer& operator=(Resumer&&) = delete;
  ~Resumer() {
    if (chain_ != nullptr) Abandon(*chain_);
  }
  Executor executor() const { return chain_->executor; }
  // On the executor's thread.
  void Resume() {
    chain_ = nullptr;
    waiting_.resume();
  }

 private:
  const Chain* chain_;
  std::coroutine_handle<> waiting_;
};

class PromiseBase {
 public:
  struct Final {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
      const std::coroutine_handle<> caller = ended.promise().caller;
      if (caller) caller.resume();
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }

  const Chain* chain = nullptr;
  std::coroutine_handle<> caller;  // none while it runs inside its caller's await_suspend
};

template <typename T>
class Promise final : public PromiseBase {
 public:
  Promise() noexcept {}
  Promise(const Promise&) = delete;
  Promise& operator=(const Promise&) = delete;
  ~Promise() {
    if (has_ == Has::kValue) value_.~T();
    if (has_ == Has::kError) error_.~exception_ptr();
  }
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& value) {
    new (&value_) T(std::forward<U>(value));
    has_ = Has::kValue;
  }
  void unhandled_exception() noexcept {
    new (&error_) std::exception_ptr(std::current_exception());
    has_ = Has::kError;
  }
  T& value() {
    if (has_ == Has::kError) std::rethrow_exception(error_);
    return value_;
  }

 private:
  enum class Has : unsigned char { kNothing, kValue, kError };
  union {
    T value_;
    std::exception_ptr error_;
  };
  Has has_ = Has::kNothing;
};

template <>
class Promise<void> final : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void unhandled_exception() noexcept { error_ = std::current_exception(); }
  void value() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

// Runs the task inside the caller's suspension; suspends the caller only when the task waits.
template <typename T>
class TaskAwaiter {
 public:
  explicit TaskAwaiter(std::coroutine_handle<Promise<T>> task) : task_(task) {}
  bool await_ready() const noexcept { return false; }
  template <typename Caller>
  bool await_suspend(std::coroutine_handle<Caller> caller) {
    task_.promise().chain = caller.promise().chain;
    task_.resume();
    if (task_.done()) return false;
    task_.promise().caller = caller;
    return true;
  }

 protected:
  std::coroutine_handle<Promise<T>> task_;
};

}  // namespace async_internal

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = async_internal::Promise<T>;
  using value_type = T;
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter final : async_internal::TaskAwaiter<T> {
      using async_internal::TaskAwaiter<T>::TaskAwaiter;
      T await_resume() const {
        if constexpr (std::is_void_v<T>) {
          this->task_.promise().value();
        } else {
          return std::move(this->task_.promise().value());
        }
      }
    };
    return Awaiter(handle_);
  }
  // The result stays where it is, in the task.
  auto operator co_await() & noexcept {
    struct Awaiter final : async_internal::TaskAwaiter<T> {
      using async_internal::TaskAwaiter<T>::TaskAwaiter;
      decltype(auto) await_resume() const { return this->task_.promise().value(); }
    };
    return Awaiter(handle_);
  }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

namespace async_internal {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

template <typename T, typename Start>
class Suspension {
 public:
  explicit Suspension(Start start) : start_(std::move(start)) {}
  bool await_ready() const noexcept { return false; }
  template <typename Caller>
  void await_suspend(std::coroutine_handle<Caller> caller) {
    start_(
        Completion<T>(std::make_unique<State>(Resumer(*caller.promise().chain, caller), value_)));
  }
  T await_resume() { return *std::move(value_); }

 private:
  class State final : public Completion<T>::State {
   public:
    State(Resumer resumer, std::optional<T>& value)
        : work_(resumer.executor()), resumer_(std::move(resumer)), value_(value) {}
    void Complete(T value) override {
      boost::asio::post(work_.get_executor(), [resumer = std::move(resumer_), &to = value_,
                                               value = std::move(value)]() mutable {
        to.emplace(std::move(value));
        resumer.Resume();
      });
    }

   private:
    // Keeps the coroutine's io_context running while it waits.
    boost::asio::executor_work_guard<Executor> work_;
    Resumer resumer_;
    std::optional<T>& value_;
  };
  Start start_;
  std::optional<T> value_;
};

struct ExecutorOf {
  bool await_ready() const noexcept { return false; }
  template <typename Caller>
  bool await_suspend(std::coroutine_handle<Caller> caller) noexcept {
    chain = caller.promise().chain;
    return false;
  }
  Executor await_resume() const noexcept { return chain->executor; }
  const Chain* chain = nullptr;
};

}  // namespace async_internal

template <typename T, typename Start>
auto Suspend(Start start) {
  return async_internal::Suspension<T, Start>(std::move(start));
}

inline auto CurrentExecutor() { return async_internal::ExecutorOf(); }

template <typename T>
Task<T> RunOn(Executor executor, Task<T> task) {
  co_return co_await Suspend<T>([&](Completion<T> completion) {
    Spawn(executor, [](Task<T> task, Completion<T> completion) -> Task<void> {
      completion(co_await std::move(task));
    }(std::move(task), std::move(completion)));
  });
}

template <typename T>
T RunSync(Task<T> task) {
  boost::asio::io_context context(1);
  std::exception_ptr error;
  if constexpr (std::is_void_v<T>) {
    Spawn(context.get_executor(), [](Task<T> task, std::exception_ptr& error) -> Task<void> {
      try {
        co_await std::move(task);
      } catch (...) {
        error = std::current_exception();
      }
    }(std::move(task), error));
    context.run();
    if (error) std::rethrow_exception(error);
  } else {
    std::optional<T> result;
    Spawn(context.get_executor(),
          [](Task<T> task, std::optional<T>& result, std::exception_ptr& error) -> Task<void> {
            try {
              result.emplace(co_await std::move(task));
            } catch (...) {
              error = std::current_exception();
            }
          }(std::move(task), result, error));
    context.run();
    if (error) std::rethrow_exception(error);
    return *std::move(result);
  }
}

}  // namespace starling

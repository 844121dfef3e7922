// Awaits Asio's operations in a Task.
//
//   error_code error;
//   const size_t size = co_await socket.async_read_some(buffer, AsTask(error));
//   co_await timer.async_wait(AsTask(error));
//
// The operation's error goes to `error`, its other result (none or one) is given. The operation
// starts when it is awaited; its handler runs on the coroutine's executor.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/system/error_code.hpp>
#include <tuple>

#include "platform/async/task.h"

namespace starling {

struct AsTask {
  explicit AsTask(boost::system::error_code& error) : error(&error) {}
  boost::system::error_code* error;
};

namespace async_internal {

template <typename Result, typename Initiation, typename... Arguments>
class AsioOperation {
 public:
  AsioOperation(boost::system::error_code* error, Initiation initiation, Arguments... arguments)
      : error_(error),
        initiation_(std::move(initiation)),
        arguments_(std::forward<Arguments>(arguments)...) {}

  bool await_ready() const noexcept { return false; }
  template <typename Caller>
  void await_suspend(std::coroutine_handle<Caller> caller) {
    std::apply(
        [&](auto&... arguments) {
          std::move(initiation_)(Handler(*this, Resumer(*caller.promise().chain, caller)),
                                 std::move(arguments)...);
        },
        arguments_);
  }
  Result await_resume() {
    if constexpr (!std::is_void_v<Result>) return std::move(*result_);
  }

 private:
  class Handler {
   public:
    using executor_type = Executor;
    Handler(AsioOperation& operation, Resumer resumer)
        : operation_(&operation), executor_(resumer.executor()), resumer_(std::move(resumer)) {}
    executor_type get_executor() const noexcept { return executor_; }

    template <typename... Values>
    void operator()(const boost::system::error_code& error, Values... values) {
      *operation_->error_ = error;
      if constexpr (sizeof...(Values) == 1) operation_->result_.emplace(std::move(values)...);
      resumer_.Resume();
    }

   private:
    AsioOperation* operation_;
    Executor executor_;
    Resumer resumer_;
  };
  struct Nothing {};

  boost::system::error_code* error_;
  Initiation initiation_;
  std::tuple<std::decay_t<Arguments>...> arguments_;
  std::optional<std::conditional_t<std::is_void_v<Result>, Nothing, Result>> result_;
};

template <typename Signature>
struct ResultOf;
template <typename R>
struct ResultOf<R(boost::system::error_code)> {
  using type = void;
};
template <typename R, typename T>
struct ResultOf<R(boost::system::error_code, T)> {
  using type = std::decay_t<T>;
};

}  // namespace async_internal
}  // namespace starling

template <typename Signature>
class boost::asio::async_result<starling::AsTask, Signature> {
 public:
  template <typename Initiation, typename... Arguments>
  static auto initiate(Initiation&& initiation, starling::AsTask token, Arguments&&... arguments) {
    return starling::async_internal::AsioOperation<
        typename starling::async_internal::ResultOf<Signature>::type, std::decay_t<Initiation>,
        std::decay_t<Arguments>...>(token.error, std::forward<Initiation>(initiation),
                                    std::forward<Arguments>(arguments)...);
  }
};

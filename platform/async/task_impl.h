// The templates behind task.h.
#pragma once

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <optional>

namespace starling {
namespace async_internal {

template <typename T, typename Handler>
class HandlerState final : public Completion<T>::State {
 public:
  explicit HandlerState(Handler handler)
      : executor_(boost::asio::prefer(boost::asio::get_associated_executor(handler),
                                      boost::asio::execution::outstanding_work.tracked)),
        handler_(std::move(handler)) {}
  void Complete(T value) override {
    boost::asio::post(executor_,
                      [handler = std::move(handler_), value = std::move(value)]() mutable {
                        std::move(handler)(std::move(value));
                      });
  }

 private:
  // Keeps the coroutine's io_context running while it waits.
  decltype(boost::asio::prefer(boost::asio::get_associated_executor(std::declval<Handler&>()),
                               boost::asio::execution::outstanding_work.tracked)) executor_;
  Handler handler_;
};

}  // namespace async_internal

// Suspends the calling coroutine, hands its Completion<T> to `start`, and gives what it is
// completed with.
template <typename T, typename Start>
Task<T> Suspend(Start start) {
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(T)>(
      [&start](auto handler) {
        using Handler = decltype(handler);
        start(Completion<T>(
            std::make_unique<async_internal::HandlerState<T, Handler>>(std::move(handler))));
      },
      boost::asio::use_awaitable);
}

// Runs a task to its end on the calling thread with an io_context of its own. For tests and main.
template <typename T>
T RunSync(Task<T> task) {
  boost::asio::io_context context(1);
  std::optional<T> result;
  std::exception_ptr error;
  boost::asio::co_spawn(context, std::move(task), [&](const std::exception_ptr& e, T value) {
    error = e;
    if (!e) result.emplace(std::move(value));
  });
  context.run();
  if (error) std::rethrow_exception(error);
  return *std::move(result);
}

inline void RunSync(Task<void> task) {
  boost::asio::io_context context(1);
  std::exception_ptr error;
  boost::asio::co_spawn(context, std::move(task), [&](const std::exception_ptr& e) { error = e; });
  context.run();
  if (error) std::rethrow_exception(error);
}

}  // namespace starling

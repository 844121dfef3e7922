// A call to another service that has begun, with a limit of its own: how an orchestrating service
// asks several at once, and goes on without those that are slow.
//
//   const Executor here = co_await CurrentExecutor();
//   auto history = StartCall(here, profile_, &Profile::GetHistory, context, request, 50ms);
//   auto popular = StartCall(here, features_, &Features::ListPopular, context, all, 50ms);
//   co_await history->Wait();
//   if (!history->answer().ok()) degraded.push_back("profile");      // failed, or
//   DEADLINE_EXCEEDED
//
// The caller's cancellation reaches the call once it is waited for.
//
// The call begins at once on the caller's thread; one that does not wait, as most in process, has
// ended when StartCall returns, and costs no timer. At the limit (or the context's deadline, when
// that comes first) Wait ends with DEADLINE_EXCEEDED, the call's cancellation is asked for, and it
// ends by itself later: it owns all that it works on, the service too.
//
// Not thread-safe: made, awaited and read on one thread; awaited by one coroutine.
#pragma once

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <utility>

#include "platform/async/task.h"
#include "platform/rpc/call_context.h"

namespace starling::rpc {

template <typename Response>
class PendingCall : public std::enable_shared_from_this<PendingCall<Response>> {
 public:
  virtual ~PendingCall() = default;
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;

  // Until the call has ended or its time is over.
  Task<void> Wait() {
    if (done_) co_return;
    const auto self = this->shared_from_this();
    // Only now: most calls have ended by themselves.
    const auto cancelled = caller_.OnCancel([this] { cancellation_.Cancel(); });
    const auto timer =
        std::make_shared<boost::asio::steady_timer>(co_await CurrentExecutor(), context_.deadline);
    const bool ended = co_await Suspend<bool>([&](Completion<bool> completion) {
      waiter_ = std::move(completion);
      timer->async_wait([self](const boost::system::error_code& error) {
        if (!error && self->waiter_) self->waiter_(false);
      });
    });
    timer->cancel();
    if (ended || done_) co_return;
    given_up_ = true;
    cancellation_.Cancel();
  }
  // The call's answer, once Wait has returned; may be moved out.
  StatusOr<Response>& answer() { return answer_; }
  // What in it was not made now, as CallContext::degraded; "" before the call has ended.
  std::string_view degraded() const { return done_ ? context_.degraded : std::string_view(); }

 protected:
  PendingCall(const CallContext& context, Duration limit)
      : context_(context),
        caller_(context.cancellation),
        answer_(DeadlineExceeded("the call did not end within its limit")) {
    context_.idempotency_key.clear();
    context_.deadline = std::min(context_.deadline, std::chrono::steady_clock::now() + limit);
    context_.cancellation = cancellation_.token();
  }
  void End(StatusOr<Response>& answer) {
    if (given_up_) return;
    answer_ = std::move(answer);
    done_ = true;
    if (waiter_) waiter_(true);
  }
  CallContext context_;

 private:
  CancellationSource cancellation_;
  const CancellationToken caller_;
  StatusOr<Response> answer_;
  Completion<bool> waiter_;
  bool done_ = false;
  bool given_up_ = false;
};

namespace rpc_internal {

template <typename Service, typename Request, typename Response>
class MethodCall final : public PendingCall<Response> {
 public:
  using Method = Task<StatusOr<Response>> (Service::*)(CallContext&, const Request&);
  MethodCall(std::shared_ptr<Service> service, const CallContext& context, Request request,
             Duration limit)
      : PendingCall<Response>(context, limit),
        service_(std::move(service)),
        request_(std::move(request)) {}

  static Task<void> Run(std::shared_ptr<MethodCall> self, Method method) {
    Task<StatusOr<Response>> call = ((*self->service_).*method)(self->context_, self->request_);
    StatusOr<Response>& response = co_await call;
    self->End(response);
  }

 private:
  const std::shared_ptr<Service> service_;
  const Request request_;
};

}  // namespace rpc_internal

// Begins the call. `executor` is the calling coroutine's.
template <typename Service, typename Request, typename Response>
std::shared_ptr<PendingCall<Response>> StartCall(
    const Executor& executor, std::shared_ptr<Service> service,
    Task<StatusOr<Response>> (Service::*method)(CallContext&, const Request&),
    const CallContext& context, std::type_identity_t<Request> request, Duration limit) {
  auto call = std::make_shared<rpc_internal::MethodCall<Service, Request, Response>>(
      std::move(service), context, std::move(request), limit);
  Spawn(executor, rpc_internal::MethodCall<Service, Request, Response>::Run(call, method));
  return call;
}

}  // namespace starling::rpc

#include "platform/saga/attempt.h"

#include <boost/asio/post.hpp>

#include "platform/async/asio_await.h"

namespace starling::saga {

Attempt::Attempt(std::shared_ptr<const Definition> definition, std::string service, const Run& run,
                 const telemetry::TraceContext& trace, const Executor& executor)
    : definition_(std::move(definition)),
      executor_(executor),
      state_(run.state),
      timer_(executor_) {
  const Step& step = definition_->steps[run.step];
  const bool compensation = run.phase == Phase::kCompensating;
  const StepRecord& record = *run.Find(run.step, compensation);
  action_ = compensation ? &step.compensation : &step.action;
  context_.service_ = std::move(service);
  context_.run_id_ = run.id;
  context_.key_ = KeyOf(run, record);
  context_.compensation_ = compensation;
  context_.attempt_ = record.attempts;
  context_.deadline_ = std::chrono::steady_clock::now() + step.timeout;
  context_.cancellation_ = cancellation_.token();
  context_.trace_ = trace;
}

Task<void> Attempt::Act(std::shared_ptr<Attempt> self) {
  Status outcome = co_await (*self->action_)(self->context_, self->state_);
  if (self->given_up_) co_return;
  if (outcome.ok() && self->state_.bytes.size() > kMaxStateBytes) {
    outcome = Internal("the step left a state of {} bytes; {} are kept at most",
                       self->state_.bytes.size(), kMaxStateBytes);
  }
  self->outcome_ = std::move(outcome);
  self->done_ = true;
  self->timer_.cancel();
}

Task<Status> Attempt::Wait() {
  const auto self = shared_from_this();
  timer_.expires_at(context_.deadline_);
  Spawn(executor_, Act(self));
  while (!done_) {
    boost::system::error_code cut;
    co_await timer_.async_wait(AsTask(cut));
    if (cut) continue;  // it has ended, or waits for another time
    if (done_) break;
    given_up_ = true;
    cancellation_.Cancel();
    outcome_ = DeadlineExceeded("the step did not end within its timeout");
    break;
  }
  co_return outcome_;
}

void Attempt::Cut(Duration grace) {
  cancellation_.Cancel();
  boost::asio::post(executor_, [self = shared_from_this(), grace] {
    const Instant until = std::chrono::steady_clock::now() + grace;
    if (!self->done_ && until < self->context_.deadline_) self->timer_.expires_at(until);
  });
}

}  // namespace starling::saga

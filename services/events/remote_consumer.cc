#include "services/events/remote_consumer.h"

#include <algorithm>

#include "platform/base/id.h"
#include "platform/telemetry/log.h"
#include "services/events/event_codec.h"

namespace starling::events {
namespace {

constexpr char kName[] = "messaging";
constexpr Duration kLifetime = std::chrono::hours(48);  // the contract's deadline is shorter
constexpr Duration kTellLimit = std::chrono::seconds(5);
constexpr int kTellTries = 3;
constexpr Duration kStep = std::chrono::milliseconds(20);

}  // namespace

void RemoteConsumer::Start() {
  Spawn(runtime_.NextExecutor(), [](std::shared_ptr<RemoteConsumer> self) -> Task<void> {
    co_await self->Run();
    self->ended_.set_value();
  }(shared_from_this()));
  Spawn(runtime_.NextExecutor(), [](std::shared_ptr<RemoteConsumer> self) -> Task<void> {
    co_await self->Watch();
  }(shared_from_this()));
}

void RemoteConsumer::Stop() {
  std::optional<CancellationSource> connection;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    // A handler that runs is let finish and its outcome told; then Write ends the stream.
    if (!handling_) connection = connection_;
  }
  if (connection) connection->Cancel();
  end_.wait();
}

Status RemoteConsumer::FirstAnswer() {
  std::future<Status> first = first_.get_future();
  return first.wait_for(options_.answer_limit) == std::future_status::ready ? first.get()
                                                                            : OkStatus();
}

void RemoteConsumer::Answer(const Status& status) {
  if (!std::exchange(answered_, true)) first_.set_value(status);
}

std::string RemoteConsumer::subscription_id() const {
  const std::lock_guard lock(mutex_);
  return subscription_id_;
}

bool RemoteConsumer::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

Task<void> RemoteConsumer::Run() {
  Duration pause = options_.first_pause;
  while (!stopping()) {
    const Status ended = co_await Connect();
    Answer(ended);
    if (stopping()) break;
    if (!subscription_id().empty()) pause = options_.first_pause;
    if (!ended.ok() && !std::exchange(told_of_loss_, true)) {
      log::Warning(kName,
                   "group {} of topic {} hears nothing until the process that serves events "
                   "is there",
                   request_.group(), request_.topic())
          .With(ended);
    }
    co_await Pause(pause);
    pause = std::min<Duration>(pause * 2, options_.longest_pause);
  }
  co_await Unsubscribe();
}

Task<Status> RemoteConsumer::Connect() {
  auto context = CallContext::ForService(kName, kLifetime);
  batch_.clear();
  {
    const std::lock_guard lock(mutex_);
    subscription_id_.clear();
    if (stopping_) co_return OkStatus();
    connection_ = CancellationSource();
    context.cancellation = connection_.token();
    heard_ = std::chrono::steady_clock::now();
  }
  co_return co_await events_->Subscribe(context, request_, *this);
}

Task<void> RemoteConsumer::Watch() {
  Instant spoke = std::chrono::steady_clock::now();
  while (!stopping()) {
    co_await SleepFor(options_.quiet_limit / 20);
    const Instant now = std::chrono::steady_clock::now();
    std::optional<CancellationSource> quiet;
    v1::AcceptRequest alive;
    {
      const std::lock_guard lock(mutex_);
      if (!handling_ && now - heard_ > options_.quiet_limit) quiet = connection_;
      alive.set_subscription_id(subscription_id_);
    }
    if (quiet) quiet->Cancel();
    if (alive.subscription_id().empty() || now - spoke < options_.quiet_limit / 4) continue;
    spoke = now;
    auto context = CallContext::ForService(kName, options_.quiet_limit / 4);
    // Whether it arrives shows in the stream.
    (void)co_await events_->Accept(context, alive);
  }
}

void RemoteConsumer::Hear(bool standby) {
  if (std::exchange(told_of_loss_, false))
    log::Info(kName, "group {} of topic {} is connected again", request_.group(), request_.topic());
  if (standby && !std::exchange(told_of_standby_, true)) {
    log::Info(kName, "group {} of topic {} is another process' for now; this one waits",
              request_.group(), request_.topic());
  }
}

Task<Status> RemoteConsumer::Write(const v1::SubscribeResponse& part) {
  Answer(OkStatus());
  Hear(part.standby());
  for (const v1::Delivered& message : part.events()) {
    CO_ASSIGN_OR_RETURN(messaging::Delivered delivered, FromMessage(message));
    batch_.push_back(std::move(delivered));
  }
  const bool whole = part.delivery_id() != 0 && !part.more();
  {
    const std::lock_guard lock(mutex_);
    subscription_id_ = part.subscription_id();
    heard_ = std::chrono::steady_clock::now();
    if (stopping_) co_return Cancelled("the subscription was stopped");
    handling_ = whole;
  }
  if (!whole) co_return OkStatus();
  told_of_standby_ = false;
  const Status told = co_await Handle(part.delivery_id());
  batch_.clear();
  const std::lock_guard lock(mutex_);
  handling_ = false;
  heard_ = std::chrono::steady_clock::now();
  if (stopping_) co_return Cancelled("the subscription was stopped");
  co_return told;
}

Task<Status> RemoteConsumer::Handle(uint64_t delivery_id) {
  const Status outcome = co_await handler_(batch_);
  co_return co_await Tell(delivery_id, outcome);
}

Task<Status> RemoteConsumer::Tell(uint64_t delivery_id, const Status& outcome) {
  v1::AcceptRequest request;
  request.set_subscription_id(subscription_id());
  request.set_delivery_id(delivery_id);
  request.set_code(static_cast<int>(outcome.code()));
  request.set_message(std::string(outcome.message()));
  request.set_reason(Reason(outcome));
  Status told;
  for (int attempt = 1; attempt <= kTellTries; ++attempt) {
    auto context = CallContext::ForService(kName, kTellLimit);
    const StatusOr<v1::AcceptResponse> answer = co_await events_->Accept(context, request);
    told = answer.status();
    if (told.code() != StatusCode::kUnavailable && told.code() != StatusCode::kDeadlineExceeded)
      break;
    co_await SleepFor(options_.first_pause);
  }
  co_return told;
}

Task<void> RemoteConsumer::Unsubscribe() {
  v1::UnsubscribeRequest request;
  request.set_subscription_id(subscription_id());
  if (request.subscription_id().empty()) co_return;
  auto context = CallContext::ForService(kName, options_.stop_limit);
  const StatusOr<v1::UnsubscribeResponse> answer = co_await events_->Unsubscribe(context, request);
  if (!answer.ok()) log::Warning(kName, "the last batch may come again").With(answer.status());
}

Task<void> RemoteConsumer::Pause(Duration pause) {
  Duration left =
      pause / 2 +
      Duration(static_cast<int64_t>(FastRandom() % static_cast<uint64_t>(pause.count() / 2 + 1)));
  // In steps, so that Stop need not wait for all of it.
  while (left > Duration(0) && !stopping()) {
    const Duration step = std::min<Duration>(left, kStep);
    co_await SleepFor(step);
    left -= step;
  }
}

}  // namespace starling::events

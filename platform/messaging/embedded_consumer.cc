#include "platform/messaging/embedded_consumer.h"

#include <algorithm>

#include "platform/base/id.h"
#include "platform/telemetry/log.h"

namespace starling::messaging {
namespace {

// Whether the failure is a dependency's, so that the event deserves any number of tries.
bool IsPassing(const Status& status) {
  if (Reason(status) == reason::kStorageFailed) return true;
  switch (status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kResourceExhausted:
    case StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

}  // namespace

void EmbeddedConsumer::Start() {
  group_->running = true;
  Spawn(runtime_.NextExecutor(), [](std::shared_ptr<EmbeddedConsumer> self) -> Task<void> {
    co_await self->Run();
    self->group_->running = false;
    self->ended_.set_value();
  }(shared_from_this()));
}

void EmbeddedConsumer::Stop() {
  stopping_ = true;
  topic_->Wake();
  end_.wait();
}

Task<void> EmbeddedConsumer::Run() {
  TopicFiles::Cursor cursor{.sequence = group_->offset->offset()};
  while (!stopping_) {
    const bool more = co_await topic_->WaitFor(cursor.sequence, stopping_);
    if (!more) co_return;
    StatusOr<std::vector<Delivered>> batch = co_await runtime_.blocking().Run(
        [&] { return topic_->files().Read(cursor, options_.max_batch); });
    if (!batch.ok()) {
      log::Error("messaging", "group {} cannot read topic {}", group_->name, topic_->name())
          .With(batch.status());
      co_await Pause(10);
      continue;
    }
    const Status delivered = co_await Deliver(std::span(*batch));
    if (!delivered.ok()) co_return;
    const Status committed =
        co_await runtime_.blocking().Run([&] { return group_->offset->Commit(cursor.sequence); });
    if (!committed.ok()) log::Warning("messaging", "a batch will come again").With(committed);
    group_->committed = cursor.sequence;
  }
}

Task<Status> EmbeddedConsumer::Deliver(std::span<Delivered> batch) {
  const Status whole = co_await handler_(batch);
  if (whole.ok()) co_return OkStatus();
  // One event after the other, so that a poisoned one keeps back nobody else.
  for (Delivered& event : batch) {
    for (int attempt = 1, counted = 1;; ++attempt) {
      if (stopping_) co_return Cancelled("the subscription was stopped");
      event.attempt = attempt;
      const Status status = co_await handler_(std::span(&event, 1));
      if (status.ok()) break;
      if (!IsPassing(status) && ++counted > options_.max_attempts) {
        CO_RETURN_IF_ERROR(co_await SetAside(event, status, attempt));
        break;
      }
      co_await Pause(attempt);
    }
  }
  co_return OkStatus();
}

Task<Status> EmbeddedConsumer::SetAside(const Delivered& poisoned, const Status& why,
                                        int attempts) {
  log::Warning("messaging", "group {} gave up on event {} of topic {}", group_->name,
               poisoned.event.id, topic_->name())
      .With("attempts", attempts)
      .With(why);
  Event event = poisoned.event;
  event.extensions.emplace_back("starlingerror", ToString(why));
  event.extensions.emplace_back("starlinggroup", group_->name);
  event.extensions.emplace_back("starlingattempts", std::to_string(attempts));
  for (int attempt = 1;; ++attempt) {
    const StatusOr<Position> kept = co_await log_.Append(topic_->name() + ".dead-letter", event);
    if (kept.ok()) co_return OkStatus();
    if (stopping_) co_return kept.status();
    co_await Pause(attempt);
  }
}

Task<void> EmbeddedConsumer::Pause(int attempt) {
  const Duration longest = std::min<Duration>(options_.longest_pause,
                                              options_.first_pause * (1 << std::min(attempt, 16)));
  Duration left =
      longest / 2 +
      Duration(static_cast<int64_t>(FastRandom() % static_cast<uint64_t>(longest.count() / 2 + 1)));
  // In steps, so that Stop need not wait for all of it.
  while (left > Duration(0) && !stopping_) {
    const Duration step = std::min<Duration>(left, std::chrono::milliseconds(20));
    co_await SleepFor(step);
    left -= step;
  }
}

}  // namespace starling::messaging

#include "platform/messaging/delivery.h"

#include <algorithm>

#include "platform/base/id.h"
#include "platform/telemetry/log.h"

namespace starling::messaging {
namespace {

constexpr size_t kMaxExplanation = 2'048;

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

// Adds what was wrong, within the bounds that Validate sets.
void Explain(Event& event, const Status& why, std::string_view group, int attempts) {
  std::vector<std::pair<std::string, std::string>> added = {
      {"starlingerror", ToString(why).substr(0, kMaxExplanation)},
      {"starlinggroup", std::string(group)},
      {"starlingattempts", std::to_string(attempts)}};
  if (event.extensions.size() + added.size() > kMaxExtensions)
    event.extensions.resize(kMaxExtensions - added.size());
  event.extensions.insert(event.extensions.end(), added.begin(), added.end());
  size_t beside = 0;
  for (const auto& [name, value] : event.extensions) beside += name.size() + value.size();
  if (beside > kMaxEventBytes) {  // large extensions rather than large data
    event.extensions = std::move(added);
    beside = 2 * kMaxExplanation;
  }
  event.data.resize(std::min(event.data.size(), kMaxEventBytes - beside));
}

// Completes the promise also when the runtime destroys the coroutine that owns it.
class Outcome {
 public:
  Outcome() = default;
  Outcome(Outcome&& other) noexcept : promise_(std::move(other.promise_)) { other.owed_ = false; }
  Outcome& operator=(Outcome&&) = delete;
  ~Outcome() {
    if (owed_) promise_.set_value(Cancelled("the runtime ended"));
  }
  std::future<Status> future() { return promise_.get_future(); }
  void Set(Status status) {
    owed_ = false;
    promise_.set_value(std::move(status));
  }

 private:
  std::promise<Status> promise_;
  bool owed_ = true;
};

Task<void> Report(Task<Status> task, Outcome outcome) {
  Status status = co_await std::move(task);
  outcome.Set(std::move(status));
}

}  // namespace

Task<Status> Delivery::Deliver(std::span<Delivered> batch, const std::atomic<bool>& stop,
                               std::atomic<size_t>& done) const {
  done = 0;
  if (stop) co_return Cancelled("the subscription was stopped");
  const Status whole = co_await handler_(batch);
  if (whole.ok()) {
    done = batch.size();
    co_return OkStatus();
  }
  // One event after the other, so that a poisoned one keeps back nobody else.
  for (Delivered& event : batch) {
    for (int attempt = 1, counted = 1;; ++attempt) {
      if (stop) co_return Cancelled("the subscription was stopped");
      event.attempt = attempt;
      const Status status = co_await handler_(std::span(&event, 1));
      if (status.ok()) break;
      if (!IsPassing(status) && ++counted > options_.max_attempts) {
        CO_RETURN_IF_ERROR(co_await SetAside(event.event, status, attempt, stop));
        break;
      }
      co_await Pause(attempt, stop);
    }
    ++done;
  }
  co_return OkStatus();
}

std::future<Status> Delivery::DeliverOn(const Executor& executor, std::span<Delivered> batch,
                                        const std::atomic<bool>& stop,
                                        std::atomic<size_t>& done) const {
  Outcome outcome;
  std::future<Status> future = outcome.future();
  Spawn(executor, Report(Deliver(batch, stop, done), std::move(outcome)));
  return future;
}

std::future<Status> Delivery::SetAsideOn(const Executor& executor, Event event, Status why,
                                         int attempts, const std::atomic<bool>& stop) const {
  Outcome outcome;
  std::future<Status> future = outcome.future();
  Spawn(executor,
        Report(SetAside(std::move(event), std::move(why), attempts, stop), std::move(outcome)));
  return future;
}

Task<Status> Delivery::SetAside(Event event, Status why, int attempts,
                                const std::atomic<bool>& stop) const {
  log::Warning("messaging", "group {} gave up on event {} of topic {}", group_, event.id, topic_)
      .With("attempts", attempts)
      .With(why);
  Explain(event, why, group_, attempts);
  for (int attempt = 1;; ++attempt) {
    const StatusOr<Position> kept = co_await log_.Append(topic_ + ".dead-letter", event);
    if (kept.ok()) co_return OkStatus();
    if (stop) co_return kept.status();
    co_await Pause(attempt, stop);
  }
}

Task<void> Delivery::Pause(int attempt, const std::atomic<bool>& stop) const {
  const Duration longest = std::min<Duration>(options_.longest_pause,
                                              options_.first_pause * (1 << std::min(attempt, 16)));
  Duration left =
      longest / 2 +
      Duration(static_cast<int64_t>(FastRandom() % static_cast<uint64_t>(longest.count() / 2 + 1)));
  // In steps, so that Stop need not wait for all of it.
  while (left > Duration(0) && !stop) {
    const Duration step = std::min<Duration>(left, std::chrono::milliseconds(20));
    co_await SleepFor(step);
    left -= step;
  }
}

}  // namespace starling::messaging

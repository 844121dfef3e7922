#include "platform/resilience/circuit_breaker.h"

#include <algorithm>

namespace starling::resilience {

std::optional<CircuitBreaker::Permit> CircuitBreaker::Allow(Instant now) {
  const std::lock_guard lock(mutex_);
  if (state_ == State::kClosed) return Permit{.period = period_};
  if (state_ == State::kOpen) {
    if (now < open_until_) return std::nullopt;
    Enter(State::kHalfOpen);
    probing_ = probed_ = 0;
  }
  if (probing_ >= options_.probes) return std::nullopt;
  ++probing_;
  return Permit{.period = period_, .probe = true};
}

std::optional<CircuitBreaker::State> CircuitBreaker::Record(const Permit& permit, bool ok,
                                                            Instant now) {
  const std::lock_guard lock(mutex_);
  if (permit.period != period_) return std::nullopt;
  if (state_ == State::kHalfOpen) {
    --probing_;
    if (!ok) {
      Open(now);
      return state_;
    }
    if (++probed_ < options_.probes) return std::nullopt;
    Enter(State::kClosed);
    slots_ = {};
    openings_ = 0;
    return state_;
  }
  const int64_t number = now.time_since_epoch() / (options_.window / kSlots);
  Slot& slot = slots_[static_cast<size_t>(number % kSlots)];
  if (slot.number != number) slot = {.number = number};
  ++slot.calls;
  if (ok) return std::nullopt;
  ++slot.failures;
  int calls = 0;
  int failures = 0;
  for (const Slot& each : slots_) {
    if (each.number <= number - kSlots) continue;
    calls += each.calls;
    failures += each.failures;
  }
  if (calls < options_.least_calls || failures <= options_.failure_rate * calls)
    return std::nullopt;
  Open(now);
  return state_;
}

void CircuitBreaker::Abandon(const Permit& permit) {
  const std::lock_guard lock(mutex_);
  if (permit.period == period_ && state_ == State::kHalfOpen) --probing_;
}

void CircuitBreaker::Enter(State state) {
  state_ = state;
  ++period_;
}

void CircuitBreaker::Open(Instant now) {
  Enter(State::kOpen);
  const Duration pause = options_.first_open * (1LL << std::min(openings_, 10));
  open_until_ = now + std::min(pause, options_.longest_open);
  ++openings_;
}

CircuitBreaker::State CircuitBreaker::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Duration CircuitBreaker::RetryAfter(Instant now) const {
  const std::lock_guard lock(mutex_);
  return state_ == State::kOpen && now < open_until_ ? Duration(open_until_ - now) : Duration(0);
}

}  // namespace starling::resilience

#include "platform/rpc/rate_limiter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace starling::rpc {
namespace {

// In full_at while the slot gets another caller. Only a newcomer that holds the set's lock writes
// it.
constexpr int64_t kChangingHands = std::numeric_limits<int64_t>::max();

int64_t IntervalOf(double per_second) {
  // Also what is no number becomes the slowest rate.
  if (!(per_second > 0.001)) per_second = 0.001;
  return std::llround(1e9 / std::min(per_second, 1e6));
}

}  // namespace

RateLimiter::RateLimiter(Limit limit, size_t capacity, const Clock& clock)
    : interval_(IntervalOf(limit.per_second)),
      depth_(interval_ * std::clamp<int64_t>(limit.burst, 1, 1'000'000)),
      clock_(clock),
      sets_(std::bit_ceil(std::max<size_t>(capacity, kSlots)) / kSlots) {}

RateLimiter::Decision RateLimiter::Take(uint64_t caller) {
  if (caller == 0) caller = 1;
  const int64_t now = Now();
  const size_t index = IndexOf(caller);
  for (Slot& slot : sets_[index].slots) {
    if (slot.caller.load(std::memory_order_relaxed) != caller) continue;
    if (const auto decision = TakeFrom(slot, caller, now)) return *decision;
    break;
  }
  return TakeAsNewcomer(index, caller, now);
}

// A slot changes hands in three steps: full_at becomes kChangingHands by an exchange, the caller is
// written, full_at becomes a value that is later than the one before. So when full_at is still what
// was read before the caller was, the exchange below is made in the slot of that caller. (GiveBack
// makes full_at earlier and might restore that very nanosecond between the two; then one token is
// taken of the wrong bucket, which does not matter.)
std::optional<RateLimiter::Decision> RateLimiter::TakeFrom(Slot& slot, uint64_t caller,
                                                           int64_t now) {
  int64_t full_at = slot.full_at.load(std::memory_order_acquire);
  while (true) {
    if (full_at == kChangingHands || slot.caller.load(std::memory_order_relaxed) != caller)
      return std::nullopt;
    const int64_t next = std::max(full_at, now) + interval_;
    if (next > now + depth_) return Refused(full_at, now);
    if (slot.full_at.compare_exchange_weak(full_at, next, std::memory_order_acq_rel,
                                           std::memory_order_acquire)) {
      return Allowed(next, now);
    }
  }
}

RateLimiter::Decision RateLimiter::TakeAsNewcomer(size_t index, uint64_t caller, int64_t now) {
  Set& set = sets_[index];
  const std::lock_guard lock(locks_[index % kLocks]);
  // Another thread may have let the same caller in meanwhile. Under the lock no slot of the set
  // changes hands.
  for (Slot& slot : set.slots) {
    if (slot.caller.load(std::memory_order_relaxed) == caller) return *TakeFrom(slot, caller, now);
  }
  while (true) {
    Slot* fullest = nullptr;
    int64_t full_at = kChangingHands;
    for (Slot& slot : set.slots) {
      const int64_t its = slot.full_at.load(std::memory_order_acquire);
      if (its < full_at) {
        full_at = its;
        fullest = &slot;
      }
    }
    const int64_t next = std::max(full_at, now) + interval_;
    if (next > now + depth_) {
      Decision refused = Refused(full_at, now);
      refused.crowded = true;
      return refused;
    }
    // Fails when its owner has just taken a token: look again.
    if (!fullest->full_at.compare_exchange_strong(full_at, kChangingHands,
                                                  std::memory_order_acq_rel)) {
      continue;
    }
    fullest->caller.store(caller, std::memory_order_relaxed);
    fullest->full_at.store(next, std::memory_order_release);
    Decision allowed = Allowed(next, now);
    allowed.crowded = full_at > now;
    return allowed;
  }
}

void RateLimiter::GiveBack(uint64_t caller) {
  if (caller == 0) caller = 1;
  const int64_t now = Now();
  for (Slot& slot : sets_[IndexOf(caller)].slots) {
    int64_t full_at = slot.full_at.load(std::memory_order_acquire);
    while (full_at != kChangingHands && full_at > now &&
           slot.caller.load(std::memory_order_relaxed) == caller) {
      if (slot.full_at.compare_exchange_weak(
              full_at, full_at - interval_, std::memory_order_acq_rel, std::memory_order_acquire)) {
        return;
      }
    }
  }
}

RateLimiter::Decision RateLimiter::Allowed(int64_t full_at, int64_t now) const {
  const int64_t left = now + depth_ - full_at;
  return {.allowed = true,
          .remaining = left / interval_,
          .until_full = Duration(full_at - now),
          .retry_after = Duration(std::max<int64_t>(0, interval_ - left))};
}

RateLimiter::Decision RateLimiter::Refused(int64_t full_at, int64_t now) const {
  return {.until_full = Duration(full_at - now),
          .retry_after = Duration(full_at + interval_ - depth_ - now)};
}

}  // namespace starling::rpc

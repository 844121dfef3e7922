// How often each of many callers may do something: a token bucket a caller, in memory of a fixed
// size.
//
//   RateLimiter limiter({.per_second = 10, .burst = 20});
//   const RateLimiter::Decision decision = limiter.Take(Hash64(caller_id, secret_seed));
//   if (!decision.allowed) return TooManyRequests(decision.retry_after);
//
// A caller's bucket holds `burst` tokens and gains `per_second` of them a second; one that is not
// known yet, or has rested long enough, has a full one. In any time t a caller is let through at
// most burst + per_second * t times, however many threads ask at once.
//
// The algorithm is GCRA, the generic cell rate algorithm (ITU-T I.371, Annex A, virtual
// scheduling): of a bucket only the time is kept at which it will be full again (there: the
// theoretical arrival time), one atomic number. A token makes that time later by 1 / per_second; it
// is refused when that were later than a full bucket's worth from now.
//
// Bound: `capacity` callers, rounded up to a power of two, 16 bytes each, in sets of eight that a
// caller's number falls into. A newcomer takes the place of a caller whose bucket is full, of whom
// nothing is forgotten. When none of the eight is, it takes over the fullest bucket as it is
// (Decision::crowded); who lost it does the same when it comes back. So a flood of callers that
// are never seen twice gets through at most as often as `capacity` callers would, and does not
// empty the memory of those who are limited.
//
// Thread-safe. No lock for a caller that is known; a newcomer takes one of 64, for the time of
// eight comparisons. Take costs about 56 ns, of which 30 are the clock (bench_rate_limiter).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "platform/base/clock.h"

namespace starling::rpc {

class RateLimiter {
 public:
  struct Limit {
    double per_second = 1;  // 0.001 to 1,000,000; what is outside counts as the nearer end
    int64_t burst = 1;      // 1 to 1,000,000, the same
    bool operator==(const Limit&) const = default;
  };
  struct Decision {
    bool allowed = false;
    bool crowded = false;     // no bucket of its own was free: it shares another caller's
    int64_t remaining = 0;    // tokens left
    Duration until_full{0};   // when the bucket is full again, if nothing else is taken
    Duration retry_after{0};  // when there is a token; 0 when one is left
  };
  static constexpr size_t kCapacity = 65'536;

  explicit RateLimiter(Limit limit, size_t capacity = kCapacity,
                       const Clock& clock = SystemClock());

  // Takes a token of this caller's bucket, or says when there will be one; what is refused costs
  // nothing. `caller` is any number that spreads well, such as a hash with a seed that callers do
  // not know: two callers with the same number share a bucket.
  Decision Take(uint64_t caller);
  // Undoes a Take that was allowed. Nothing when the caller's bucket is full or was taken over.
  void GiveBack(uint64_t caller);

  size_t capacity() const { return sets_.size() * kSlots; }

 private:
  static constexpr size_t kSlots = 8;
  static constexpr size_t kLocks = 64;

  struct Slot {
    std::atomic<uint64_t> caller{0};  // 0: nobody's
    std::atomic<int64_t> full_at{0};  // ns of the clock, or kChangingHands
  };
  struct alignas(64) Set {
    std::array<Slot, kSlots> slots;
  };

  size_t IndexOf(uint64_t caller) const { return caller & (sets_.size() - 1); }
  // nullopt: the slot is another's by now.
  std::optional<Decision> TakeFrom(Slot& slot, uint64_t caller, int64_t now);
  Decision TakeAsNewcomer(size_t index, uint64_t caller, int64_t now);
  Decision Allowed(int64_t full_at, int64_t now) const;
  Decision Refused(int64_t full_at, int64_t now) const;
  int64_t Now() const { return clock_.MonotonicNow().time_since_epoch().count(); }

  const int64_t interval_;  // ns a token
  const int64_t depth_;     // ns of a whole bucket
  const Clock& clock_;
  std::vector<Set> sets_;
  std::array<std::mutex, kLocks> locks_;  // of newcomers; set i has lock i % kLocks
};

}  // namespace starling::rpc

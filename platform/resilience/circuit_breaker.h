// A circuit breaker: when most calls to a callee fail, calls are refused at once for a while, then
// a few try whether it is back (Nygard, "Release It!", 2007).
//
//   const std::optional<Permit> permit = breaker.Allow(now);
//   if (!permit) return Unavailable(...);
//   ... call ...
//   breaker.Record(*permit, ok, now);   // once for each permit; Abandon when it says nothing
//
//   closed      counts outcomes of the last `window`; opens when of at least `least_calls` more
//               than `failure_rate` fail
//   open        refuses for `first_open`, doubled at each opening in a row, at most `longest_open`
//   half open   lets `probes` calls at a time through; the first failure opens again, `probes`
//               successes close
//
// A call counts only in the state in which it was allowed: one that began before the breaker opened
// and ends while it probes is no probe.
//
// Thread-safe: one mutex, held for some ten nanoseconds.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>

#include "platform/base/clock.h"

namespace starling::resilience {

class CircuitBreaker {
 public:
  struct Options {
    Duration window = std::chrono::seconds(5);
    int least_calls = 20;
    double failure_rate = 0.5;
    Duration first_open = std::chrono::milliseconds(250);
    Duration longest_open = std::chrono::seconds(2);
    int probes = 3;
  };
  enum class State { kClosed, kOpen, kHalfOpen };
  struct Permit {
    uint64_t period = 0;  // of the state that allowed it
    bool probe = false;
  };

  explicit CircuitBreaker(Options options) : options_(options) {}

  std::optional<Permit> Allow(Instant now);
  // Gives the state that this outcome brought about, when it changed it.
  std::optional<State> Record(const Permit& permit, bool ok, Instant now);
  // An allowed call that was cancelled by its caller.
  void Abandon(const Permit& permit);

  State state() const;
  // Until an open breaker lets a probe through; 0 when it is not open.
  Duration RetryAfter(Instant now) const;

 private:
  static constexpr int kSlots = 10;
  struct Slot {
    int64_t number = -1;  // of the slot's time
    int calls = 0;
    int failures = 0;
  };
  void Enter(State state);
  void Open(Instant now);

  const Options options_;
  mutable std::mutex mutex_;
  State state_ = State::kClosed;
  uint64_t period_ = 0;  // one more at each change of the state
  std::array<Slot, kSlots> slots_{};
  Instant open_until_{};
  int openings_ = 0;  // in a row
  int probing_ = 0;   // probes in flight
  int probed_ = 0;    // that succeeded
};

}  // namespace starling::resilience

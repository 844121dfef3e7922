// A circuit breaker: when most calls to a callee fail, calls are refused at once for a while, then
// a few try whether it is back (Nygard, "Release It!", 2007).
//
//   if (!breaker.Allow(now)) return Unavailable(...);
//   ... call ...
//   breaker.Record(ok, now);          // once for each allowed call; Abandon(now) when its outcome
//   says nothing
//
//   closed     counts outcomes of the last `window`; opens when of at least `least_calls` more than
//   `failure_rate` fail open       refuses for `first_open`, doubled at each opening in a row, at
//   most `longest_open` half open  lets `probes` calls at a time through; the first failure opens
//   again, `probes` successes close
//
// Thread-safe: one mutex, held for some ten nanoseconds.
#pragma once

#include <array>
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

  explicit CircuitBreaker(Options options) : options_(options) {}

  bool Allow(Instant now);
  // Gives the state that this outcome brought about, when it changed it.
  std::optional<State> Record(bool ok, Instant now);
  // An allowed call that was cancelled by its caller.
  void Abandon();

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
  void Open(Instant now);
  void Close();

  const Options options_;
  mutable std::mutex mutex_;
  State state_ = State::kClosed;
  std::array<Slot, kSlots> slots_{};
  Instant open_until_{};
  int openings_ = 0;  // in a row
  int probing_ = 0;   // probes in flight
  int probed_ = 0;    // that succeeded
};

}  // namespace starling::resilience

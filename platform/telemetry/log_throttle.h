// For what repeats: says it rarely, and how often it was not said.
//
//   static log::PerSecond throttle(1);
//   if (const auto skipped = throttle.Take()) {
//     log::Warning("sql", "database is busy").With("skipped", *skipped);
//   }
//
//   static log::EveryN every(1000);
//   if (every.Take()) log::Info("import", "{} rows so far", rows);
//
// Thread-safe, about 5 ns (EveryN) and 30 ns (PerSecond) a call. Each place has its own: a static,
// or a member.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include "platform/base/clock.h"

namespace starling::log {

// True at the first call and each n-th after it.
class EveryN {
 public:
  explicit EveryN(uint64_t n) : n_(n == 0 ? 1 : n) {}
  bool Take() { return calls_.fetch_add(1, std::memory_order_relaxed) % n_ == 0; }

 private:
  const uint64_t n_;
  std::atomic<uint64_t> calls_{0};
};

// Lets `lines` through in each second that begins with one; gives the number skipped since the last
// that went through.
class PerSecond {
 public:
  explicit PerSecond(uint64_t lines, const Clock& clock = SystemClock())
      : lines_(lines), clock_(clock) {}

  std::optional<uint64_t> Take() {
    const Instant now = clock_.MonotonicNow();
    const std::lock_guard lock(mutex_);
    if (now - begun_ >= std::chrono::seconds(1)) {
      begun_ = now;
      taken_ = 0;
    }
    if (taken_ >= lines_) {
      ++skipped_;
      return std::nullopt;
    }
    ++taken_;
    return std::exchange(skipped_, 0);
  }

 private:
  const uint64_t lines_;
  const Clock& clock_;
  std::mutex mutex_;
  Instant begun_;
  uint64_t taken_ = 0;
  uint64_t skipped_ = 0;
};

}  // namespace starling::log

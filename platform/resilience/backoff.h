// How long to wait before another try: exponential, with full jitter, so that those who failed
// together do not come back together (Brooker, "Exponential Backoff And Jitter", AWS 2015).
//
//   const Duration pause = BackoffPause({.base = 10ms, .longest = 1s}, retry, FastRandom());
//
// Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "platform/base/clock.h"

namespace starling::resilience {

struct Backoff {
  Duration base = std::chrono::milliseconds(10);  // the longest first pause
  Duration longest = std::chrono::milliseconds(1000);
};

// Before retry number `retry` (0 is the first): uniform between 0 and min(longest, base * 2^retry).
// `random` is uniform over all 64 bits.
inline Duration BackoffPause(const Backoff& backoff, int retry, uint64_t random) {
  const int doublings = std::min(retry, 20);
  const double top = std::min<double>(
      static_cast<double>(backoff.longest.count()),
      static_cast<double>(backoff.base.count()) * static_cast<double>(1 << doublings));
  return Duration(static_cast<int64_t>(top * static_cast<double>(random >> 11) * 0x1.0p-53));
}

}  // namespace starling::resilience

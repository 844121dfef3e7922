// A loop over rows on several threads, and how a long fit reports and is stopped.
//
//   ParallelFor(rows, threads, 64, [&](size_t begin, size_t end) { ... });   // chunks of 64 rows
//
// Chunks are handed out in order to whichever thread is free, so a result may depend on the thread
// count only if the body lets it: bodies here write their own rows and nothing else. The calling
// thread works too; starting a thread costs about 20 us, so a loop of less than a millisecond is
// better run on one. The body must not throw.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "platform/base/status.h"

namespace starling::learning {

// Called now and then, from the thread that called Fit, with the done part in [0, 1]. False stops
// the fit, which then returns CANCELLED and leaves nothing behind. Empty: never stops.
using Progress = std::function<bool(double done)>;

inline Status ReportProgress(const Progress& progress, double done) {
  if (progress && !progress(done)) {
    return Cancelled("the fit was stopped at {:.0f} %", done * 100);
  }
  return OkStatus();
}

// Above this a request for threads is a mistake, not a wish.
inline constexpr int kMaxThreads = 1024;

inline Status CheckThreads(int threads) {
  if (threads < 1 || threads > kMaxThreads) {
    return InvalidField("threads",
                        "{} is outside 1 to {}; the machine's core count is a good value", threads,
                        kMaxThreads);
  }
  return OkStatus();
}

template <typename Body>
void ParallelFor(size_t count, int threads, size_t chunk, const Body& body) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t begin = next.fetch_add(chunk); begin < count; begin = next.fetch_add(chunk)) {
      body(begin, std::min(count, begin + chunk));
    }
  };
  const size_t useful = std::min<size_t>(static_cast<size_t>(threads), (count + chunk - 1) / chunk);
  std::vector<std::jthread> others;
  for (size_t i = 1; i < useful; ++i) {
    others.emplace_back(work);
  }
  work();
}

}  // namespace starling::learning

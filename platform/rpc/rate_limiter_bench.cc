// What a request pays for its limit: a caller that comes again, one that is refused, newcomers, and
// two threads that share a caller.
//   build/release/bin/bench_rate_limiter
#include <benchmark/benchmark.h>

#include "platform/base/hash.h"
#include "platform/rpc/rate_limiter.h"

namespace starling::rpc {
namespace {

constexpr RateLimiter::Limit kGenerous{.per_second = 1e6, .burst = 1'000'000};

void BM_Clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(SystemClock().MonotonicNow());
}

void BM_OneCaller(benchmark::State& state) {
  static RateLimiter limiter(kGenerous);
  for (auto _ : state) benchmark::DoNotOptimize(limiter.Take(Hash64("0192f0a0-key", 1)));
}

void BM_ManyCallers(benchmark::State& state) {
  static RateLimiter limiter(kGenerous);
  uint64_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(limiter.Take(Hash64("caller", ++n % 10'000)));
}

void BM_Refused(benchmark::State& state) {
  static RateLimiter limiter({.per_second = 0.001, .burst = 1});
  for (auto _ : state) benchmark::DoNotOptimize(limiter.Take(Hash64("0192f0a0-key", 1)));
}

void BM_Newcomers(benchmark::State& state) {
  static RateLimiter limiter({.per_second = 1, .burst = 10});
  uint64_t n = 0;
  for (auto _ : state) benchmark::DoNotOptimize(limiter.Take(Hash64("caller", ++n)));
}

BENCHMARK(BM_Clock);
BENCHMARK(BM_OneCaller)->ThreadRange(1, 2);
BENCHMARK(BM_ManyCallers);
BENCHMARK(BM_Refused);
BENCHMARK(BM_Newcomers)->ThreadRange(1, 2);

}  // namespace
}  // namespace starling::rpc

BENCHMARK_MAIN();

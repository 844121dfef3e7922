// What a request pays for its limit: a caller that comes again, one that is refused, newcomers, two
// threads that share a caller; and at the edge, without and with the two headers.
//   build/release/bin/bench_rate_limiter
#include <benchmark/benchmark.h>

#include "platform/base/hash.h"
#include "platform/rpc/gateway_limits.h"
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

// state.range(0): whether a limit is on.
GatewayLimits::Options AtTheEdge(const benchmark::State& state) {
  if (state.range(0) == 0) return {};
  return {.requests = kGenerous, .failed_credentials = kGenerous};
}

using Caller = StatusOr<std::shared_ptr<const security::Identity>>;

Task<void> AdmitAll(benchmark::State& state, GatewayLimits& limits, const http::Request& request,
                    const Caller& caller) {
  for (auto _ : state) {
    const GatewayLimits::Verdict verdict = co_await limits.Admit(request, caller);
    benchmark::DoNotOptimize(verdict.allowed());
  }
}

void BM_AdmitKey(benchmark::State& state) {
  telemetry::Metrics metrics;
  GatewayLimits limits(AtTheEdge(state), metrics);
  const Caller caller = std::make_shared<const security::Identity>(
      security::Identity{.kind = security::Identity::kKey, .subject = "0192f0a0-key"});
  const http::Request request;
  RunSync(AdmitAll(state, limits, request, caller));
}

void BM_AdmitAddress(benchmark::State& state) {
  telemetry::Metrics metrics;
  GatewayLimits limits(AtTheEdge(state), metrics);
  const Caller caller = security::Anonymous();
  http::Request request;
  request.remote_address = "192.0.2.17";
  RunSync(AdmitAll(state, limits, request, caller));
}

void BM_Announce(benchmark::State& state) {
  telemetry::Metrics metrics;
  GatewayLimits limits(AtTheEdge(state), metrics);
  const http::Request request;
  const Caller caller = security::Anonymous();
  const auto verdict = RunSync(limits.Admit(request, caller));
  http::Headers headers;
  for (auto _ : state) {
    headers.Clear();
    verdict.Announce(headers);
  }
}

BENCHMARK(BM_AdmitKey)->Arg(0)->Arg(1);
BENCHMARK(BM_AdmitAddress)->Arg(0)->Arg(1);
BENCHMARK(BM_Announce)->Arg(0)->Arg(1);
BENCHMARK(BM_Clock);
BENCHMARK(BM_OneCaller)->ThreadRange(1, 2);
BENCHMARK(BM_ManyCallers);
BENCHMARK(BM_Refused);
BENCHMARK(BM_Newcomers)->ThreadRange(1, 2);

}  // namespace
}  // namespace starling::rpc

BENCHMARK_MAIN();

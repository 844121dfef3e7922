// What telemetry costs on a request's path. The limits to compare with: one uncontended locked add,
// one clock read.
#include <benchmark/benchmark.h>

#include <atomic>

#include "platform/telemetry/log.h"
#include "platform/telemetry/telemetry.h"

namespace starling::telemetry {
namespace {

constexpr std::string_view kHeader = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

void LimitLockedAdd(benchmark::State& state) {
  static std::atomic<uint64_t> value{0};
  for (auto _ : state) value.fetch_add(1, std::memory_order_relaxed);
}
BENCHMARK(LimitLockedAdd);

void LimitClockRead(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}
BENCHMARK(LimitClockRead);

void CounterAdd(benchmark::State& state) {
  static Counter counter;
  for (auto _ : state) counter.Add();
}
BENCHMARK(CounterAdd)->Threads(1)->Threads(2);

void HistogramObserve(benchmark::State& state) {
  static Histogram histogram;
  int64_t ns = 1;
  for (auto _ : state) {
    histogram.Observe(Duration(ns));
    ns = ns * 5 % 50'000'017;
  }
}
BENCHMARK(HistogramObserve)->Threads(1)->Threads(2);

void MethodRecord(benchmark::State& state) {
  static MethodMetrics method;
  int64_t ns = 1;
  for (auto _ : state) {
    method.Record(StatusCode::kOk, Duration(ns));
    ns = ns * 5 % 50'000'017;
  }
}
BENCHMARK(MethodRecord)->Threads(1)->Threads(2);

void SpanUnsampled(benchmark::State& state) {
  static Tracer tracer({.sampling_ratio = 0.0});
  TraceContext parent = TraceContext::NewRoot();
  for (auto _ : state) {
    Span span = tracer.Start("bench", Span::kServer, parent);
    benchmark::DoNotOptimize(span);
    span.End(OkStatus());
  }
}
BENCHMARK(SpanUnsampled);

void SpanUnsampledRoot(benchmark::State& state) {
  static Tracer tracer({.sampling_ratio = 0.000001});
  for (auto _ : state) {
    Span span = tracer.Start("bench", Span::kServer, {});
    benchmark::DoNotOptimize(span);
    span.End(OkStatus());
  }
}
BENCHMARK(SpanUnsampledRoot);

void SpanSampled(benchmark::State& state) {
  static Tracer tracer({.sampling_ratio = 1.0});
  TraceContext parent = TraceContext::NewRoot();
  parent.sampled = true;
  for (auto _ : state) tracer.Start("bench", Span::kServer, parent).End(OkStatus());
}
BENCHMARK(SpanSampled)->Threads(1)->Threads(2);

// With both times already read, as a call that also feeds its MethodMetrics does.
void SpanSampledTimesGiven(benchmark::State& state) {
  static Tracer tracer({.sampling_ratio = 1.0});
  TraceContext parent = TraceContext::NewRoot();
  parent.sampled = true;
  const Instant now = std::chrono::steady_clock::now();
  for (auto _ : state) tracer.StartAt("bench", Span::kServer, parent, now).EndAt(OkStatus(), now);
}
BENCHMARK(SpanSampledTimesGiven);

void TraceParse(benchmark::State& state) {
  std::string_view header = kHeader;
  for (auto _ : state) {
    benchmark::DoNotOptimize(header);
    benchmark::DoNotOptimize(TraceContext::Parse(header));
  }
}
BENCHMARK(TraceParse);

void TraceFormat(benchmark::State& state) {
  TraceContext context = *TraceContext::Parse(kHeader);
  for (auto _ : state) {
    benchmark::DoNotOptimize(context);
    benchmark::DoNotOptimize(context.TraceparentText());
  }
}
BENCHMARK(TraceFormat);

void TraceChild(benchmark::State& state) {
  const TraceContext context = *TraceContext::Parse(kHeader);
  for (auto _ : state) benchmark::DoNotOptimize(context.Child());
}
BENCHMARK(TraceChild);

void LogLevelOff(benchmark::State& state) {
  for (auto _ : state) log::Debug("bench", "never written {}", 1);
}
BENCHMARK(LogLevelOff);

}  // namespace
}  // namespace starling::telemetry

BENCHMARK_MAIN();

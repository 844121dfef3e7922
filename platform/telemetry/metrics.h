// Metrics in Prometheus' terms: counters, gauges, histograms, and the RED set of a method (rate,
// errors, duration).
//
//   Counter& rows = metrics.AddCounter("starling_rows_total", "Rows", {{"source", "csv"}});
//   rows.Add(1000);
//   MethodMetrics& method = metrics.AddMethod("catalog", "GetProduct");
//   method.Record(StatusCode::kOk, elapsed);
//   std::string text = metrics.Expose();  // the text format 0.0.4 that Prometheus scrapes
//
//   the text format 0.0.4 that Prometheus scrapes
//
// The hot path writes to one of 16 cache lines chosen by thread, with relaxed atomics: a counter
// costs about 2 ns, Histogram::Observe and MethodMetrics::Record less than 10 ns. Add... takes a
// lock and a look-up: do it once, keep the reference, which lives as long as the Metrics. The same
// name and labels, in any order, give the same object again. A family takes 1,000 label sets;
// beyond, all share one whose label values are "other", and each such call counts in
// starling_metrics_label_sets_refused_total{metric}. A name that Prometheus would refuse, or one
// used for two kinds of metric, is a bug: it ends the process and says which. Thread-safe.
#pragma once

#include <absl/status/status.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"

namespace starling::telemetry {

using Labels = std::vector<std::pair<std::string, std::string>>;

inline constexpr size_t kStripes = 16;
// The calling thread's stripe.
inline size_t Stripe() {
  static std::atomic<size_t> next{0};
  thread_local const size_t stripe = next.fetch_add(1, std::memory_order_relaxed) % kStripes;
  return stripe;
}

class Counter {
 public:
  void Add(uint64_t by = 1) { stripes_[Stripe()].value.fetch_add(by, std::memory_order_relaxed); }
  uint64_t Value() const;

 private:
  struct alignas(64) Cell {
    std::atomic<uint64_t> value{0};
  };
  std::array<Cell, kStripes> stripes_;
};

class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  double Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// Durations in seconds, in buckets of 1, 2.5 and 5 times each power of ten from 1 us to 10 s.
class Histogram {
 public:
  static constexpr size_t kBuckets = 22;
  // Upper bounds in nanoseconds, ascending; above the last is the bucket +Inf.
  static constexpr std::array<int64_t, kBuckets> kBounds = {
      1'000,         2'500,         5'000,         10'000,        25'000,      50'000,
      100'000,       250'000,       500'000,       1'000'000,     2'500'000,   5'000'000,
      10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000, 500'000'000,
      1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};

  // A negative duration counts as 0.
  void Observe(Duration duration);
  struct Totals {
    std::array<uint64_t, kBuckets + 1> counts{};  // not cumulative
    uint64_t count = 0;
    double sum_seconds = 0;
  };
  Totals Sum() const;

 private:
  struct alignas(64) Cell {
    std::array<std::atomic<uint64_t>, kBuckets + 1> counts{};
    std::atomic<int64_t> sum_ns{0};
  };
  std::array<Cell, kStripes> stripes_;
};

// Rate, errors and duration of one method. Call Begin before each Record, or never: it feeds only
// the calls in flight.
class MethodMetrics {
 public:
  void Begin() { begun_.Add(); }
  // A code that gRPC does not know counts as UNKNOWN.
  void Record(absl::StatusCode code, Duration duration) {
    const auto index = static_cast<size_t>(code) < kCodes ? static_cast<size_t>(code) : kUnknown;
    codes_[Stripe()].counts[index].fetch_add(1, std::memory_order_relaxed);
    duration_.Observe(duration);
  }
  uint64_t Count(absl::StatusCode code) const;
  // Answers that are the server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
  // UNAVAILABLE, DATA_LOSS.
  uint64_t Errors() const;
  // 0 when Begin is not used.
  uint64_t InFlight() const;
  const Histogram& duration() const { return duration_; }

 private:
  static constexpr size_t kCodes = 17;
  static constexpr size_t kUnknown = 2;
  struct alignas(64) Cell {
    std::array<std::atomic<uint64_t>, kCodes> counts{};
  };
  std::array<Cell, kStripes> codes_;
  Counter begun_;
  Histogram duration_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  Counter& AddCounter(std::string_view name, std::string_view help, const Labels& labels = {});
  Gauge& AddGauge(std::string_view name, std::string_view help, const Labels& labels = {});
  Histogram& AddHistogram(std::string_view name, std::string_view help, const Labels& labels = {});
  // starling_rpc_requests_total{service,method,code}, starling_rpc_errors_total,
  // starling_rpc_in_flight and starling_rpc_duration_seconds{service,method}.
  MethodMetrics& AddMethod(std::string_view service, std::string_view method);
  // A value that is asked for when scraped: a counter when its name ends in _total, else a gauge.
  // `read` must be quick and thread-safe, and what it captures must outlive the Metrics; the same
  // name and labels replace it.
  void AddCallback(std::string_view name, std::string_view help, const Labels& labels,
                   std::function<double()> read);

  // Also the process' own metrics (process_metrics.h) and what was refused. About 1 us a series;
  // not for an io thread that must answer in microseconds when there are thousands.
  std::string Expose() const;
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  class Store;
  std::unique_ptr<Store> store_;
};

}  // namespace starling::telemetry

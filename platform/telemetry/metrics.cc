#include "platform/telemetry/metrics.h"

#include <prometheus/check_names.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

#include "platform/telemetry/process_metrics.h"
#include "platform/telemetry/text.h"

namespace starling::telemetry {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr size_t kMaxLabelSets = 1'000;
constexpr size_t kCodes = 17;

// For each length in bits, the first bucket that may hold a number so long: at most two steps from
// the right one.
constexpr std::array<uint8_t, 65> kFirstBucket = [] {
  std::array<uint8_t, 65> first{};
  for (size_t bits = 1; bits <= 64; ++bits) {
    uint8_t bucket = 0;
    while (bucket < Histogram::kBuckets &&
           static_cast<uint64_t>(Histogram::kBounds[bucket]) < uint64_t{1} << (bits - 1)) {
      ++bucket;
    }
    first[bits] = bucket;
  }
  return first;
}();

[[noreturn]] void Misused(std::string_view metric, std::string_view problem) {
  std::fprintf(stderr, "metric '%.*s': %.*s\n", static_cast<int>(metric.size()), metric.data(),
               static_cast<int>(problem.size()), problem.data());
  std::abort();
}

std::vector<ClientMetric::Label> ToLabels(const Labels& labels) {
  std::vector<ClientMetric::Label> result;
  result.reserve(labels.size() + 1);
  for (const auto& [name, value] : labels) result.push_back({name, value});
  return result;
}

ClientMetric Metric(const Labels& labels) {
  ClientMetric metric;
  metric.label = ToLabels(labels);
  return metric;
}

ClientMetric::Histogram ToHistogram(const Histogram& histogram) {
  const Histogram::Totals totals = histogram.Sum();
  ClientMetric::Histogram result;
  result.sample_count = totals.count;
  result.sample_sum = totals.sum_seconds;
  uint64_t cumulative = 0;
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    cumulative += totals.counts[i];
    // A division rounds to the double nearest to the bound, so that 2.5 us reads "2.5e-06".
    result.bucket.push_back({cumulative, static_cast<double>(Histogram::kBounds[i]) / 1e9});
  }
  return result;
}

}  // namespace

uint64_t Counter::Value() const {
  uint64_t total = 0;
  for (const Cell& cell : stripes_) total += cell.value.load(std::memory_order_relaxed);
  return total;
}

void Histogram::Observe(Duration duration) {
  const int64_t ns = std::max<int64_t>(duration.count(), 0);
  size_t bucket = kFirstBucket[static_cast<size_t>(std::bit_width(static_cast<uint64_t>(ns)))];
  while (bucket < kBuckets && ns > kBounds[bucket]) ++bucket;
  Cell& cell = stripes_[Stripe()];
  cell.counts[bucket].fetch_add(1, std::memory_order_relaxed);
  cell.sum_ns.fetch_add(ns, std::memory_order_relaxed);
}

Histogram::Totals Histogram::Sum() const {
  Totals totals;
  for (const Cell& cell : stripes_) {
    for (size_t i = 0; i <= kBuckets; ++i) {
      const uint64_t count = cell.counts[i].load(std::memory_order_relaxed);
      totals.counts[i] += count;
      totals.count += count;
    }
    totals.sum_seconds += static_cast<double>(cell.sum_ns.load(std::memory_order_relaxed)) * 1e-9;
  }
  return totals;
}

uint64_t MethodMetrics::Count(absl::StatusCode code) const {
  uint64_t total = 0;
  for (const Cell& cell : codes_)
    total += cell.counts[static_cast<size_t>(code)].load(std::memory_order_relaxed);
  return total;
}

uint64_t MethodMetrics::Errors() const {
  using absl::StatusCode;
  uint64_t total = 0;
  for (const StatusCode code :
       {StatusCode::kUnknown, StatusCode::kDeadlineExceeded, StatusCode::kUnimplemented,
        StatusCode::kInternal, StatusCode::kUnavailable, StatusCode::kDataLoss}) {
    total += Count(code);
  }
  return total;
}

uint64_t MethodMetrics::InFlight() const {
  // Ends are read first: what happens meanwhile makes the figure a little too high, not negative.
  uint64_t ended = 0;
  for (size_t code = 0; code < kCodes; ++code) ended += Count(static_cast<absl::StatusCode>(code));
  const uint64_t begun = begun_.Value();
  return begun > ended ? begun - ended : 0;
}

class Metrics::Store {
 public:
  template <typename T>
  struct Series {
    Labels labels;  // in the order given
    std::unique_ptr<T> value;
  };
  template <typename T>
  struct Family {
    std::string help;
    std::map<Labels, Series<T>> series;  // by their labels, sorted
  };
  template <typename T>
  using Families = std::map<std::string, Family<T>, std::less<>>;

  template <typename T>
  T& Add(Families<T>& families, std::string_view kind, std::string_view name, std::string_view help,
         Labels labels) {
    const std::lock_guard lock(mutex);
    return AddLocked(families, kind, name, help, std::move(labels));
  }

  template <typename T>
  T& AddLocked(Families<T>& families, std::string_view kind, std::string_view name,
               std::string_view help, Labels labels) {
    if (!prometheus::CheckMetricName(std::string(name)))
      Misused(name, "Prometheus refuses this name");
    if (const auto [at, added] = kinds.try_emplace(std::string(name), kind);
        !added && at->second != kind) {
      Misused(name, "added as two kinds of metric; use two names");
    }
    for (auto& [label, value] : labels) {
      if (!prometheus::CheckLabelName(label))
        Misused(name, "Prometheus refuses the label name '" + label + "'");
      value = ToValidUtf8(value);
    }
    Labels key = labels;
    std::sort(key.begin(), key.end());
    Family<T>& family = families[std::string(name)];
    if (family.help.empty()) family.help = help;
    if (family.series.size() >= kMaxLabelSets && !family.series.contains(key)) {
      ++refused[std::string(name)];
      for (auto& [label, value] : labels) value = "other";
      for (auto& [label, value] : key) value = "other";
    }
    Series<T>& series = family.series[key];
    if (series.value == nullptr) series = {std::move(labels), std::make_unique<T>()};
    return *series.value;
  }

  template <typename T, typename Write>
  static void Collect(const Families<T>& families, MetricType type, Write write,
                      std::vector<MetricFamily>& out) {
    for (const auto& [name, family] : families) {
      MetricFamily result{name, family.help, type, {}};
      for (const auto& [key, series] : family.series) {
        ClientMetric metric = Metric(series.labels);
        write(*series.value, metric);
        result.metric.push_back(std::move(metric));
      }
      out.push_back(std::move(result));
    }
  }

  void CollectMethods(std::vector<MetricFamily>& out) const {
    const auto found = methods.find(kMethods);
    if (found == methods.end()) return;
    MetricFamily requests{
        std::string(kMethods), "Calls answered, by gRPC status code", MetricType::Counter, {}};
    MetricFamily errors{"starling_rpc_errors_total",
                        "Calls that failed by the server's fault",
                        MetricType::Counter,
                        {}};
    MetricFamily in_flight{
        "starling_rpc_in_flight", "Calls begun and not answered", MetricType::Gauge, {}};
    MetricFamily durations{
        "starling_rpc_duration_seconds", "Time from call to answer", MetricType::Histogram, {}};
    for (const auto& [key, series] : found->second.series) {
      const MethodMetrics& method = *series.value;
      for (size_t i = 0; i < kCodes; ++i) {
        const auto code = static_cast<absl::StatusCode>(i);
        const uint64_t count = method.Count(code);
        // OK is there from the start, so that a rate can be computed over the first call.
        if (count == 0 && code != absl::StatusCode::kOk) continue;
        ClientMetric metric = Metric(series.labels);
        metric.label.push_back({"code", absl::StatusCodeToString(code)});
        metric.counter.value = static_cast<double>(count);
        requests.metric.push_back(std::move(metric));
      }
      ClientMetric metric = Metric(series.labels);
      metric.counter.value = static_cast<double>(method.Errors());
      metric.gauge.value = static_cast<double>(method.InFlight());
      metric.histogram = ToHistogram(method.duration());
      errors.metric.push_back(metric);
      in_flight.metric.push_back(metric);
      durations.metric.push_back(std::move(metric));
    }
    for (MetricFamily* family : {&requests, &errors, &in_flight, &durations})
      out.push_back(std::move(*family));
  }

  void CollectRefused(std::vector<MetricFamily>& out) const {
    if (refused.empty()) return;
    MetricFamily family{"starling_metrics_label_sets_refused_total",
                        "Label sets above a family's bound, counted as \"other\"",
                        MetricType::Counter,
                        {}};
    for (const auto& [name, count] : refused) {
      ClientMetric metric = Metric({{"metric", name}});
      metric.counter.value = static_cast<double>(count);
      family.metric.push_back(std::move(metric));
    }
    out.push_back(std::move(family));
  }

  static constexpr std::string_view kMethods = "starling_rpc_requests_total";

  mutable std::mutex mutex;
  std::map<std::string, std::string, std::less<>> kinds;
  std::map<std::string, uint64_t> refused;
  Families<Counter> counters;
  Families<Gauge> gauges;
  Families<Histogram> histograms;
  Families<std::shared_ptr<const std::function<double()>>> callbacks;
  Families<MethodMetrics> methods;
};

Metrics::Metrics() : store_(std::make_unique<Store>()) { AddProcessMetrics(*this); }

Metrics::~Metrics() = default;

Counter& Metrics::AddCounter(std::string_view name, std::string_view help, const Labels& labels) {
  return store_->Add(store_->counters, "counter", name, help, labels);
}
Gauge& Metrics::AddGauge(std::string_view name, std::string_view help, const Labels& labels) {
  return store_->Add(store_->gauges, "gauge", name, help, labels);
}
Histogram& Metrics::AddHistogram(std::string_view name, std::string_view help,
                                 const Labels& labels) {
  return store_->Add(store_->histograms, "histogram", name, help, labels);
}
MethodMetrics& Metrics::AddMethod(std::string_view service, std::string_view method) {
  return store_->Add(store_->methods, "method", Store::kMethods, "",
                     {{"service", std::string(service)}, {"method", std::string(method)}});
}
void Metrics::AddCallback(std::string_view name, std::string_view help, const Labels& labels,
                          std::function<double()> read) {
  auto shared = std::make_shared<const std::function<double()>>(std::move(read));
  const std::lock_guard lock(store_->mutex);
  store_->AddLocked(store_->callbacks, "callback", name, help, labels) = std::move(shared);
}

std::string Metrics::Expose() const {
  std::vector<MetricFamily> families;
  // Callbacks are run after the lock is given back: they may take locks of their own, or add a
  // metric.
  struct Pending {
    size_t family;
    ClientMetric metric;
    std::shared_ptr<const std::function<double()>> read;
  };
  std::vector<Pending> pending;
  {
    const std::lock_guard lock(store_->mutex);
    store_->CollectMethods(families);
    Store::Collect(
        store_->counters, MetricType::Counter,
        [](const Counter& counter, ClientMetric& metric) {
          metric.counter.value = static_cast<double>(counter.Value());
        },
        families);
    Store::Collect(
        store_->gauges, MetricType::Gauge,
        [](const Gauge& gauge, ClientMetric& metric) { metric.gauge.value = gauge.Value(); },
        families);
    Store::Collect(
        store_->histograms, MetricType::Histogram,
        [](const Histogram& histogram, ClientMetric& metric) {
          metric.histogram = ToHistogram(histogram);
        },
        families);
    store_->CollectRefused(families);
    for (const auto& [name, family] : store_->callbacks) {
      const MetricType type = name.ends_with("_total") ? MetricType::Counter : MetricType::Gauge;
      for (const auto& [key, series] : family.series) {
        pending.push_back({families.size(), Metric(series.labels), *series.value});
      }
      families.push_back({name, family.help, type, {}});
    }
  }
  for (Pending& entry : pending) {
    const double value = (*entry.read)();
    entry.metric.counter.value = value;
    entry.metric.gauge.value = value;
    families[entry.family].metric.push_back(std::move(entry.metric));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace starling::telemetry

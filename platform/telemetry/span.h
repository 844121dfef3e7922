// Spans: how long each step of a request took, and within which other.
//
//   Span span = tracer.Start("starling.catalog.v1.Catalog/GetProduct", Span::kServer, parent);
//   span.SetAttribute("product_id", id);       // only when span.recording()
//   callee.trace = span.context();
//   span.End(status);
//
// Sampling is decided at the root, by ratio, and kept along the trace. A span that is not sampled costs about 5 ns; one
// that is, about 100 ns: it goes into a queue of `queue_limit` spans, beyond which spans are dropped and counted.
// A span belongs to one coroutine; the tracer is thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/telemetry/trace_context.h"

namespace starling::telemetry {

// A finished span.
struct SpanRecord {
  TraceContext context;
  uint64_t parent_span_id = 0;  // 0 for a root
  std::string_view name;        // lives as long as the process
  int kind = 0;                 // OTLP's numbers, as Span::Kind
  Instant start;
  Instant end;
  StatusCode status = StatusCode::kOk;
  std::string message;  // of a status that is not OK
  std::vector<std::pair<std::string_view, std::string>> attributes;
};

class Tracer;

class Span {
 public:
  enum Kind { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };
  Span() = default;
  Span(Span&&) = default;
  Span& operator=(Span&&) = default;

  const TraceContext& context() const { return context_; }
  bool recording() const { return record_ != nullptr; }
  // At most 16; more are dropped. `name` must live as long as the process.
  void SetAttribute(std::string_view name, std::string value);
  void End(const Status& status) { EndAt(status, {}); }
  // The same with a time already read.
  void EndAt(const Status& status, Instant end);

 private:
  friend class Tracer;
  TraceContext context_;
  Tracer* tracer_ = nullptr;
  std::unique_ptr<SpanRecord> record_;
};

class Tracer {
 public:
  struct Options {
    double sampling_ratio = 0.0;  // of roots; 0 when nobody collects
    size_t queue_limit = 4'096;
    size_t recent_limit = 256;
  };
  explicit Tracer(Options options);

  // `name` must live as long as the process.
  Span Start(std::string_view name, Span::Kind kind, const TraceContext& parent) {
    return StartAt(name, kind, parent, {});
  }
  // The same with a time already read; an empty one is read when it is needed.
  Span StartAt(std::string_view name, Span::Kind kind, const TraceContext& parent, Instant start);
  void SetSamplingRatio(double ratio);

  // Takes up to `limit` finished spans, oldest first.
  std::vector<std::shared_ptr<const SpanRecord>> Take(size_t limit);
  // The last finished spans, oldest first; for a page that shows them.
  std::vector<std::shared_ptr<const SpanRecord>> Recent() const;
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }
  // Whether finished spans are queued for an exporter; without one only the recent ones are kept.
  void SetExporting(bool exporting) { exporting_.store(exporting, std::memory_order_relaxed); }

 private:
  friend class Span;
  void Finish(std::unique_ptr<SpanRecord> record);

  const Options options_;
  std::atomic<uint64_t> threshold_;  // a root is sampled when a random number is below
  std::atomic<bool> exporting_{false};
  std::atomic<uint64_t> dropped_{0};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const SpanRecord>> queue_;
  std::vector<std::shared_ptr<const SpanRecord>> recent_;  // a ring
  size_t recent_next_ = 0;
};

}  // namespace starling::telemetry

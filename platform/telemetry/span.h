// Spans: how long each step of a request took, and within which other.
//
//   Span span = tracer.Start("starling.catalog.v1.Catalog/GetProduct", Span::kServer, parent);
//   span.SetAttribute("product_id", id);       // only when span.recording()
//   span.AddEvent("cache miss");
//   callee.trace = span.context();
//   span.End(status);
//
// Sampling is decided at the root, by ratio, and kept along the trace. A span that is not sampled
// costs about 10 ns, the new span id included. One that is costs about 60 ns and two reads of the
// clock (25 ns each; give the times if you have them): it goes into a queue of `queue_limit` spans,
// beyond which spans are dropped and counted, under a lock that is held for nanoseconds. A span
// belongs to one coroutine and must not outlive its tracer; the tracer is thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/telemetry/trace_context.h"

namespace starling::telemetry {

using AttributeValue = std::variant<std::string, int64_t, double, bool>;

// A finished span.
struct SpanRecord {
  struct Event {
    std::string_view name;
    Instant time;
  };
  TraceContext context;
  uint64_t parent_span_id = 0;  // 0 for a root
  std::string_view name;        // lives as long as the process
  int kind = 0;                 // OTLP's numbers, as Span::Kind
  Instant start;
  Instant end;
  StatusCode status = StatusCode::kOk;
  std::string message;  // of a status that is not OK
  std::vector<std::pair<std::string_view, AttributeValue>> attributes;
  std::vector<Event> events;
  uint32_t dropped_attributes = 0;
  uint32_t dropped_events = 0;
};

class Tracer;

class Span {
 public:
  enum Kind { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };
  Span() = default;
  Span(Span&& other) noexcept
      : context_(other.context_), tracer_(other.tracer_), record_(std::move(other.record_)) {}
  Span& operator=(Span&& other) noexcept;
  // A span that was not ended (its coroutine was destroyed) ends as CANCELLED.
  ~Span() {
    if (record_ != nullptr) EndAbandoned();
  }

  const TraceContext& context() const { return context_; }
  bool recording() const { return record_ != nullptr; }
  // At most 16, a text of at most 1,024 bytes; what is more is counted or cut. A name that says
  // secret (text.h) is masked. `name` must live as long as the process.
  void SetAttribute(std::string_view name, AttributeValue value);
  // At most 16, as attributes.
  void AddEvent(std::string_view name);
  // Once; a second call does nothing.
  void End(const Status& status) { EndAt(status, {}); }
  // The same with a time already read.
  void EndAt(const Status& status, Instant end) {
    if (record_ != nullptr) Finish(status, end);
  }

 private:
  friend class Tracer;
  void Finish(const Status& status, Instant end);
  void EndAbandoned();

  TraceContext context_;
  Tracer* tracer_ = nullptr;
  std::shared_ptr<SpanRecord> record_;  // nullptr when not sampled, or ended
};

class Tracer {
 public:
  struct Options {
    double sampling_ratio = 0.0;  // of roots; 0 when nobody collects
    size_t queue_limit = 4'096;
    size_t recent_limit = 256;
    uint64_t (*random)() = FastRandom;  // decides which roots are sampled
  };
  explicit Tracer(Options options);

  // `name` must live as long as the process.
  Span Start(std::string_view name, Span::Kind kind, const TraceContext& parent) {
    return StartAt(name, kind, parent, {});
  }
  // The same with a time already read; an empty one is read when it is needed.
  Span StartAt(std::string_view name, Span::Kind kind, const TraceContext& parent, Instant start) {
    Span span;
    span.context_ = parent.valid() ? parent.Child() : NewRoot();
    if (span.context_.sampled) Record(name, kind, parent, start, span);
    return span;
  }
  // Between 0 and 1; may change at any time, for roots to come.
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
  TraceContext NewRoot() const;
  void Record(std::string_view name, Span::Kind kind, const TraceContext& parent, Instant start,
              Span& span);
  void Finish(std::shared_ptr<const SpanRecord> record);

  const Options options_;
  std::atomic<uint64_t> threshold_;  // a root is sampled when a random number is below
  std::atomic<bool> exporting_{false};
  std::atomic<uint64_t> dropped_{0};
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const SpanRecord>> queue_;
  std::vector<std::shared_ptr<const SpanRecord>> recent_;  // a ring
  size_t recent_next_ = 0;                                 // its oldest place, once it is full
};

}  // namespace starling::telemetry

#include "platform/telemetry/span.h"

#include <algorithm>

namespace starling::telemetry {
namespace {

constexpr size_t kMaxAttributes = 16;

uint64_t Threshold(double ratio) {
  if (ratio >= 1.0) return UINT64_MAX;
  if (ratio <= 0.0) return 0;
  return static_cast<uint64_t>(ratio * 18446744073709551615.0);
}

}  // namespace

void Span::SetAttribute(std::string_view name, std::string value) {
  if (record_ != nullptr && record_->attributes.size() < kMaxAttributes) {
    record_->attributes.emplace_back(name, std::move(value));
  }
}

void Span::EndAt(const Status& status, Instant end) {
  if (record_ == nullptr) return;
  record_->end = end == Instant() ? std::chrono::steady_clock::now() : end;
  record_->status = status.code();
  if (!status.ok()) record_->message = std::string(status.message());
  tracer_->Finish(std::move(record_));
}

Tracer::Tracer(Options options) : options_(options), threshold_(Threshold(options.sampling_ratio)) {}

void Tracer::SetSamplingRatio(double ratio) { threshold_.store(Threshold(ratio), std::memory_order_relaxed); }

Span Tracer::StartAt(std::string_view name, Span::Kind kind, const TraceContext& parent, Instant start) {
  Span span;
  span.tracer_ = this;
  if (parent.valid()) {
    span.context_ = parent.Child();
  } else {
    span.context_ = TraceContext::NewRoot();
    const uint64_t threshold = threshold_.load(std::memory_order_relaxed);
    span.context_.sampled = threshold != 0 && FastRandom() <= threshold;
  }
  if (span.context_.sampled) {
    span.record_ = std::make_unique<SpanRecord>();
    span.record_->context = span.context_;
    span.record_->parent_span_id = parent.span_id;
    span.record_->name = name;
    span.record_->kind = kind;
    span.record_->start = start == Instant() ? std::chrono::steady_clock::now() : start;
  }
  return span;
}

void Tracer::Finish(std::unique_ptr<SpanRecord> finished) {
  std::shared_ptr<const SpanRecord> record = std::move(finished);
  const std::lock_guard lock(mutex_);
  if (recent_.size() < options_.recent_limit) {
    recent_.push_back(record);
  } else if (!recent_.empty()) {
    recent_[recent_next_++ % recent_.size()] = record;
  }
  if (!exporting_.load(std::memory_order_relaxed)) return;
  if (queue_.size() >= options_.queue_limit) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  queue_.push_back(std::move(record));
}

std::vector<std::shared_ptr<const SpanRecord>> Tracer::Take(size_t limit) {
  const std::lock_guard lock(mutex_);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(limit, queue_.size()));
  std::vector<std::shared_ptr<const SpanRecord>> taken(std::make_move_iterator(queue_.begin()),
                                                       std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return taken;
}

std::vector<std::shared_ptr<const SpanRecord>> Tracer::Recent() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const SpanRecord>> recent;
  const size_t start = recent_.size() < options_.recent_limit ? 0 : recent_next_;
  for (size_t i = 0; i < recent_.size(); ++i) recent.push_back(recent_[(start + i) % recent_.size()]);
  return recent;
}

}  // namespace starling::telemetry

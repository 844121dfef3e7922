#include "platform/telemetry/span.h"

#include <algorithm>
#include <iterator>

#include "platform/telemetry/text.h"

namespace starling::telemetry {
namespace {

constexpr size_t kMaxAttributes = 16;
constexpr size_t kMaxEvents = 16;
constexpr size_t kMaxText = 1'024;

uint64_t Threshold(double ratio) {
  if (ratio >= 1.0) return UINT64_MAX;
  if (!(ratio > 0.0)) return 0;
  return static_cast<uint64_t>(ratio * 18446744073709551615.0);
}

}  // namespace

Span& Span::operator=(Span&& other) noexcept {
  if (this == &other) return *this;
  if (record_ != nullptr) EndAbandoned();
  context_ = other.context_;
  tracer_ = other.tracer_;
  record_ = std::move(other.record_);
  return *this;
}

void Span::SetAttribute(std::string_view name, AttributeValue value) {
  if (record_ == nullptr) return;
  if (record_->attributes.size() >= kMaxAttributes) {
    ++record_->dropped_attributes;
    return;
  }
  if (IsSecretName(name)) {
    value = std::string(kMasked);
  } else if (auto* text = std::get_if<std::string>(&value);
             text != nullptr && text->size() > kMaxText) {
    *text = Shortened(*text, kMaxText);
  }
  record_->attributes.emplace_back(name, std::move(value));
}

void Span::AddEvent(std::string_view name) {
  if (record_ == nullptr) return;
  if (record_->events.size() >= kMaxEvents) {
    ++record_->dropped_events;
    return;
  }
  record_->events.push_back({name, std::chrono::steady_clock::now()});
}

void Span::Finish(const Status& status, Instant end) {
  record_->end = end == Instant() ? std::chrono::steady_clock::now() : end;
  record_->status = status.code();
  if (!status.ok()) {
    const auto message = status.message();
    record_->message = Shortened({message.data(), message.size()}, kMaxText);
  }
  tracer_->Finish(std::move(record_));
  record_ = nullptr;
}

void Span::EndAbandoned() { Finish(Cancelled("the work was dropped before it ended"), {}); }

Tracer::Tracer(Options options)
    : options_(options), threshold_(Threshold(options.sampling_ratio)) {}

void Tracer::SetSamplingRatio(double ratio) {
  threshold_.store(Threshold(ratio), std::memory_order_relaxed);
}

TraceContext Tracer::NewRoot() const {
  TraceContext root = TraceContext::NewRoot();
  const uint64_t threshold = threshold_.load(std::memory_order_relaxed);
  root.sampled = threshold != 0 && options_.random() <= threshold;
  return root;
}

void Tracer::Record(std::string_view name, Span::Kind kind, const TraceContext& parent,
                    Instant start, Span& span) {
  span.tracer_ = this;
  span.record_ = std::make_shared<SpanRecord>();
  SpanRecord& record = *span.record_;
  record.context = span.context_;
  record.parent_span_id = parent.valid() ? parent.span_id : 0;
  record.name = name;
  record.kind = kind;
  record.start = start == Instant() ? std::chrono::steady_clock::now() : start;
}

void Tracer::Finish(std::shared_ptr<const SpanRecord> record) {
  // What leaves the ring is destroyed after the lock is given back.
  std::shared_ptr<const SpanRecord> replaced;
  const std::lock_guard lock(mutex_);
  if (recent_.size() < options_.recent_limit) {
    recent_.push_back(record);
  } else if (!recent_.empty()) {
    replaced = std::exchange(recent_[recent_next_], record);
    recent_next_ = recent_next_ + 1 == recent_.size() ? 0 : recent_next_ + 1;
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
  recent.reserve(recent_.size());
  for (size_t i = 0; i < recent_.size(); ++i)
    recent.push_back(recent_[(recent_next_ + i) % recent_.size()]);
  return recent;
}

}  // namespace starling::telemetry

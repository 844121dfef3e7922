#include "platform/rpc/fallback.h"

#include "platform/rpc/call_context.h"
#include "platform/rpc/descriptor.h"

namespace starling::rpc {

bool FallsBack(const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kUnknown:
    case StatusCode::kInternal:
    case StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

Status CheckFallback(const MethodDescriptor& method) {
  if (method.idempotency == Idempotency::kNoSideEffects && !method.server_streaming)
    return OkStatus();
  return InvalidArgument("{} {}, so it has no fallback; leave `fallback` out", method.name,
                         method.server_streaming ? "answers with a stream" : "changes something");
}

void TellFallback(telemetry::Metrics& metrics, telemetry::Span& span, CallContext& context,
                  std::string_view service, std::string_view method, Fallback kind) {
  const bool last_good = kind == Fallback::kLastGood;
  metrics
      .AddCounter("starling_fallbacks_total", "Calls answered by the method's fallback",
                  {{"service", std::string(service)},
                   {"method", std::string(method)},
                   {"kind", last_good ? "last_good" : "default"}})
      .Add();
  span.AddEvent(last_good ? "fallback: last good" : "fallback: default");
  context.AddDegraded(fmt::format("{}.{}", service, method));
}

std::string FallbackKey(const MethodDescriptor& method, const CallContext& context,
                        std::string_view request) {
  const bool for_all =
      !context.via_service.empty() && !method.access.user && method.access.owner.empty();
  std::string key(method.full_name);
  key += '\0';
  if (!for_all) key += security::SerializeIdentity(*context.caller);
  key += '\0';
  key += request;
  return key;
}

// The bytes, a node of each of the two containers and what malloc takes for them.
size_t LastGoodAnswers::Entry::size() const { return key.size() + answer.size() + 200; }

void LastGoodAnswers::Drop(std::list<Entry>::iterator entry) {
  bytes_ -= entry->size();
  at_.erase(entry->key);
  entries_.erase(entry);
}

void LastGoodAnswers::Keep(std::string key, std::string answer, Instant now) {
  const std::lock_guard lock(mutex_);
  if (const auto at = at_.find(key); at != at_.end()) Drop(at->second);
  Entry entry{std::move(key), std::move(answer), now};
  if (entry.size() <= limit_) {  // a larger one would push out all others, and then itself
    entries_.push_front(std::move(entry));
    at_.emplace(entries_.front().key, entries_.begin());
    bytes_ += entries_.front().size();
  }
  while (bytes_ > limit_) Drop(std::prev(entries_.end()));
}

std::optional<std::string> LastGoodAnswers::Find(std::string_view key, Duration age, Instant now) {
  const std::lock_guard lock(mutex_);
  const auto at = at_.find(key);
  if (at == at_.end()) return std::nullopt;
  if (now - at->second->at > age) {
    Drop(at->second);
    return std::nullopt;
  }
  entries_.splice(entries_.begin(), entries_, at->second);
  return at->second->answer;
}

void LastGoodAnswers::SetLimit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

size_t LastGoodAnswers::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace starling::rpc

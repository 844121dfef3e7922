#include "platform/gateway/cache/shared.h"

#include <charconv>

#include "platform/gateway/cache/forms.h"
#include "platform/gateway/cache/rules/storing.h"
#include "platform/gateway/cache/rules/validation.h"

namespace starling::gateway {
namespace {

// Whole seconds, at least 0.
void AddSeconds(http::Headers& headers, std::string_view name, Duration duration) {
  const int64_t whole = std::chrono::floor<seconds>(duration).count();
  char text[24];
  const auto [end, error] =
      std::to_chars(text, text + sizeof(text), std::clamp<int64_t>(whole, 0, kLongest.count()));
  headers.Add(name, {text, end});
}

// A body that holds no more memory than it needs.
std::shared_ptr<const std::string> SharedBody(std::string&& body) {
  if (body.capacity() > body.size() + body.size() / 8) body.shrink_to_fit();
  return std::make_shared<const std::string>(std::move(body));
}

// A whole answer says its right length, or none (RFC 9111, 3.3: incomplete responses).
bool IsWhole(const http::Response& response) {
  const auto length = response.headers.Find("content-length");
  return !length || *length == std::to_string(response.body.size());
}

}  // namespace

RequestFacts::RequestFacts(const http::Request& request, bool obey_clients)
    : readable(request.verb == http::Verb::kGet || request.verb == http::Verb::kHead),
      passes(!request.body.empty()) {
  bool has_directives = false;
  for (const http::Headers::Field field : request.headers) {
    switch (field.name.size()) {
      case 4:
        if (http::EqualsIgnoreCase(field.name, "host")) host = field.value;
        break;
      case 5:
        passes = passes || http::EqualsIgnoreCase(field.name, "range");
        break;
      case 8:
        passes = passes || http::EqualsIgnoreCase(field.name, "if-match");
        break;
      case 13:
        has_directives = has_directives || http::EqualsIgnoreCase(field.name, "cache-control");
        conditional = conditional || http::EqualsIgnoreCase(field.name, "if-none-match");
        break;
      case 17:
        conditional = conditional || http::EqualsIgnoreCase(field.name, "if-modified-since");
        break;
      case 19:
        passes = passes || http::EqualsIgnoreCase(field.name, "if-unmodified-since");
        break;
      default:
        break;
    }
  }
  if (!has_directives) return;
  const RequestDirectives all = ParseRequestDirectives(request.headers);
  if (obey_clients) {
    said = all;
  } else {
    said.no_store = all.no_store;
    said.only_if_cached = all.only_if_cached;
  }
}

void HttpCache::Shared::AddCacheStatus(http::Headers& headers, const CacheStatus& status,
                                       std::optional<Duration> left) const {
  char text[160];
  char* at = text;
  char* const end = text + sizeof(text);
  const auto append = [&](std::string_view piece) {
    const size_t size = std::min(piece.size(), static_cast<size_t>(end - at));
    at = std::copy_n(piece.data(), size, at);
  };
  const auto number = [&](int64_t value) { at = std::to_chars(at, end, value).ptr; };
  append(options.name);
  if (status.forwarded.empty()) {
    append("; hit");
  } else {
    append("; fwd=");
    append(status.forwarded);
  }
  if (status.forwarded_status != 0) {
    append("; fwd-status=");
    number(status.forwarded_status);
  }
  if (left) {
    append("; ttl=");
    number(std::chrono::floor<seconds>(*left).count());
  }
  if (status.stored) append("; stored");
  if (status.collapsed) append("; collapsed");
  headers.Add("Cache-Status", {text, at});
}

void HttpCache::Shared::Answer(http::Exchange& exchange, const StoredResponse& stored, Instant now,
                               const CacheStatus& status) {
  http::Response& response = exchange.response;
  const Duration age = stored.Age(now);
  response.status = stored.status;
  response.length.reset();
  response.headers = stored.headers;
  if (IsNotModified(exchange.request.headers, stored.status, stored.headers,
                    stored.answered_wall)) {
    response.status = 304;
    LeaveFieldsOf304(response.headers);
    response.body.clear();
  } else {
    response.body.assign(*stored.body);
    response.forms = FormsInStore(shared_from_this(), store, stored, exchange.request.headers);
  }
  AddSeconds(response.headers, "Age", age);
  AddCacheStatus(response.headers, status, stored.freshness.lifetime - age);
}

StoredPtr HttpCache::Shared::MakeStored(const std::string& key, const http::Request& request,
                                        http::Response& response, const FetchTimes& times) const {
  if (response.body.size() > options.max_object_bytes || !IsWhole(response) ||
      WhyNotStored(request, response.status, response.headers, times.answered, options.heuristic)) {
    return nullptr;
  }
  const auto stored = std::make_shared<StoredResponse>();
  stored->key = key;
  stored->key.shrink_to_fit();
  stored->selecting = SelectingFields::Of(response.headers, request.headers);
  stored->status = response.status;
  stored->headers = FieldsToStore(response.headers);
  stored->body = SharedBody(std::move(response.body));
  stored->body_id = bodies.fetch_add(1, std::memory_order_relaxed) + 1;
  stored->freshness = FreshnessOf(response.status, response.headers, times, options.heuristic);
  stored->answered = clock.MonotonicNow();
  stored->answered_wall = times.answered;
  return stored;
}

StoredPtr HttpCache::Shared::MakeFreshened(const StoredResponse& stored,
                                           const http::Headers& update,
                                           const FetchTimes& times) const {
  const auto fresh = std::make_shared<StoredResponse>();
  fresh->key = stored.key;
  fresh->selecting = stored.selecting;
  fresh->status = stored.status;
  fresh->headers = Freshen(stored.headers, update);
  fresh->body = stored.body;
  fresh->body_id = stored.body_id;
  // Age is the update's, the directives are those of both together.
  http::Headers judged = fresh->headers;
  if (const auto age = update.Find("age")) judged.Set("Age", *age);
  if (!update.Has("date")) judged.Remove("date");
  fresh->freshness = FreshnessOf(fresh->status, judged, times, options.heuristic);
  fresh->answered = clock.MonotonicNow();
  fresh->answered_wall = times.answered;
  return fresh;
}

HttpCache::Shared::Taken HttpCache::Shared::Take(Flights::Lease& lease, const Asked& asked,
                                                 Fetched& fetched, const FetchTimes& times) {
  http::Response& response = fetched.response;
  const bool whole = !fetched.streamed;
  if (IsErrorToReplace(response.status)) {
    lease.Land({Flights::Ended::kFailed, asked.found});
    return {Taken::kError};
  }
  StoredPtr stored;
  if (whole && response.status == 304) {
    if (asked.found != nullptr && SpeaksOf(response.headers, asked.found->headers))
      stored = MakeFreshened(*asked.found, response.headers, times);
  } else if (whole && lease) {
    stored = MakeStored(asked.key, asked.request, response, times);
  }
  if (stored == nullptr) {
    // The origin has something else by now, or does not want it stored any more.
    if (asked.found != nullptr) store.Remove(*asked.found, asked.hash);
    if (lease && !(whole && response.status == 304)) unstorable.Add(asked.hash);
    Count(counters.not_stored);
    lease.Land({Flights::Ended::kLanded, nullptr});
    return {Taken::kNothing};
  }
  unstorable.Remove(asked.hash);
  bool kept = false;
  lease.StoreIfCurrent([&] { kept = store.Put(stored, asked.hash); });
  Count(kept ? counters.stored : counters.not_stored);
  lease.Land({Flights::Ended::kLanded, stored});
  return {Taken::kStored, std::move(stored), kept};
}

size_t HttpCache::Shared::Invalidate(const std::string& key) {
  const uint64_t hash = store.HashOf(key);
  flights.Invalidate(key, hash);
  const size_t removed = store.RemoveKey(key, hash);
  Count(counters.invalidated, removed);
  return removed;
}

void HttpCache::Shared::InvalidateBy(std::string_view prefix, std::string_view host,
                                     std::string_view target, int status,
                                     const http::Headers& headers) {
  if (status < 200 || status >= 400) return;
  Invalidate(CacheKey(prefix, host, target));
  for (const std::string_view name : {"location", "content-location"}) {
    const auto reference = headers.Find(name);
    const auto other = reference ? TargetOnSameHost(*reference, host, target) : std::nullopt;
    if (other) Invalidate(CacheKey(prefix, host, *other));
  }
}

bool HttpCache::WantsWhole(const http::Request& request, int status,
                           const http::Headers& headers) const {
  if (request.verb != http::Verb::kGet || request.headers.Has("range")) return false;
  if (status == 304) return true;
  const auto length = headers.Find("content-length");
  uint64_t bytes = 0;
  if (length) {
    const auto [end, error] =
        std::from_chars(length->data(), length->data() + length->size(), bytes);
    if (error != std::errc() || bytes > shared_->options.max_object_bytes) return false;
  }
  return IsErrorToReplace(status) ||
         !WhyNotStored(request, status, headers, shared_->clock.Now(), shared_->options.heuristic);
}

}  // namespace starling::gateway

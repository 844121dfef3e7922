#include "platform/gateway/cache/http_cache.h"

#include "platform/gateway/cache/shared.h"

namespace starling::gateway {
namespace {

// Whether a word of the list, between any of `separators`, is this.
bool HasWord(std::string_view list, std::string_view separators, std::string_view word) {
  while (!list.empty()) {
    const size_t end = list.find_first_of(separators);
    if (list.substr(0, end) == word) return true;
    if (end == std::string_view::npos) return false;
    list.remove_prefix(end + 1);
  }
  return false;
}

bool HasTag(const http::Headers& headers, std::string_view tag) {
  for (const auto& [name, value] : headers) {
    if (http::EqualsIgnoreCase(name, "surrogate-key") && HasWord(value, " \t", tag)) return true;
    if (http::EqualsIgnoreCase(name, "cache-tag") && HasWord(value, " \t,", tag)) return true;
  }
  return false;
}

// The part of a key behind the route's own; a host and a target hold no blank.
std::string_view UrlOf(const StoredResponse& response) {
  return std::string_view(response.key).substr(response.key.rfind(' ') + 1);
}

}  // namespace

HttpCache::HttpCache(Options options, const Clock& clock)
    : shared_(std::make_shared<Shared>(std::move(options), clock)) {}

HttpCache::~HttpCache() = default;

bool HttpCache::ServeFresh(http::Exchange& exchange, std::string_view key_prefix) {
  const http::Request& request = exchange.request;
  const RequestFacts facts(request, shared_->options.obey_clients);
  if (!facts.readable || facts.passes) return false;
  static thread_local std::string key;  // its memory is used again; no wait comes between
  WriteCacheKey(key_prefix, facts.host, request.target, key);
  const uint64_t hash = shared_->store.HashOf(key);
  const StoredPtr stored = shared_->store.Find(key, hash, request.headers).response;
  if (stored == nullptr) return false;
  const Instant now = shared_->clock.MonotonicNow();
  if (Judge(stored->freshness, stored->Age(now), facts.said) != Use::kFresh) return false;
  Shared::Count(shared_->counters.hits);
  shared_->Answer(exchange, *stored, now, {});
  return true;
}

Task<void> HttpCache::Serve(http::Exchange& exchange, std::string_view key_prefix, Fetch fetch) {
  if (ServeFresh(exchange, key_prefix)) co_return;
  const std::shared_ptr<Shared> shared = shared_;
  const RequestFacts facts(exchange.request, shared->options.obey_clients);
  if (!facts.readable || facts.passes) {
    co_await Shared::PassThrough(shared, exchange, key_prefix, fetch);
    co_return;
  }
  co_await Shared::Read(shared, exchange, key_prefix, fetch);
}

size_t HttpCache::max_object_bytes() const { return shared_->options.max_object_bytes; }

size_t HttpCache::Purge(std::string_view key) { return shared_->Invalidate(std::string(key)); }

size_t HttpCache::PurgePrefix(std::string_view prefix) {
  shared_->flights.InvalidatePrefix(prefix);
  const size_t removed = shared_->store.RemovePrefix(prefix);
  Shared::Count(shared_->counters.invalidated, removed);
  return removed;
}

size_t HttpCache::PurgeMatching(PurgeBy by, std::string_view text) {
  shared_->flights.InvalidatePrefix("");
  const size_t removed = shared_->store.RemoveIf([&](const StoredResponse& response) {
    switch (by) {
      case PurgeBy::kUrl:
        return UrlOf(response) == text;
      case PurgeBy::kUrlPrefix:
        return UrlOf(response).starts_with(text);
      case PurgeBy::kTag:
        return HasTag(response.headers, text);
    }
    return false;
  });
  Shared::Count(shared_->counters.invalidated, removed);
  return removed;
}

HttpCacheStats HttpCache::Stats() const {
  const Shared::Counters& counted = shared_->counters;
  const StoreStats store = shared_->store.Stats();
  return {.hits = counted.hits,
          .misses = counted.misses,
          .stale = counted.stale,
          .revalidated = counted.revalidated,
          .collapsed = counted.collapsed,
          .refreshed = counted.refreshed,
          .bypassed = counted.bypassed,
          .stored = counted.stored,
          .not_stored = counted.not_stored,
          .invalidated = counted.invalidated,
          .evicted = store.evicted,
          .waiting = shared_->flights.waiting(),
          .objects = store.objects,
          .bytes = store.bytes};
}

}  // namespace starling::gateway

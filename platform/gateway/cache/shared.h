// What all requests of one HttpCache share, and the steps that serving them is made of.
#pragma once

#include <array>
#include <atomic>

#include "platform/gateway/cache/flights.h"
#include "platform/gateway/cache/http_cache.h"
#include "platform/gateway/cache/rules/cache_control.h"
#include "platform/gateway/cache/store.h"

namespace starling::gateway {

// What of a request decides how it is served; one pass over its fields.
struct RequestFacts {
  explicit RequestFacts(const http::Request& request, bool obey_clients);

  std::string_view host;
  bool readable = false;     // GET or HEAD
  bool passes = false;       // a GET or HEAD that is passed through all the same
  bool conditional = false;  // If-None-Match, If-Modified-Since
  RequestDirectives said;
};

// Keys whose last answer could not be stored, by hash; one may push another out.
class Unstorable {
 public:
  bool Has(uint64_t hash) const { return At(hash).load(std::memory_order_relaxed) == hash; }
  void Add(uint64_t hash) { At(hash).store(hash, std::memory_order_relaxed); }
  void Remove(uint64_t hash) {
    if (Has(hash)) At(hash).store(0, std::memory_order_relaxed);
  }

 private:
  static constexpr size_t kSize = 4096;
  std::atomic<uint64_t>& At(uint64_t hash) { return hashes_[hash % kSize]; }
  const std::atomic<uint64_t>& At(uint64_t hash) const { return hashes_[hash % kSize]; }
  std::array<std::atomic<uint64_t>, kSize> hashes_{};
};

// The parameters of Cache-Status (RFC 9211, 2) that an answer may have.
struct CacheStatus {
  std::string_view forwarded;  // fwd=: "uri-miss", "stale", ...; "": a hit
  int forwarded_status = 0;    // fwd-status=, where it is not the answer's
  bool stored = false;
  bool collapsed = false;
};

struct HttpCache::Shared : std::enable_shared_from_this<HttpCache::Shared> {
  Shared(Options options, const Clock& clock)
      : options(std::move(options)),
        clock(clock),
        store({.max_bytes = this->options.max_bytes,
               .max_object_bytes = this->options.max_object_bytes,
               .max_variants = this->options.max_variants}),
        flights(this->options.max_waiters) {}

  // Fills the answer from what is stored, as 304 where the client has it, with Age and
  // Cache-Status. Gives nothing to wait for.
  void Answer(http::Exchange& exchange, const StoredResponse& stored, Instant now,
              const CacheStatus& status);
  // Adds our member to Cache-Status. `left`: of the freshness.
  void AddCacheStatus(http::Headers& headers, const CacheStatus& status,
                      std::optional<Duration> left) const;

  // What would be stored of an answer; nullptr when it may not be. Takes the body out of
  // `response`.
  StoredPtr MakeStored(const std::string& key, const http::Request& request,
                       http::Response& response, const FetchTimes& times) const;
  // What is stored, brought up to date by a 304 or a HEAD.
  StoredPtr MakeFreshened(const StoredResponse& stored, const http::Headers& update,
                          const FetchTimes& times) const;
  // What a fetch was for.
  struct Asked {
    const std::string& key;
    uint64_t hash = 0;
    const http::Request& request;  // as the client sent it
    StoredPtr found;               // what was there and could not be used; may be nullptr
  };
  struct Taken {
    enum What : uint8_t { kStored, kNothing, kError } what = kNothing;
    StoredPtr response;  // of kStored: the answer, freshened where the origin said 304
    bool kept = false;   // and it is in the store now
  };
  // Stores what a fetch gave (of a streamed answer only the status is there) where that may be,
  // forgets what is outdated by it, and lands the lease. Only with a lease is anything new stored.
  Taken Take(Flights::Lease& lease, const Asked& asked, Fetched& fetched, const FetchTimes& times);

  size_t Invalidate(const std::string& key);
  // By the answer to an unsafe request.
  void InvalidateBy(std::string_view prefix, std::string_view host, std::string_view target,
                    int status, const http::Headers& headers);

  static Task<void> PassThrough(std::shared_ptr<Shared> shared, http::Exchange& exchange,
                                std::string_view prefix, const Fetch& fetch);
  class Reading;  // a GET or HEAD being served; see serving.cc
  static Task<void> Read(std::shared_ptr<Shared> shared, http::Exchange& exchange,
                         std::string_view prefix, const Fetch& fetch);
  static Task<void> Refresh(std::shared_ptr<Shared> shared, Flights::Lease lease, StoredPtr stale,
                            http::Request request, Fetch fetch);

  using Counter = std::atomic<uint64_t>;
  static void Count(Counter& counter, uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
  }

  const Options options;
  const Clock& clock;
  Store store;
  Flights flights;
  Unstorable unstorable;
  std::atomic<size_t> refreshing{0};
  mutable std::atomic<uint64_t> bodies{0};

  struct alignas(64) Counters {
    Counter hits{0}, misses{0}, stale{0}, revalidated{0}, collapsed{0}, refreshed{0}, bypassed{0},
        stored{0}, not_stored{0}, invalidated{0};
  };
  mutable Counters counters;
};

}  // namespace starling::gateway

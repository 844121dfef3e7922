// The gateway's cache of HTTP answers, shared by all clients (RFC 9111; RFC 5861, RFC 9211).
//
//   HttpCache cache({.max_bytes = 256 << 20});
//   Task<void> Products(http::Exchange& exchange) {
//     co_await cache.Serve(exchange, "products", fetch_);   // fetch_: a Fetch, as below
//   }
//   cache.Purge(CacheKey("products", "shop.example", "/v1/products/p-1"));
//   cache.PurgePrefix("products shop.example/v1/");
//
// What it does with a request
//   GET, HEAD    answered from what is stored while that is fresh, or stale where the origin
//   allows;
//                validated with the origin's ETag or Last-Modified; else fetched and, where a
//                shared cache may, stored (rules/storing.h). A client that has the same already
//                gets 304.
//   GET with Range, If-Match, If-Unmodified-Since or a body; OPTIONS, TRACE: passed through.
//   all others   passed through; a 2xx or 3xx makes invalid what is stored for the target, and for
//                Location and Content-Location on the same host (4.4).
// An answer from here has Age and Cache-Status, as has one that a fetch gave whole.
//
// Concurrent misses of one key wait for one fetch, `max_waiters` of them for `wait_limit` at most;
// when its answer is not for them, each goes on its own. Keys whose last answer could not be stored
// are remembered (8 bytes each, in a table of fixed size), so that nobody waits for such and
// clients' conditions reach the origin. stale-while-revalidate: one refresh a key in the
// background, `max_refreshes` in all; above, the stale answer is given without one.
//
// Bound: max_bytes, see store.h. What is being fetched belongs to its request.
//
// Thread-safe. Nothing waits on an io thread but for short locks. A hit costs 0.3 us and one copy
// of the body (bench_http_cache). Serve's tasks and refreshes keep what they use of the cache
// alive.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "platform/async/task.h"
#include "platform/gateway/cache/rules/freshness.h"
#include "platform/gateway/cache/rules/target.h"
#include "platform/http/exchange.h"

namespace starling::gateway {

// What a fetch gives: the whole answer, or word that it went to the exchange already.
struct Fetched {
  bool streamed = false;
  http::Response response;  // unless streamed; an error of its own (502, 504) is an answer as well
};

// Sends `request` to the origin. Of an answer whose head HttpCache::WantsWhole refuses, or whose
// body grows above max_object_bytes, it streams what there is to `exchange`; all others it gives
// back whole. Also called in the background, when the client's exchange is gone: then with an
// exchange of which only `request` and the stream are there, and whose Write gives CANCELLED. So it
// must use of the exchange nothing but what it is given here, and hold by itself, or outlive, all
// else. It must end within a time of its own, and must not change exchange.request's fields.
using Fetch = std::function<Task<Fetched>(http::Request& request, http::Exchange& exchange)>;

struct HttpCacheOptions {
  size_t max_bytes = size_t{64} << 20;
  size_t max_object_bytes = size_t{1} << 20;  // of a body
  size_t max_variants = 32;                   // answers of one key that differ by Vary
  size_t max_waiters = 1024;                  // of one key
  Duration wait_limit = std::chrono::seconds(5);
  size_t max_refreshes = 256;
  Heuristic heuristic = {};  // off
  // Whether a client's Cache-Control counts (no-cache, max-age, ...); without it no client can make
  // the gateway ask the origin for what is fresh. only-if-cached and no-store count always.
  bool obey_clients = true;
  std::string name = "starling";  // in Cache-Status; a token
};

// Since the start, but for the last three.
struct HttpCacheStats {
  uint64_t hits = 0;         // answered fresh, waiters that shared a fetch counted
  uint64_t misses = 0;       // fetched, nothing usable was there
  uint64_t stale = 0;        // answered stale: for the client, while refreshing, or for an error
  uint64_t revalidated = 0;  // answered after the origin said 304
  uint64_t collapsed = 0;    // answered by the fetch of another
  uint64_t refreshed = 0;    // refreshes that were started in the background
  uint64_t bypassed = 0;     // passed through
  uint64_t stored = 0;
  uint64_t not_stored = 0;   // fetched, and not storable or too large
  uint64_t invalidated = 0;  // by unsafe requests and by purges
  uint64_t evicted = 0;      // to make room
  uint64_t waiting = 0;      // now, for the fetch of another
  uint64_t objects = 0;      // now
  uint64_t bytes = 0;        // now
};

class HttpCache {
 public:
  using Options = HttpCacheOptions;
  explicit HttpCache(Options options, const Clock& clock = SystemClock());
  ~HttpCache();
  HttpCache(const HttpCache&) = delete;
  HttpCache& operator=(const HttpCache&) = delete;

  // Answers from what is stored and fresh, without a wait; false when it cannot, and then nothing
  // is changed. Serve begins with it: it is for who has a Fetch to make only on a miss.
  bool ServeFresh(http::Exchange& exchange, std::string_view key_prefix);

  // Answers the exchange. `key_prefix` must live until it is done.
  Task<void> Serve(http::Exchange& exchange, std::string_view key_prefix, Fetch fetch);

  // For a fetch, by the head of the origin's answer to `request`: whether to give it back whole.
  // True for what may be stored and is not known to be too large, for 304, and for errors that a
  // stale answer may stand in for.
  bool WantsWhole(const http::Request& request, int status, const http::Headers& headers) const;
  size_t max_object_bytes() const;

  // Forgets the answers of one key (see CacheKey). O(answers of this key). Gives how many; a fetch
  // under way will not be stored.
  size_t Purge(std::string_view key);
  // The same for all keys that begin so; "": all. O(all answers), about 0.1 us each, so call it
  // from the blocking pool.
  size_t PurgePrefix(std::string_view prefix);
  // The same whatever the key's own prefix: of one URL, as "shop.example/v1/products?page=2"; of
  // all that begin so; of all answers that have a tag, a word of their Surrogate-Key (by blanks) or
  // their Cache-Tag (by commas). What is fetched meanwhile will not be stored, whatever it is.
  enum class PurgeBy : uint8_t { kUrl, kUrlPrefix, kTag };
  size_t PurgeMatching(PurgeBy by, std::string_view text);

  HttpCacheStats Stats() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace starling::gateway

// The memory of the cache: answers by key, never more bytes than told.
//
//   Store store({.max_bytes = 64 << 20});
//   store.Put(response);
//   if (const Store::Found found = store.Find(key, hash, request.headers); found.response) ...
//
// Bound: keys, fields, bodies, the tables and what an allocator adds (see BytesOf) are together at
// most max_bytes at any time. The memory is split into shards of equal size, each with its lock, so
// that a body of max_object_bytes fits a quarter of a shard; an answer that is larger than a
// quarter is not taken. What somebody still reads when it is evicted is freed after that.
//
// Eviction is SIEVE (Zhang et al., "SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction
// Algorithm for Web Caches", NSDI 2024): a queue by arrival, a mark on what was used, and a hand
// that goes from the oldest to the newest, takes the mark off what has one and evicts what has
// none. What is used again and again survives every round, what is asked for once goes soon, and a
// hit moves nothing.
//
// Answers of one key that differ by Vary are `max_variants` at most; beyond, the oldest goes.
//
// Thread-safe. A shard's lock is held for the comparison of a few keys, or for the evictions that
// one Put needs; nothing is freed and nothing large is copied under it.
#pragma once

#include <absl/functional/function_ref.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "platform/gateway/cache/stored_response.h"

namespace starling::gateway {

struct StoreOptions {
  size_t max_bytes = size_t{64} << 20;
  size_t max_object_bytes = size_t{1}
                            << 20;  // of a body; gives how many shards there are, up to 64
  size_t max_variants = 32;         // a key
};

struct StoreStats {
  uint64_t evicted = 0;  // to make room
  uint64_t refused = 0;  // too large for a shard
  uint64_t objects = 0;  // now
  uint64_t bytes = 0;    // now, tables included
};

class Store {
 public:
  explicit Store(StoreOptions options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // A seed that callers do not know spreads the keys, so nobody can aim at one shard or chain.
  uint64_t HashOf(std::string_view key) const;

  struct Found {
    StoredPtr response;      // the newest that fits the request; nullptr: none
    bool key_known = false;  // something is stored under this key
  };
  // O(answers of this key).
  Found Find(std::string_view key, uint64_t hash, const http::Headers& request);

  // Takes the place of the answers with this key that the same fields select. False when it is too
  // large; then these are gone as well. O(answers of this key), and the evictions.
  bool Put(StoredPtr response, uint64_t hash);

  // Removes exactly this one, if it is still there.
  void Remove(const StoredResponse& response, uint64_t hash);
  // All answers of a key. O(answers of this key). Gives how many.
  size_t RemoveKey(std::string_view key, uint64_t hash);
  // All answers whose key begins so. O(all answers); a shard's lock is held for 64 chains at a
  // time.
  size_t RemovePrefix(std::string_view prefix);
  // All answers for which it holds, in the same way. `goes` is called under the lock.
  size_t RemoveIf(absl::FunctionRef<bool(const StoredResponse&)> goes);

  StoreStats Stats() const;
  // The largest answer that is taken, in bytes as BytesOf counts.
  size_t largest() const { return shard_bytes_ / 4; }

 private:
  struct Entry;
  struct alignas(64) Shard;
  // Entries that are out of a shard and wait to be freed outside its lock.
  class Doomed;

  Shard& ShardOf(uint64_t hash);

  std::vector<Shard> shards_;  // a power of two
  size_t shard_bytes_ = 0;     // for entries, without tables
  size_t fixed_bytes_ = 0;
  const size_t max_variants_;
  const uint64_t seed_;
};

}  // namespace starling::gateway

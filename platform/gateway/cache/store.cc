#include "platform/gateway/cache/store.h"

#include <algorithm>
#include <bit>
#include <random>

#include "platform/base/hash.h"

namespace starling::gateway {
namespace {

constexpr size_t kMaxShards = 64;
constexpr size_t kBytesPerChain = 1024;  // of a full shard
constexpr size_t kChainsPerLock = 64;    // in RemovePrefix

size_t ShardsFor(const StoreOptions& options) {
  constexpr size_t kBesideBody = 8192;
  const size_t shard = 4 * (BlockBytes(options.max_object_bytes) + kBesideBody);
  return std::bit_floor(std::clamp<size_t>(options.max_bytes / shard, 1, kMaxShards));
}

uint64_t RandomSeed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

size_t BytesOf(const StoredResponse& response) {
  constexpr size_t kControlBlock = 16;
  size_t bytes = BlockBytes(sizeof(StoredResponse) + kControlBlock);
  if (response.key.capacity() > std::string().capacity())
    bytes += BlockBytes(response.key.capacity() + 1);
  size_t text = 0;
  for (const http::Headers::Field field : response.headers)
    text += field.name.size() + field.value.size();
  bytes += BlockBytes(text + 1) + BlockBytes(response.headers.size() * 3 * sizeof(uint32_t));
  if (response.body != nullptr) {
    bytes += BlockBytes(sizeof(std::string) + kControlBlock);
    bytes += BlockBytes(response.body->capacity() + 1);
  }
  const size_t selecting = response.selecting.Bytes();
  return bytes + selecting + selecting / 8 + 16 * response.selecting.Blocks();
}

struct Store::Entry {
  StoredPtr response;
  uint64_t hash = 0;
  size_t bytes = 0;
  Entry* next = nullptr;   // in its chain, newest first; in Doomed
  Entry* newer = nullptr;  // in the queue
  Entry* older = nullptr;
  bool used = false;
};

class Store::Doomed {
 public:
  Doomed() = default;
  Doomed(const Doomed&) = delete;
  Doomed& operator=(const Doomed&) = delete;
  ~Doomed() {
    while (first_ != nullptr) delete std::exchange(first_, first_->next);
  }
  void Add(Entry* entry) {
    entry->next = first_;
    first_ = entry;
    ++count_;
  }
  size_t count() const { return count_; }

 private:
  Entry* first_ = nullptr;
  size_t count_ = 0;
};

struct alignas(64) Store::Shard {
  mutable std::mutex mutex;
  std::vector<Entry*> chains;  // a power of two
  Entry* newest = nullptr;
  Entry* oldest = nullptr;
  Entry* hand = nullptr;  // nullptr: at the oldest
  size_t bytes = 0;
  size_t objects = 0;
  uint64_t evicted = 0;
  uint64_t refused = 0;

  Entry*& ChainOf(uint64_t hash) { return chains[(hash >> 8) & (chains.size() - 1)]; }

  void Link(Entry* entry) {
    Entry*& chain = ChainOf(entry->hash);
    entry->next = chain;
    chain = entry;
    entry->older = newest;
    (newest == nullptr ? oldest : newest->newer) = entry;
    newest = entry;
    bytes += entry->bytes;
    ++objects;
  }

  // `at` is the pointer in the chain that points to the entry.
  void Unlink(Entry** at, Doomed& doomed) {
    Entry* const entry = *at;
    *at = entry->next;
    if (hand == entry) hand = entry->newer;
    (entry->newer == nullptr ? newest : entry->newer->older) = entry->older;
    (entry->older == nullptr ? oldest : entry->older->newer) = entry->newer;
    bytes -= entry->bytes;
    --objects;
    doomed.Add(entry);
  }

  void EvictOne(Doomed& doomed) {
    Entry* victim = hand == nullptr ? oldest : hand;
    while (victim->used) {
      victim->used = false;
      victim = victim->newer == nullptr ? oldest : victim->newer;
    }
    hand = victim->newer;
    Entry** at = &ChainOf(victim->hash);
    while (*at != victim) at = &(*at)->next;
    Unlink(at, doomed);
    ++evicted;
  }

  // Unlinks the entries of the chain for which `goes` holds.
  template <typename Goes>
  void UnlinkIf(Entry** at, Doomed& doomed, Goes goes) {
    while (*at != nullptr) {
      if (goes(**at)) {
        Unlink(at, doomed);
      } else {
        at = &(*at)->next;
      }
    }
  }
};

Store::Store(StoreOptions options)
    : shards_(ShardsFor(options)),
      max_variants_(std::max<size_t>(options.max_variants, 1)),
      seed_(RandomSeed()) {
  const size_t share = options.max_bytes / shards_.size();
  const size_t chains = std::bit_ceil(std::max<size_t>(share / kBytesPerChain / 2, 1));
  fixed_bytes_ = BlockBytes(shards_.size() * sizeof(Shard)) +
                 shards_.size() * BlockBytes(chains * sizeof(Entry*));
  const size_t rest = options.max_bytes - std::min(options.max_bytes, fixed_bytes_);
  shard_bytes_ = rest / shards_.size();
  for (Shard& shard : shards_) shard.chains.assign(chains, nullptr);
}

Store::~Store() {
  for (Shard& shard : shards_) {
    while (shard.newest != nullptr) delete std::exchange(shard.newest, shard.newest->older);
  }
}

Store::Shard& Store::ShardOf(uint64_t hash) { return shards_[hash & (shards_.size() - 1)]; }

uint64_t Store::HashOf(std::string_view key) const { return Hash64(key, seed_); }

Store::Found Store::Find(std::string_view key, uint64_t hash, const http::Headers& request) {
  Found found;
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  for (Entry* entry = shard.ChainOf(hash); entry != nullptr; entry = entry->next) {
    if (entry->hash != hash || entry->response->key != key) continue;
    found.key_known = true;
    if (!entry->response->selecting.Match(request)) continue;
    entry->used = true;
    found.response = entry->response;
    break;
  }
  return found;
}

bool Store::Put(StoredPtr response, uint64_t hash) {
  auto entry = std::make_unique<Entry>();
  entry->bytes = BlockBytes(sizeof(Entry)) + BytesOf(*response);
  entry->response = std::move(response);
  entry->hash = hash;
  const StoredResponse& put = *entry->response;
  const bool fits = entry->bytes <= largest();

  Doomed doomed;
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  size_t variants = 0;
  shard.UnlinkIf(&shard.ChainOf(hash), doomed, [&](const Entry& old) {
    if (old.hash != hash || old.response->key != put.key) return false;
    // The chain is newest first, so what is above the limit is the oldest.
    return old.response->selecting.Selects(put.selecting) || ++variants >= max_variants_;
  });
  if (!fits) {
    ++shard.refused;
    return false;
  }
  while (shard.bytes + entry->bytes > shard_bytes_) shard.EvictOne(doomed);
  shard.Link(entry.release());
  return true;
}

void Store::Remove(const StoredResponse& response, uint64_t hash) {
  Doomed doomed;
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  shard.UnlinkIf(&shard.ChainOf(hash), doomed,
                 [&](const Entry& entry) { return entry.response.get() == &response; });
}

size_t Store::RemoveKey(std::string_view key, uint64_t hash) {
  Doomed doomed;
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  shard.UnlinkIf(&shard.ChainOf(hash), doomed, [&](const Entry& entry) {
    return entry.hash == hash && entry.response->key == key;
  });
  return doomed.count();
}

size_t Store::RemovePrefix(std::string_view prefix) {
  return RemoveIf(
      [prefix](const StoredResponse& response) { return response.key.starts_with(prefix); });
}

size_t Store::RemoveIf(absl::FunctionRef<bool(const StoredResponse&)> goes) {
  size_t removed = 0;
  for (Shard& shard : shards_) {
    for (size_t first = 0; first < shard.chains.size(); first += kChainsPerLock) {
      Doomed doomed;
      const std::lock_guard lock(shard.mutex);
      const size_t end = std::min(first + kChainsPerLock, shard.chains.size());
      for (size_t i = first; i < end; ++i) {
        shard.UnlinkIf(&shard.chains[i], doomed,
                       [&](const Entry& entry) { return goes(*entry.response); });
      }
      removed += doomed.count();
    }
  }
  return removed;
}

StoreStats Store::Stats() const {
  StoreStats stats{.bytes = fixed_bytes_};
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    stats.evicted += shard.evicted;
    stats.refused += shard.refused;
    stats.objects += shard.objects;
    stats.bytes += shard.bytes;
  }
  return stats;
}

}  // namespace starling::gateway

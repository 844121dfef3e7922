// A key-value store: bytes under keys that are ordered by byte, batches that are atomic, values
// that may expire.
//
//   auto store = kv::Store::Open({.path = folder / "profiles"}, runtime.blocking()).value();
//   Status put = co_await store->Put(key, bytes, {.ttl = std::chrono::hours(24)});
//   StatusOr<std::optional<std::string>> value = co_await store->Get(key);   // nullopt: not there
//
//   kv::Batch batch;                        // all of it or none
//   batch.Put("user/7/name", "Ada").Delete("user/7/draft");
//   Status applied = co_await store->Apply(batch, kv::Durability::kSynced);
//
//   std::string after;                      // every key of a prefix, page by page
//   do {
//     StatusOr<kv::Page> page = co_await store->Scan({.prefix = "user/7/", .after = after});
//     ...
//     after = page->next;
//   } while (!after.empty());
//
// For what is looked up by one key, often and fast. For what is queried, joined or written together
// with events, use platform/storage/sql. On Redis durability and costs differ: redis/redis_store.h.
//
// Durability: kSynced is acknowledged once it is on the disk (about one fsync, shared by calls that
// run together); kBuffered once it is in the kernel: it survives a crash of the process, and a loss
// of power takes the newest of it, in order, never a synced write before it.
//
// Bounds: a key has 1 to 4096 bytes, a value at most 16 MiB, a batch at most 10000 changes and
// 64 MiB, a page at most 10000 entries and about 16 MiB; beyond is INVALID_ARGUMENT. Calls that
// wait are bounded by the pool (UNAVAILABLE, OVERLOADED).
//
// Errors: RESOURCE_EXHAUSTED the disk is full; UNAVAILABLE I/O failed; DATA_LOSS a file is damaged,
// the message names it and what to do; FAILED_PRECONDITION it cannot be opened. With an error
// nothing of the batch was acknowledged; a crash that follows at once may keep it. After an error
// of the disk the next Apply opens the store again, once the disk takes a write.
//
// Thread-safe. Views given to a call live until it returns. A Get of what is in memory costs about
// 2 us and stays on its thread; other calls hop to the pool and back. The store must end after its
// calls, and before the pool.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/blocking_pool.h"
#include "platform/async/task.h"
#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling::kv {

inline constexpr size_t kMaxKeyBytes = 4096;
inline constexpr size_t kMaxValueBytes = 16 << 20;
inline constexpr size_t kMaxBatchChanges = 10'000;
inline constexpr size_t kMaxBatchBytes = 64 << 20;
inline constexpr size_t kMaxPageEntries = 10'000;

enum class Durability { kSynced, kBuffered };

struct PutOptions {
  std::optional<Duration> ttl;  // from now; at least a millisecond; none: for ever
  Durability durability = Durability::kSynced;
};

// Changes that are applied together, in their order.
class Batch {
 public:
  struct Change {
    std::string key;
    std::optional<std::string> value;  // none: delete
    std::optional<Duration> ttl;
  };
  Batch& Put(std::string_view key, std::string_view value,
             std::optional<Duration> ttl = std::nullopt) {
    changes_.push_back({std::string(key), std::string(value), ttl});
    return *this;
  }
  // Deleting what is not there is no error.
  Batch& Delete(std::string_view key) {
    changes_.push_back({std::string(key), std::nullopt, std::nullopt});
    return *this;
  }
  const std::vector<Change>& changes() const { return changes_; }
  void Clear() { changes_.clear(); }

 private:
  std::vector<Change> changes_;
};

struct Entry {
  std::string key;
  std::string value;
  bool operator==(const Entry&) const = default;
};

struct ScanOptions {
  std::string_view prefix;  // empty: all keys
  std::string_view after;   // Page::next of the page before
  size_t limit = 100;       // entries of a page, 1 to kMaxPageEntries
};

// Keys ascending. A page may be short, even empty, before the end: only an empty `next` is the end.
struct Page {
  std::vector<Entry> entries;
  std::string next;
};

struct Options {
  std::filesystem::path path;           // a folder, created when absent
  size_t block_cache_bytes = 8 << 20;   // what is kept of the files
  size_t write_buffer_bytes = 4 << 20;  // what is kept of the newest writes, twice at most
};

class Store {
 public:
  // Opens or creates the store. Blocks: for start-up.
  static StatusOr<std::unique_ptr<Store>> Open(Options options, BlockingPool& pool,
                                               const Clock& clock = SystemClock());
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  virtual Task<StatusOr<std::optional<std::string>>> Get(std::string_view key) = 0;
  virtual Task<Status> Apply(const Batch& batch, Durability durability) = 0;
  virtual Task<StatusOr<Page>> Scan(const ScanOptions& options) = 0;
  // Reads everything and compares checksums.
  virtual Task<Status> Check() = 0;

  Task<Status> Put(std::string_view key, std::string_view value, const PutOptions& options = {});
  Task<Status> Delete(std::string_view key, Durability durability = Durability::kSynced);

 protected:
  Store() = default;
};

// The first key after all that begin with the prefix; empty when there is none. For adapters.
std::string EndOf(std::string_view prefix);
// The bounds above, as INVALID_ARGUMENT that names what is wrong; for adapters.
Status CheckKey(std::string_view key);
Status CheckBatch(const Batch& batch);
Status CheckScan(const ScanOptions& options);

}  // namespace starling::kv

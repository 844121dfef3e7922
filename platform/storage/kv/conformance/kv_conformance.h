// What every adapter of the key-value port must do, as tests. An adapter's test binary compiles
// conformance/*.cc and says which adapter runs:
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, KvConformance, testing::Values(Adapter{"embedded",
//   MakeFolder}));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "platform/async/runtime.h"
#include "platform/storage/kv/store.h"

namespace starling::kv {

// Where one test's store is: empty at first, removed when destroyed.
class Location {
 public:
  virtual ~Location() = default;
  virtual StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime, const Clock& clock) = 0;
};

struct Adapter {
  std::string name;
  std::function<std::unique_ptr<Location>()> make_location;
};

inline void PrintTo(const Adapter& adapter, std::ostream* out) { *out << adapter.name; }

class KvConformance : public testing::TestWithParam<Adapter> {
 protected:
  KvConformance() { Reopen(); }
  void Reopen() {
    store_.reset();
    StatusOr<std::unique_ptr<Store>> store = location_->Open(runtime_, clock_);
    if (!store.ok()) {
      ADD_FAILURE() << store.status();
      std::abort();
    }
    store_ = *std::move(store);
  }
  Status Put(std::string_view key, std::string_view value, PutOptions options = {}) {
    return runtime_.Block(store_->Put(key, value, options));
  }
  Status Delete(std::string_view key) { return runtime_.Block(store_->Delete(key)); }
  Status Apply(const Batch& batch, Durability durability = Durability::kSynced) {
    return runtime_.Block(store_->Apply(batch, durability));
  }
  StatusOr<std::optional<std::string>> TryGet(std::string_view key) {
    return runtime_.Block(store_->Get(key));
  }
  std::optional<std::string> Get(std::string_view key) { return TryGet(key).value(); }
  StatusOr<Page> Scan(ScanOptions options) { return runtime_.Block(store_->Scan(options)); }
  // The keys of a prefix, read in pages of `limit`.
  std::vector<std::string> Keys(std::string_view prefix, size_t limit = 100) {
    std::vector<std::string> keys;
    std::string after;
    do {
      const Page page = Scan({.prefix = prefix, .after = after, .limit = limit}).value();
      EXPECT_LE(page.entries.size(), limit);
      for (const Entry& entry : page.entries) keys.push_back(entry.key);
      after = page.next;
    } while (!after.empty());
    return keys;
  }

  FakeClock clock_{*ParseRfc3339("2026-01-02T03:04:05Z")};
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 4}};
  std::unique_ptr<Location> location_ = GetParam().make_location();
  std::unique_ptr<Store> store_;
};

}  // namespace starling::kv

// What every adapter of the blob port must do, as tests. An adapter's test binary compiles
// conformance/*.cc and says which adapter runs:
//
//   INSTANTIATE_TEST_SUITE_P(Folder, BlobConformance, testing::Values(Adapter{"folder",
//   MakeFolder}));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/storage/blob/store.h"

namespace starling::blob {

// Where one test's blobs are: empty at first, removed when destroyed.
class Location {
 public:
  virtual ~Location() = default;
  virtual StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime) = 0;
};

struct Adapter {
  std::string name;
  std::function<std::unique_ptr<Location>()> make_location;
};

inline void PrintTo(const Adapter& adapter, std::ostream* out) { *out << adapter.name; }

class BlobConformance : public testing::TestWithParam<Adapter> {
 protected:
  BlobConformance() { Reopen(); }
  void Reopen() {
    store_.reset();
    StatusOr<std::unique_ptr<Store>> store = location_->Open(runtime_);
    if (!store.ok()) {
      ADD_FAILURE() << store.status();
      std::abort();
    }
    store_ = *std::move(store);
  }
  StatusOr<About> Put(std::string_view key, std::string_view bytes, PutOptions options = {}) {
    Bytes source(bytes);
    return store_->Put(key, source, options);
  }
  // The keys of a prefix, read in pages of `limit`.
  std::vector<std::string> Keys(std::string_view prefix, size_t limit = 1000) {
    std::vector<std::string> keys;
    std::string after;
    do {
      const auto page = store_->List({.prefix = prefix, .after = after, .limit = limit});
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return keys;
      EXPECT_LE(page->entries.size(), limit);
      for (const Entry& entry : page->entries) keys.push_back(entry.key);
      after = page->next;
    } while (!after.empty());
    return keys;
  }

  Runtime runtime_{{.io_threads = 2}};
  std::unique_ptr<Location> location_ = GetParam().make_location();
  std::unique_ptr<Store> store_;
};

}  // namespace starling::blob

// What every adapter of the vector port must do, as tests. An adapter's test binary compiles
// conformance/*.cc and says which adapter runs:
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, VectorConformance, testing::Values(Adapter{"embedded",
//   MakeFolder}));
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "platform/async/runtime.h"
#include "platform/storage/vector/store.h"

namespace starling::vector {

// Where one test's store is: empty at first, removed when destroyed.
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

class VectorConformance : public testing::TestWithParam<Adapter> {
 protected:
  using Items = std::vector<std::pair<std::string, std::vector<float>>>;

  VectorConformance() { Reopen(); }
  void Reopen() {
    store_.reset();
    StatusOr<std::unique_ptr<Store>> store = location_->Open(runtime_);
    if (!store.ok()) {
      ADD_FAILURE() << store.status();
      std::abort();
    }
    store_ = *std::move(store);
  }
  static Batch BatchOf(size_t dimension, const Items& items) {
    Batch batch(dimension);
    for (const auto& [id, values] : items) batch.Add(id, values);
    return batch;
  }
  Status Replace(std::string_view collection, Shape shape, Batch items) {
    return runtime_.Block(store_->Replace(collection, shape, std::move(items)));
  }
  Status Replace(std::string_view collection, Shape shape, const Items& items) {
    return Replace(collection, shape, BatchOf(shape.dimension, items));
  }
  Status Upsert(std::string_view collection, size_t dimension, const Items& items) {
    return runtime_.Block(store_->Upsert(collection, BatchOf(dimension, items)));
  }
  Status Remove(std::string_view collection, const std::vector<std::string>& ids) {
    return runtime_.Block(store_->Remove(collection, ids));
  }
  Status Drop(std::string_view collection) { return runtime_.Block(store_->Drop(collection)); }
  StatusOr<std::vector<Hit>> Nearest(std::string_view collection, const std::vector<float>& query,
                                     size_t k = 10, const std::vector<std::string>& excluded = {}) {
    return runtime_.Block(
        store_->Nearest(collection, {.values = query, .k = k, .excluded = excluded}));
  }
  std::vector<std::string> Ids(std::string_view collection, const std::vector<float>& query,
                               size_t k = 10, const std::vector<std::string>& excluded = {}) {
    const StatusOr<std::vector<Hit>> hits = Nearest(collection, query, k, excluded);
    EXPECT_TRUE(hits.ok()) << hits.status();
    std::vector<std::string> ids;
    if (hits.ok()) {
      for (const Hit& hit : *hits) ids.push_back(hit.id);
    }
    return ids;
  }
  StatusOr<About> Describe(std::string_view collection) {
    return runtime_.Block(store_->Describe(collection));
  }
  std::vector<std::string> List() { return runtime_.Block(store_->List()).value(); }

  Runtime runtime_{{.io_threads = 1, .blocking_threads = 4}};
  std::unique_ptr<Location> location_ = GetParam().make_location();
  std::unique_ptr<Store> store_;
};

}  // namespace starling::vector

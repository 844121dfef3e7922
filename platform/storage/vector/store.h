// Vectors by id, in named collections, and which of them are nearest to another.
//
//   STARLING_ASSIGN_OR_RETURN(auto store, vector::OpenEmbedded({.path = folder / "v.sqlite"},
//   pool)); vector::Batch products(64); products.Add("p-1", values);                             //
//   64 floats Status written = co_await store->Replace("v7", {.dimension = 64},
//   std::move(products)); StatusOr<std::vector<vector::Hit>> near =
//       co_await store->Nearest("v7", {.values = query, .k = 10, .excluded = bought});
//
// For what is looked for by likeness. What has a key belongs in platform/storage/kv, what is joined
// in platform/storage/sql.
//
// Scores, higher is nearer, computed by one kernel (scan.h) whatever adapter found the items:
//   kInnerProduct   q . x
//   kCosine         q . x / (|q| |x|)
//   kL2             -|q - x|^2
// Hits come by descending score, then by id in byte order. A small collection is searched exactly
// (below kIndexFrom items, always), a large one by an index which may miss some of the nearest: so
// adapters give the same bytes for a small collection, and nearly the same for a large one.
//
// A change is seen whole or not at all, also a Replace of everything, and is durable when it
// returns. Reads go on meanwhile, on what was there before.
//
// Bounds, beyond them INVALID_ARGUMENT that names the field: a collection's name has 1 to 64 of
// a-z A-Z 0-9 . _ -; an id 1 to 512 bytes of UTF-8 without NUL; a dimension is 1 to 2,000; a value
// is finite and at most 1e15 large; a vector of kCosine is no shorter than 1e-15; a Replace has
// 1,000,000 items and 256 Mi floats at most, an Upsert or Remove 10,000; a query asks for 1 to
// 1,000 and excludes 10,000 at most. RESOURCE_EXHAUSTED: a collection would be above its items, or
// the store above its 64 collections.
//
// Errors: NOT_FOUND no such collection; FAILED_PRECONDITION the engine lacks what it needs, the
// message says what; UNAVAILABLE it cannot be reached; and what sql.h has.
//
// Thread-safe. Views given to a call live until it returns. The store must end after its calls.
// Costs are the adapter's: embedded_store.h, pgvector/pgvector_store.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/task.h"
#include "platform/base/status.h"

namespace starling::vector {

inline constexpr size_t kMaxNameBytes = 64;
inline constexpr size_t kMaxIdBytes = 512;
inline constexpr size_t kMaxDimension = 2'000;
inline constexpr size_t kMaxItems = 1'000'000;
inline constexpr size_t kMaxFloats = size_t{256} << 20;
inline constexpr size_t kMaxBatch = 10'000;
inline constexpr size_t kMaxCollections = 64;
inline constexpr size_t kMaxNearest = 1'000;
inline constexpr size_t kMaxExcluded = 10'000;
inline constexpr float kLargestValue = 1e15F;
inline constexpr float kShortestCosine = 1e-15F;
// Below this many items a search is exact.
inline constexpr size_t kIndexFrom = 10'000;

enum class Metric : uint8_t { kInnerProduct, kCosine, kL2 };
std::string_view Name(Metric metric);  // "inner_product", "cosine", "l2"
// DATA_LOSS for anything else: who reads it has written it.
StatusOr<Metric> ParseMetric(std::string_view name);

struct Shape {
  size_t dimension = 0;
  Metric metric = Metric::kInnerProduct;
  bool operator==(const Shape&) const = default;
};

// Items of one dimension, ids apart from values.
class Batch {
 public:
  explicit Batch(size_t dimension) : dimension_(dimension) {}
  // A vector of another length is a mistake that the store refuses.
  void Add(std::string_view id, std::span<const float> values) {
    ids_.emplace_back(id);
    values_.insert(values_.end(), values.begin(), values.end());
  }
  size_t size() const { return ids_.size(); }
  size_t dimension() const { return dimension_; }
  const std::vector<std::string>& ids() const { return ids_; }
  std::span<const float> values() const { return values_; }  // size() x dimension(), row-major
  std::span<const float> row(size_t i) const {
    return values().subspan(i * dimension_, dimension_);
  }

 private:
  size_t dimension_;
  std::vector<std::string> ids_;
  std::vector<float> values_;
};

struct Query {
  std::span<const float> values = {};  // of the collection's dimension
  size_t k = 10;
  std::span<const std::string> excluded = {};  // never given; ids that are not there do not matter
};

struct Hit {
  std::string id;
  float score = 0;
  bool operator==(const Hit&) const = default;
};

struct About {
  Shape shape;
  size_t items = 0;
  bool operator==(const About&) const = default;
};

class Store {
 public:
  virtual ~Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // The collection is what the batch has, from now on; it is made when absent, also with no items.
  virtual Task<Status> Replace(std::string_view collection, Shape shape, Batch items) = 0;
  // Adds items, and replaces those that have their ids. The shape is the collection's.
  virtual Task<Status> Upsert(std::string_view collection, Batch items) = 0;
  // Ids that are not there are no error.
  virtual Task<Status> Remove(std::string_view collection, std::span<const std::string> ids) = 0;
  // Dropping what is not there is no error.
  virtual Task<Status> Drop(std::string_view collection) = 0;

  virtual Task<StatusOr<std::vector<Hit>>> Nearest(std::string_view collection,
                                                   const Query& query) = 0;
  virtual Task<StatusOr<About>> Describe(std::string_view collection) = 0;
  // Names, in byte order.
  virtual Task<StatusOr<std::vector<std::string>>> List() = 0;
  // Whether other processes see the same collections.
  virtual bool IsShared() const = 0;

 protected:
  Store() = default;
};

// The bounds above; for adapters. `limit`: of the batch.
Status CheckCollection(std::string_view collection);
Status CheckShape(const Shape& shape);
Status CheckBatch(const Shape& shape, const Batch& items, size_t limit);
Status CheckIds(std::string_view field, std::span<const std::string> ids, size_t limit);
// What can be said of a query before its collection is known, and then.
Status CheckQuery(const Query& query);
Status CheckQuery(const Shape& shape, const Query& query);
Status NoCollection(std::string_view collection);
Status TooManyCollections();
Status TooManyItems(std::string_view collection, size_t items);

}  // namespace starling::vector

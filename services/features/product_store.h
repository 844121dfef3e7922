// What the catalogue says of products in a key-value store of this service's own: one
// entry each, read once when the process starts.
//
//   key   := "p" product's id
//   value := catalog.v1.Product (protobuf) with its id, categories, brand and price
//   "all" := ""                     once every product of the catalogue was put
//
// A product put twice is one entry.
#pragma once

#include <atomic>
#include <memory>

#include "contracts/catalog/v1/catalog.pb.h"
#include "platform/host/environment.h"
#include "platform/storage/kv/store.h"
#include "services/features/product_table.h"

namespace starling::features {

class ProductStore {
 public:
  // Products that go or come with one call of Apply.
  static constexpr size_t kMaxChanges = kv::kMaxBatchChanges;
  static constexpr size_t kMaxId = 1'024;

  struct Change {
    catalog::v1::Product product;
    bool deleted = false;  // only product_id counts
  };

  // Blocks. `environment` must outlive it.
  static StatusOr<std::unique_ptr<ProductStore>> Open(host::Environment& environment);
  ProductStore(std::unique_ptr<kv::Store> store, BlockingPool& pool)
      : store_(std::move(store)), pool_(pool) {}

  // Durable once it returned.
  Task<Status> Apply(std::span<const Change> changes);
  // Whether MarkComplete was called, in this process or one before.
  Task<StatusOr<bool>> IsComplete();
  Task<Status> MarkComplete();
  // Puts all there is into the table: about 500,000 a second. DATA_LOSS names an entry that this
  // service did not write. CANCELLED when `stopping` becomes true.
  Task<Status> Load(ProductTable& table, const std::atomic<bool>& stopping);

 private:
  const std::unique_ptr<kv::Store> store_;
  BlockingPool& pool_;
};

}  // namespace starling::features

#include "services/features/product_store.h"

#include "platform/base/id.h"

namespace starling::features {
namespace {

constexpr char kComplete[] = "all";
constexpr std::string_view kProduct = "p";
constexpr size_t kBlockCache = 512 << 10;
constexpr size_t kWriteBuffer = 1 << 20;
constexpr size_t kPage = 1'000;
static_assert(kPage <= kv::kMaxPageEntries);

std::string KeyOf(std::string_view product_id) {
  std::string key(kProduct);
  key += product_id;
  return key;
}

std::string ValueOf(const catalog::v1::Product& product) {
  catalog::v1::Product kept;
  kept.set_product_id(product.product_id());
  *kept.mutable_categories() = product.categories();
  kept.set_brand(product.brand());
  if (product.has_price()) *kept.mutable_price() = product.price();
  return kept.SerializeAsString();
}

}  // namespace

StatusOr<std::unique_ptr<ProductStore>> ProductStore::Open(host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(
      auto store, environment.OpenStore(
                      "features", "products",
                      {.block_cache_bytes = kBlockCache, .write_buffer_bytes = kWriteBuffer}));
  return std::make_unique<ProductStore>(std::move(store), environment.runtime().blocking());
}

Task<Status> ProductStore::Apply(std::span<const Change> changes) {
  kv::Batch batch;
  for (const auto& [product, deleted] : changes) {
    const std::string key = KeyOf(product.product_id());
    if (deleted) {
      batch.Delete(key);
    } else {
      batch.Put(key, ValueOf(product));
    }
  }
  Status status = co_await store_->Apply(batch, kv::Durability::kSynced);
  co_return status;
}

Task<StatusOr<bool>> ProductStore::IsComplete() {
  CO_ASSIGN_OR_RETURN(const std::optional<std::string> mark, co_await store_->Get(kComplete));
  co_return mark.has_value();
}

Task<Status> ProductStore::MarkComplete() {
  kv::Batch batch;
  batch.Put(kComplete, "");
  Status status = co_await store_->Apply(batch, kv::Durability::kSynced);
  co_return status;
}

Task<Status> ProductStore::Load(ProductTable& table, const std::atomic<bool>& stopping) {
  std::string after;
  do {
    if (stopping) co_return Cancelled("the process stops");
    CO_ASSIGN_OR_RETURN(
        const kv::Page page,
        co_await store_->Scan({.prefix = kProduct, .after = after, .limit = kPage}));
    CO_RETURN_IF_ERROR(co_await pool_.Run([&]() -> Status {
      catalog::v1::Product product;
      for (const kv::Entry& entry : page.entries) {
        if (!product.ParseFromString(entry.value) || KeyOf(product.product_id()) != entry.key) {
          return DataLoss(
              "the entry '{}' of the features' products is not one this program stores; remove the "
              "folder features/products, or Redis' keys of that name, and the catalogue is read "
              "again",
              ToHex(entry.key));
        }
        table.Put(product);
      }
      return OkStatus();
    }));
    after = page.next;
  } while (!after.empty());
  co_return co_await pool_.Run([&]() -> Status {
    table.Finish();
    return OkStatus();
  });
}

}  // namespace starling::features

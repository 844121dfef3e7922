// The product catalogue: what is sold, at what price, and whether it can be bought now.
//
// Owns the table `products`. Reads answer from an immutable snapshot in memory and never touch the
// disk; but where other instances write the table too, GetProduct reads its row, so that it knows
// every write that was acknowledged, whoever took it, and the snapshot follows the topic. A change
// is one transaction with its event (topic "catalog": starling.catalog.product.put.v1 or
// .deleted.v1, data ProductChanged, key the product's id); the snapshot is swapped once the
// transaction is durable and before the caller hears of it, so that a caller reads its own writes.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>

#include "contracts/catalog/v1/catalog.service.h"
#include "platform/base/snapshot.h"
#include "platform/host/hosted_service.h"
#include "platform/messaging/outbox.h"
#include "platform/storage/sql/sql.h"
#include "services/catalog/catalogue.h"

namespace starling::catalog {

class CatalogService final : public v1::Catalog, public host::HostedService {
 public:
  using Contract = v1::Catalog;
  static constexpr host::Keeps kKeeps = host::Keeps::kDatabase | host::Keeps::kView;
  // Opens the database and brings it up to date; the snapshot is there after Start.
  static StatusOr<std::shared_ptr<CatalogService>> Create(host::Environment& environment);
  CatalogService(std::unique_ptr<sql::Database> database, std::unique_ptr<messaging::Outbox> outbox,
                 host::Environment& environment);

  Task<StatusOr<v1::Product>> CreateProduct(CallContext& context,
                                            const v1::CreateProductRequest& request) override;
  Task<StatusOr<v1::Product>> PutProduct(CallContext& context,
                                         const v1::PutProductRequest& request) override;
  Task<StatusOr<v1::Product>> UpdateProduct(CallContext& context,
                                            const v1::UpdateProductRequest& request) override;
  Task<StatusOr<google::protobuf::Empty>> DeleteProduct(
      CallContext& context, const v1::DeleteProductRequest& request) override;
  Task<StatusOr<v1::Product>> GetProduct(CallContext& context,
                                         const v1::GetProductRequest& request) override;
  Task<StatusOr<v1::ListProductsResponse>> ListProducts(
      CallContext& context, const v1::ListProductsRequest& request) override;
  Task<StatusOr<v1::BatchGetProductsResponse>> BatchGetProducts(
      CallContext& context, const v1::BatchGetProductsRequest& request) override;
  Task<StatusOr<v1::BatchUpsertProductsResponse>> BatchUpsertProducts(
      CallContext& context, const v1::BatchUpsertProductsRequest& request) override;
  Task<Status> ExportProducts(CallContext& context, const v1::ExportProductsRequest& request,
                              rpc::Stream<v1::Product>& out) override;

  Status Start() override;
  void Stop() override;

 private:
  Status Load();
  Task<Status> Hear(std::span<const messaging::Delivered> events);
  // Makes changes visible, each unless a later one of its product is so already.
  void Publish(const Catalogue::Changes& changes, int64_t sequence);
  template <typename Result, typename Change>
  Task<StatusOr<Result>> Write(CallContext& context, Change change);

  host::Environment& environment_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<messaging::Outbox> outbox_;
  std::atomic<bool> loaded_{false};
  std::mutex publishing_;
  Snapshot<Catalogue> snapshot_{std::make_shared<const Catalogue>()};
  std::map<std::string, int64_t, std::less<>> removed_;  // the sequences of late removals, by id
  std::unique_ptr<messaging::Subscription> changes_;     // of other instances
};

}  // namespace starling::catalog

#include "services/catalog/product_store.h"

#include "platform/base/id.h"

namespace starling::catalog {
namespace {

void SetTime(TimePoint time, google::protobuf::Timestamp* out) {
  const int64_t nanoseconds = time.time_since_epoch().count();
  out->set_seconds(nanoseconds / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

}  // namespace

StatusOr<std::optional<v1::Product>> ProductChanges::Find(std::string_view product_id) {
  std::optional<v1::Product> found;
  STARLING_RETURN_IF_ERROR(transaction_.Query(
      "SELECT data FROM products WHERE product_id = ?1",
      [&](const sql::Row& row) -> Status {
        const std::string_view data = row.Bytes(0);
        if (!found.emplace().ParseFromArray(data.data(), static_cast<int>(data.size()))) {
          return DataLoss("the row of product '{}' is damaged; put the product again", product_id);
        }
        return OkStatus();
      },
      product_id));
  return found;
}

StatusOr<v1::Product> ProductChanges::Put(v1::Product product,
                                          const std::optional<v1::Product>& old) {
  STARLING_RETURN_IF_ERROR(NextSequence());
  SetTime(now_, product.mutable_update_time());
  if (old) {
    *product.mutable_create_time() = old->create_time();
  } else {
    SetTime(now_, product.mutable_create_time());
  }
  product.set_etag(fmt::format("{:x}", sequence_));
  STARLING_RETURN_IF_ERROR(
      transaction_.Execute("INSERT INTO products (product_id, data) VALUES (?1, ?2) ON CONFLICT "
                           "(product_id) DO UPDATE SET data = "
                           "excluded.data",
                           product.product_id(), sql::Blob{product.SerializeAsString()}));
  STARLING_RETURN_IF_ERROR(Announce("starling.catalog.product.put.v1", product));
  changes_[product.product_id()] = std::make_shared<const v1::Product>(product);
  return product;
}

Status ProductChanges::Remove(std::string_view product_id) {
  STARLING_RETURN_IF_ERROR(NextSequence());
  STARLING_RETURN_IF_ERROR(
      transaction_.Execute("DELETE FROM products WHERE product_id = ?1", product_id));
  v1::Product gone;
  gone.set_product_id(std::string(product_id));
  STARLING_RETURN_IF_ERROR(Announce("starling.catalog.product.deleted.v1", gone));
  changes_[std::string(product_id)] = nullptr;
  return OkStatus();
}

Status ProductChanges::NextSequence() {
  STARLING_RETURN_IF_ERROR(
      transaction_.Execute("UPDATE catalogue SET sequence = sequence + 1 WHERE id = 1"));
  return transaction_.Query("SELECT sequence FROM catalogue WHERE id = 1",
                            [this](const sql::Row& row) { sequence_ = row.Int(0); });
}

Status ProductChanges::Announce(const char* type, const v1::Product& product) {
  v1::ProductChanged changed;
  *changed.mutable_product() = product;
  changed.set_sequence(sequence_);
  messaging::Event event;
  event.id = NewId();
  event.source = "/catalog";
  event.type = type;
  event.subject = product.product_id();
  event.time = now_;
  event.datacontenttype = "application/protobuf";
  event.partitionkey = product.product_id();
  event.traceparent = traceparent_;
  event.data = changed.SerializeAsString();
  return outbox_.Add(transaction_, "catalog", event);
}

}  // namespace starling::catalog

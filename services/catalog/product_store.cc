#include "services/catalog/product_store.h"

#include <algorithm>

#include "platform/base/id.h"

namespace starling::catalog {
namespace {

void SetTime(TimePoint time, google::protobuf::Timestamp* out) {
  const int64_t nanoseconds = time.time_since_epoch().count();
  out->set_seconds(nanoseconds / 1'000'000'000);
  out->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
}

constexpr size_t kFoundAtOnce = 100;

std::string FindManyText() {
  std::string text = "SELECT product_id, data FROM products WHERE product_id IN (?1";
  for (size_t i = 2; i <= kFoundAtOnce; ++i) text += fmt::format(", ?{}", i);
  return text + ")";
}

StatusOr<v1::Product> Parsed(std::string_view product_id, std::string_view data) {
  v1::Product product;
  if (product.ParseFromArray(data.data(), static_cast<int>(data.size()))) return product;
  return DataLoss("the row of product '{}' is damaged; put the product again", product_id);
}

}  // namespace

StatusOr<std::optional<v1::Product>> FindProduct(sql::Connection& connection,
                                                 std::string_view product_id) {
  return connection.QueryOne(
      "SELECT data FROM products WHERE product_id = ?1",
      [&](const sql::Row& row) { return Parsed(product_id, row.Bytes(0)); }, product_id);
}

StatusOr<std::map<std::string, v1::Product, std::less<>>> ProductChanges::FindAll(
    std::span<const std::string_view> product_ids) {
  static const std::string text = FindManyText();
  std::map<std::string, v1::Product, std::less<>> found;
  for (size_t from = 0; from < product_ids.size(); from += kFoundAtOnce) {
    // One text for every number of ids: what is missing at the end repeats the last.
    std::vector<sql::Argument> arguments;
    for (size_t i = from; i < from + kFoundAtOnce; ++i)
      arguments.emplace_back(product_ids[std::min(i, product_ids.size() - 1)]);
    STARLING_RETURN_IF_ERROR(
        transaction_.QueryBound(text, arguments, [&](const sql::Row& row) -> Status {
          const std::string id(row.Text(0));
          STARLING_ASSIGN_OR_RETURN(found[id], Parsed(id, row.Bytes(1)));
          return OkStatus();
        }));
  }
  return found;
}

StatusOr<std::optional<v1::Product>> ProductChanges::Find(std::string_view product_id) {
  return FindProduct(transaction_, product_id);
}

StatusOr<v1::Product> ProductChanges::Put(v1::Product product, const v1::Product* old) {
  STARLING_RETURN_IF_ERROR(NextSequence());
  SetTime(now_, product.mutable_update_time());
  if (old != nullptr) {
    *product.mutable_create_time() = old->create_time();
  } else {
    SetTime(now_, product.mutable_create_time());
  }
  product.set_etag(fmt::format("{:x}", sequence_));
  STARLING_RETURN_IF_ERROR(
      transaction_.Post("INSERT INTO products (product_id, data) VALUES (?1, ?2) ON CONFLICT "
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
      transaction_.Post("DELETE FROM products WHERE product_id = ?1", product_id));
  v1::Product gone;
  gone.set_product_id(std::string(product_id));
  STARLING_RETURN_IF_ERROR(Announce("starling.catalog.product.deleted.v1", gone));
  changes_[std::string(product_id)] = nullptr;
  return OkStatus();
}

Status ProductChanges::NextSequence() {
  if (sequence_ == 0) {
    STARLING_RETURN_IF_ERROR(
        transaction_.Query("SELECT sequence FROM catalogue WHERE id = 1",
                           [this](const sql::Row& row) { sequence_ = row.Int(0); }));
  }
  return transaction_.Post("UPDATE catalogue SET sequence = ?1 WHERE id = 1", ++sequence_);
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

// The durable side of the catalogue: products and their events, within one transaction. Used on the
// writer's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/messaging/outbox.h"
#include "platform/storage/sql/sql.h"
#include "services/catalog/catalogue.h"

namespace starling::catalog {

StatusOr<std::optional<v1::Product>> FindProduct(sql::Connection& connection,
                                                 std::string_view product_id);

// One transaction's changes. Each change takes the next sequence number, writes its row and its
// event.
class ProductChanges {
 public:
  ProductChanges(sql::Transaction& transaction, messaging::Outbox& outbox, TimePoint now,
                 std::string_view traceparent)
      : transaction_(transaction), outbox_(outbox), now_(now), traceparent_(traceparent) {}

  StatusOr<std::optional<v1::Product>> Find(std::string_view product_id);
  // Of many at once: those that are there, as they were before this transaction changed them.
  StatusOr<std::map<std::string, v1::Product, std::less<>>> FindAll(
      std::span<const std::string_view> product_ids);
  // Stores `product` with a new etag and update time; its create time is the old one's, or now
  // where `old` is null.
  StatusOr<v1::Product> Put(v1::Product product, const v1::Product* old);
  Status Remove(std::string_view product_id);

  const Catalogue::Changes& changes() const { return changes_; }
  int64_t sequence() const { return sequence_; }

 private:
  Status NextSequence();
  Status Announce(const char* type, const v1::Product& product);

  sql::Transaction& transaction_;
  messaging::Outbox& outbox_;
  const TimePoint now_;
  const std::string traceparent_;
  int64_t sequence_ = 0;
  Catalogue::Changes changes_;
};

}  // namespace starling::catalog

// The operations of all instances that share a database: each tells here what it does, once a
// second, and hears whether another was asked to end it. The newest 100 are kept.
//
//   STARLING_RETURN_IF_ERROR(table.Put(operation, now));
//   STARLING_ASSIGN_OR_RETURN(v1::Operation found, table.Get(id, now));   // another instance's
//
// Calls block for a round trip: not on an io thread. Thread-safe.
#pragma once

#include <string_view>

#include "contracts/training/v1/training.pb.h"
#include "platform/base/clock.h"
#include "platform/storage/sql/sql.h"

namespace starling::training {

class OperationTable {
 public:
  // One that goes on and says nothing for so long has ended with its instance.
  static constexpr Duration kGoneAfter = std::chrono::seconds(15);

  explicit OperationTable(sql::Database& database) : database_(database) {}

  // Says how far it is; gives whether it was asked to end.
  StatusOr<bool> Put(const v1::Operation& operation, TimePoint now);
  // NOT_FOUND.
  StatusOr<v1::Operation> Get(std::string_view id, TimePoint now);
  StatusOr<v1::Operation> Cancel(std::string_view id, TimePoint now);

 private:
  sql::Database& database_;
};

}  // namespace starling::training

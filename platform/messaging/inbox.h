// Inbox: an event that comes again changes nothing again.
//
//   co_return co_await database.Write([&](sql::Transaction& transaction) -> Status {
//     STARLING_ASSIGN_OR_RETURN(const bool first, inbox.FirstTime(transaction, event.id));
//     if (!first) return OkStatus();
//     return transaction.Execute("UPDATE ...");       // in the same transaction: both, or neither
//   });
//
// Remembers the last `capacity` ids; older ones go, in steps. So capacity must be above what can
// come again after a crash: the largest consumer lag.
#pragma once

#include <atomic>
#include <memory>
#include <string_view>

#include "platform/storage/sql/sql.h"

namespace starling::messaging {

class Inbox {
 public:
  // Makes its table when absent. Blocks.
  static StatusOr<std::unique_ptr<Inbox>> Open(sql::Database& database,
                                               int64_t capacity = 2'000'000);
  // Whether the event is new, which it then no longer is once the transaction commits.
  StatusOr<bool> FirstTime(sql::Transaction& transaction, std::string_view event_id);

 private:
  explicit Inbox(int64_t capacity) : capacity_(capacity) {}
  const int64_t capacity_;
  std::atomic<int64_t> since_prune_{0};
};

}  // namespace starling::messaging

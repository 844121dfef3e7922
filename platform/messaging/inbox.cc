#include "platform/messaging/inbox.h"

namespace starling::messaging {
namespace {

constexpr char kTable[] =
    "CREATE TABLE IF NOT EXISTS inbox (sequence INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT "
    "NOT NULL UNIQUE)";
constexpr int64_t kPruneEvery = 1'000;

}  // namespace

StatusOr<std::unique_ptr<Inbox>> Inbox::Open(sql::Database& database, int64_t capacity) {
  STARLING_RETURN_IF_ERROR(database.WriteSync(
      [](sql::Transaction& transaction) { return transaction.Execute(kTable); }));
  return std::unique_ptr<Inbox>(new Inbox(capacity));
}

StatusOr<bool> Inbox::FirstTime(sql::Transaction& transaction, std::string_view event_id) {
  STARLING_RETURN_IF_ERROR(transaction.Execute(
      "INSERT INTO inbox (event_id) VALUES (?1) ON CONFLICT (event_id) DO NOTHING", event_id));
  const bool first = transaction.changes() == 1;
  if (first && ++since_prune_ >= kPruneEvery) {
    since_prune_ = 0;
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "DELETE FROM inbox WHERE sequence <= (SELECT MAX(sequence) FROM inbox) - ?1", capacity_));
  }
  return first;
}

}  // namespace starling::messaging

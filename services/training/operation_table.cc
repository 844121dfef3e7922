#include "services/training/operation_table.h"

namespace starling::training {
namespace {

constexpr int kKept = 100;

int64_t Nanoseconds(TimePoint time) { return time.time_since_epoch().count(); }

StatusOr<v1::Operation> Find(sql::Connection& connection, std::string_view id, TimePoint now) {
  STARLING_ASSIGN_OR_RETURN(
      std::optional<v1::Operation> found,
      connection.QueryOne(
          "SELECT data, seen_at FROM operations WHERE operation_id = ?1",
          [&](const sql::Row& row) -> StatusOr<v1::Operation> {
            v1::Operation operation;
            const std::string_view data = row.Bytes(0);
            if (!operation.ParseFromArray(data.data(), static_cast<int>(data.size())))
              return DataLoss("the row of operation '{}' is damaged", id);
            if (!operation.done() &&
                Nanoseconds(now) - row.Int(1) > OperationTable::kGoneAfter.count()) {
              operation.set_done(true);
              operation.set_stage("failed");
              operation.set_error("the process that trained has ended; train again");
            }
            return operation;
          },
          id));
  if (!found)
    return NotFound("there is no operation '{}'; the newest {} are remembered", id, kKept);
  return *std::move(found);
}

}  // namespace

StatusOr<bool> OperationTable::Put(const v1::Operation& operation, TimePoint now) {
  return database_.WriteSync([&](sql::Transaction& transaction) -> StatusOr<bool> {
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO operations (operation_id, done, cancelled, seen_at, data) VALUES (?1, ?2, 0, "
        "?3, ?4) ON CONFLICT (operation_id) DO UPDATE SET done = excluded.done, seen_at = "
        "excluded.seen_at, data = excluded.data",
        operation.operation_id(), operation.done() ? 1 : 0, Nanoseconds(now),
        sql::Blob{operation.SerializeAsString()}));
    if (operation.done()) {
      STARLING_RETURN_IF_ERROR(transaction.Execute(
          "DELETE FROM operations WHERE operation_id NOT IN (SELECT operation_id FROM operations "
          "ORDER BY operation_id DESC LIMIT ?1)",
          kKept));  // ids sort by time
    }
    STARLING_ASSIGN_OR_RETURN(
        const std::optional<int64_t> cancelled,
        transaction.QueryOne(
            "SELECT cancelled FROM operations WHERE operation_id = ?1",
            [](const sql::Row& row) { return row.Int(0); }, operation.operation_id()));
    return cancelled.value_or(0) != 0;
  });
}

StatusOr<v1::Operation> OperationTable::Get(std::string_view id, TimePoint now) {
  return database_.ReadSync([&](sql::Connection& connection) { return Find(connection, id, now); });
}

StatusOr<v1::Operation> OperationTable::Cancel(std::string_view id, TimePoint now) {
  return database_.WriteSync([&](sql::Transaction& transaction) -> StatusOr<v1::Operation> {
    STARLING_RETURN_IF_ERROR(
        transaction.Execute("UPDATE operations SET cancelled = 1 WHERE operation_id = ?1", id));
    return Find(transaction, id, now);
  });
}

}  // namespace starling::training

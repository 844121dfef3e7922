#include "platform/rpc/sql_idempotency_store.h"

#include <atomic>
#include <mutex>
#include <unordered_set>

namespace starling::rpc {
namespace {

constexpr char kTable[] =
    "CREATE TABLE IF NOT EXISTS idempotency_keys ("
    "sequence INTEGER PRIMARY KEY AUTOINCREMENT, scope TEXT NOT NULL, key TEXT NOT NULL, "
    "fingerprint BLOB NOT NULL, "
    "stored_at INTEGER NOT NULL, code INTEGER NOT NULL, message TEXT NOT NULL, reason TEXT NOT "
    "NULL, "
    "response BLOB NOT NULL, UNIQUE (scope, key))";
constexpr int kPruneEvery = 256;

class SqlIdempotencyStore final : public IdempotencyStore {
 public:
  SqlIdempotencyStore(sql::Database& database, const Clock& clock, IdempotencyOptions options)
      : database_(database), clock_(clock), options_(options) {}

  Task<StatusOr<std::optional<Answer>>> Begin(std::string scope, std::string key,
                                              std::string fingerprint) override {
    const std::string name = scope + '\n' + key;
    {
      const std::lock_guard lock(mutex_);
      if (!running_.try_emplace(name, fingerprint).second) {
        if (running_[name] != fingerprint) co_return Reused(key);
        co_return WithReason(
            Aborted("the call with idempotency key '{}' still runs; wait for its answer", key),
            reason::kIdempotencyKeyInFlight);
      }
    }
    const int64_t oldest = (clock_.Now() - options_.keep).time_since_epoch().count();
    StatusOr<std::optional<Answer>> stored = co_await database_.Read(
        [&](sql::Connection& connection) -> StatusOr<std::optional<Answer>> {
          std::optional<Answer> answer;
          STARLING_RETURN_IF_ERROR(connection.Query(
              "SELECT fingerprint, code, message, reason, response FROM idempotency_keys "
              "WHERE scope = ?1 AND key = ?2 AND stored_at > ?3",
              [&](const sql::Row& row) -> Status {
                if (row.Bytes(0) != fingerprint) return Reused(key);
                answer.emplace();
                answer->status =
                    Status(static_cast<StatusCode>(row.Int(1)), std::string(row.Text(2)));
                if (!row.Text(3).empty()) answer->status = WithReason(answer->status, row.Text(3));
                answer->response = std::string(row.Bytes(4));
                return OkStatus();
              },
              scope, key, oldest));
          return answer;
        });
    if (!stored.ok() || stored->has_value()) Forget(name);
    co_return stored;
  }

  Task<Status> Finish(std::string scope, std::string key, const Answer& answer) override {
    const std::string name = scope + '\n' + key;
    Status status;
    if (IsFinal(answer.status)) {
      std::string fingerprint;
      {
        const std::lock_guard lock(mutex_);
        fingerprint = running_[name];
      }
      status = co_await database_.Write([&](sql::Transaction& transaction) {
        return Store(transaction, scope, key, fingerprint, answer);
      });
    }
    Forget(name);
    co_return status;
  }

 private:
  static Status Reused(std::string_view key) {
    return WithReason(
        InvalidField("Idempotency-Key",
                     "'{}' was used for another request; use a new key for a new request", key),
        reason::kIdempotencyKeyReused);
  }

  void Forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    running_.erase(name);
  }

  Status Store(sql::Transaction& transaction, const std::string& scope, const std::string& key,
               const std::string& fingerprint, const Answer& answer) {
    const int64_t now = clock_.Now().time_since_epoch().count();
    // One that was kept too long; the new row's number says that it is new.
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "DELETE FROM idempotency_keys WHERE scope = ?1 AND key = ?2", scope, key));
    STARLING_RETURN_IF_ERROR(transaction.Execute(
        "INSERT INTO idempotency_keys (scope, key, fingerprint, stored_at, code, "
        "message, reason, response) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        scope, key, sql::BlobView{fingerprint}, now, static_cast<int>(answer.status.code()),
        std::string(answer.status.message()), Reason(answer.status),
        sql::BlobView{answer.response}));
    if (++since_prune_ < kPruneEvery) return OkStatus();
    since_prune_ = 0;
    return transaction.Execute(
        "DELETE FROM idempotency_keys WHERE stored_at <= ?1 OR sequence <= (SELECT MAX(sequence) "
        "FROM idempotency_keys) - ?2",
        now - options_.keep.count(), options_.max_keys);
  }

  sql::Database& database_;
  const Clock& clock_;
  const IdempotencyOptions options_;
  std::mutex mutex_;
  std::unordered_map<std::string, std::string>
      running_;  // scope and key to fingerprint; bounded by calls in flight
  std::atomic<int> since_prune_{0};
};

}  // namespace

StatusOr<std::unique_ptr<IdempotencyStore>> OpenSqlIdempotencyStore(sql::Database& database,
                                                                    const Clock& clock,
                                                                    IdempotencyOptions options) {
  STARLING_RETURN_IF_ERROR(database.WriteSync(
      [](sql::Transaction& transaction) { return transaction.Execute(kTable); }));
  return std::make_unique<SqlIdempotencyStore>(database, clock, options);
}

}  // namespace starling::rpc

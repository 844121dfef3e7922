#include "platform/rpc/sql_idempotency_store.h"

#include <atomic>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "platform/rpc/idempotency_claims.h"
#include "platform/telemetry/log.h"

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
constexpr size_t kMostLeft = 10'000;

class SqlIdempotencyStore final : public IdempotencyStore {
 public:
  SqlIdempotencyStore(sql::Database& database, const Clock& clock, IdempotencyOptions options)
      : database_(database), clock_(clock), options_(options) {
    if (options.claims.value_or(database.IsShared())) claims_.emplace();
  }

  Status Open() {
    return database_.WriteSync([this](sql::Transaction& transaction) -> Status {
      STARLING_RETURN_IF_ERROR(transaction.Execute(kTable));
      return claims_ ? claims_->Open(transaction, clock_.Now()) : OkStatus();
    });
  }

  Task<void> Run() override {
    while (claims_) {
      co_await SleepFor(IdempotencyClaims::kSayEvery);
      const std::vector<Name> left = BeginToFree();
      const Status said = co_await database_.Write([&](sql::Transaction& transaction) -> Status {
        for (const auto& [scope, key] : left)
          STARLING_RETURN_IF_ERROR(claims_->Free(transaction, scope, key));
        return claims_->StayAlive(transaction, clock_.Now());
      });
      EndToFree(said.ok());
      if (said.ok()) continue;
      log::Warning("idempotency",
                   "others may take the keys of calls that run here for free: the database was "
                   "not told that this process is alive")
          .With(said);
    }
  }

  Task<StatusOr<std::optional<Answer>>> Begin(std::string scope, std::string key,
                                              std::string fingerprint) override {
    const std::string name = scope + '\n' + key;
    {
      const std::lock_guard lock(mutex_);
      if (freeing_.contains(name)) co_return InFlight(key);
      if (!running_.try_emplace(name, fingerprint).second) {
        if (running_[name] != fingerprint) co_return Reused(key);
        co_return InFlight(key);
      }
    }
    StatusOr<std::optional<Answer>> stored;
    if (claims_) {
      stored = co_await database_.Write(
          [&](sql::Transaction& transaction) -> StatusOr<std::optional<Answer>> {
            StatusOr<std::optional<Answer>> found = Find(transaction, scope, key, fingerprint);
            if (!found.ok() || found->has_value()) return found;
            STARLING_ASSIGN_OR_RETURN(
                const IdempotencyClaims::Claimed claimed,
                claims_->Claim(transaction, scope, key, fingerprint, clock_.Now()));
            if (claimed == IdempotencyClaims::Claimed::kForAnotherRequest) return Reused(key);
            if (claimed == IdempotencyClaims::Claimed::kInFlight) return InFlight(key);
            return found;
          });
    } else {
      stored = co_await database_.Read(
          [&](sql::Connection& connection) { return Find(connection, scope, key, fingerprint); });
    }
    // A commit whose answer was lost may have claimed the key all the same.
    if (claims_ && !stored.ok() && Reason(stored.status()) != reason::kIdempotencyKeyReused &&
        Reason(stored.status()) != reason::kIdempotencyKeyInFlight) {
      Leave({scope, key});
    }
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
      status = co_await database_.Write([&](sql::Transaction& transaction) -> Status {
        STARLING_RETURN_IF_ERROR(Store(transaction, scope, key, fingerprint, answer));
        return claims_ ? claims_->Free(transaction, scope, key) : OkStatus();
      });
    } else if (claims_) {
      status = co_await database_.Write(
          [&](sql::Transaction& transaction) { return claims_->Free(transaction, scope, key); });
    }
    if (claims_ && !status.ok()) Leave({scope, key});
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

  static Status InFlight(std::string_view key) {
    return WithReason(
        Aborted("the call with idempotency key '{}' still runs; wait for its answer", key),
        reason::kIdempotencyKeyInFlight);
  }

  StatusOr<std::optional<Answer>> Find(sql::Connection& connection, const std::string& scope,
                                       const std::string& key,
                                       const std::string& fingerprint) const {
    const int64_t oldest = (clock_.Now() - options_.keep).time_since_epoch().count();
    std::optional<Answer> answer;
    STARLING_RETURN_IF_ERROR(connection.Query(
        "SELECT fingerprint, code, message, reason, response FROM idempotency_keys "
        "WHERE scope = ?1 AND key = ?2 AND stored_at > ?3",
        [&](const sql::Row& row) -> Status {
          if (row.Bytes(0) != fingerprint) return Reused(key);
          answer.emplace();
          answer->status = Status(static_cast<StatusCode>(row.Int(1)), std::string(row.Text(2)));
          if (!row.Text(3).empty()) answer->status = WithReason(answer->status, row.Text(3));
          answer->response = std::string(row.Bytes(4));
          return OkStatus();
        },
        scope, key, oldest));
    return answer;
  }

  using Name = std::pair<std::string, std::string>;  // scope and key
  static std::string Joined(const Name& name) { return name.first + '\n' + name.second; }

  // A call has ended, and the database could not be told.
  void Leave(Name name) {
    const std::lock_guard lock(mutex_);
    if (left_.size() < kMostLeft) left_.push_back(std::move(name));
  }
  // What was left, but for keys that a newer call has now. None of them can begin until EndToFree.
  std::vector<Name> BeginToFree() {
    const std::lock_guard lock(mutex_);
    std::vector<Name> names;
    for (const Name& name : left_) {
      if (running_.contains(Joined(name))) continue;
      freeing_.insert(Joined(name));
      names.push_back(name);
    }
    return names;
  }
  void EndToFree(bool freed) {
    const std::lock_guard lock(mutex_);
    if (freed)
      std::erase_if(left_, [this](const Name& name) { return freeing_.contains(Joined(name)); });
    freeing_.clear();
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
  std::optional<IdempotencyClaims> claims_;  // of a database that others use too
  std::mutex mutex_;
  std::unordered_map<std::string, std::string>
      running_;             // scope and key to fingerprint; bounded by calls in flight
  std::vector<Name> left_;  // claims of calls that have ended, which the database still has
  std::unordered_set<std::string> freeing_;
  std::atomic<int> since_prune_{0};
};

}  // namespace

StatusOr<std::unique_ptr<IdempotencyStore>> OpenSqlIdempotencyStore(sql::Database& database,
                                                                    const Clock& clock,
                                                                    IdempotencyOptions options) {
  auto store = std::make_unique<SqlIdempotencyStore>(database, clock, options);
  STARLING_RETURN_IF_ERROR(store->Open());
  return store;
}

}  // namespace starling::rpc

#include "platform/rpc/idempotency_claims.h"

#include <optional>

#include "platform/base/id.h"

namespace starling::rpc {
namespace {

constexpr char kOwners[] =
    "CREATE TABLE IF NOT EXISTS idempotency_owners ("
    "owner TEXT PRIMARY KEY, alive_until INTEGER NOT NULL)";
constexpr char kClaims[] =
    "CREATE TABLE IF NOT EXISTS idempotency_claims ("
    "scope TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, owner TEXT NOT NULL, "
    "PRIMARY KEY (scope, key))";
constexpr Duration kForgetAfter = std::chrono::hours(1);

int64_t Nanoseconds(TimePoint time) { return time.time_since_epoch().count(); }

}  // namespace

IdempotencyClaims::IdempotencyClaims() : owner_(NewId()) {}

Status IdempotencyClaims::Open(sql::Transaction& transaction, TimePoint now) const {
  STARLING_RETURN_IF_ERROR(transaction.Execute(kOwners));
  STARLING_RETURN_IF_ERROR(transaction.Execute(kClaims));
  return StayAlive(transaction, now);
}

Status IdempotencyClaims::StayAlive(sql::Transaction& transaction, TimePoint now) const {
  STARLING_RETURN_IF_ERROR(
      transaction.Execute("INSERT INTO idempotency_owners (owner, alive_until) VALUES (?1, ?2) "
                          "ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until",
                          owner_, Nanoseconds(now + kAlive)));
  STARLING_RETURN_IF_ERROR(transaction.Execute(
      "DELETE FROM idempotency_owners WHERE alive_until < ?1", Nanoseconds(now - kForgetAfter)));
  if (transaction.changes() == 0) return OkStatus();
  return transaction.Execute(
      "DELETE FROM idempotency_claims WHERE owner NOT IN (SELECT owner FROM idempotency_owners)");
}

StatusOr<IdempotencyClaims::Claimed> IdempotencyClaims::Claim(sql::Transaction& transaction,
                                                              const std::string& scope,
                                                              const std::string& key,
                                                              const std::string& fingerprint,
                                                              TimePoint now) const {
  // One of our own is left from a time when the database could not be told that it ended.
  STARLING_ASSIGN_OR_RETURN(
      const std::optional<std::string> held,
      transaction.QueryOne(
          "SELECT c.fingerprint FROM idempotency_claims AS c "
          "JOIN idempotency_owners AS o ON o.owner = c.owner "
          "WHERE c.scope = ?1 AND c.key = ?2 AND c.owner <> ?3 AND o.alive_until > ?4",
          [](const sql::Row& row) { return std::string(row.Bytes(0)); }, scope, key, owner_,
          Nanoseconds(now)));
  if (held) return *held == fingerprint ? Claimed::kInFlight : Claimed::kForAnotherRequest;
  STARLING_RETURN_IF_ERROR(transaction.Execute(
      "INSERT INTO idempotency_claims (scope, key, fingerprint, owner) VALUES (?1, ?2, ?3, ?4) "
      "ON CONFLICT (scope, key) DO UPDATE SET fingerprint = excluded.fingerprint, "
      "owner = excluded.owner",
      scope, key, sql::BlobView{fingerprint}, owner_));
  return Claimed::kOurs;
}

Status IdempotencyClaims::Free(sql::Transaction& transaction, const std::string& scope,
                               const std::string& key) const {
  return transaction.Execute(
      "DELETE FROM idempotency_claims WHERE scope = ?1 AND key = ?2 AND owner = ?3", scope, key,
      owner_);
}

}  // namespace starling::rpc

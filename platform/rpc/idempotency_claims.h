// Which idempotency keys are being acted on, among the processes that share a database.
//
//   IdempotencyClaims claims;                           // this process, under a name of its own
//   claims.Open(transaction); ... claims.StayAlive(transaction, now);      // at least every 5 s
//   StatusOr<Claimed> claimed = claims.Claim(transaction, scope, key, fingerprint, now);
//   claims.Free(transaction, scope, key);               // with the answer, or without one
//
// A claim holds while its process says that it is alive: one that died, or that has lost the
// database for kAlive, no longer has any. Clocks of the processes should not differ by more than a
// few seconds. Each call is a part of the caller's transaction and has no other effect.
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/storage/sql/connection.h"

namespace starling::rpc {

class IdempotencyClaims {
 public:
  static constexpr Duration kAlive = std::chrono::seconds(15);
  static constexpr Duration kSayEvery = std::chrono::seconds(5);

  IdempotencyClaims();

  // Makes the tables, and says that this process is alive.
  Status Open(sql::Transaction& transaction, TimePoint now) const;
  // Says so again, and forgets processes that have been gone for an hour, with what they claimed.
  Status StayAlive(sql::Transaction& transaction, TimePoint now) const;

  enum class Claimed : uint8_t { kOurs, kInFlight, kForAnotherRequest };
  StatusOr<Claimed> Claim(sql::Transaction& transaction, const std::string& scope,
                          const std::string& key, const std::string& fingerprint,
                          TimePoint now) const;
  // Of a claim that another process took over in the meantime, nothing.
  Status Free(sql::Transaction& transaction, const std::string& scope,
              const std::string& key) const;

 private:
  const std::string owner_;
};

}  // namespace starling::rpc

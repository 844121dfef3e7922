// API keys: made, listed, revoked and looked up.
//
//   auto database = sql::Database::Open({.path = folder / "keys.db"}, KeyStoreMigrations());
//   StatusOr<std::unique_ptr<KeyStore>> keys = co_await KeyStore::Open(**database);
//   KeyStore::Request request{.label = "shop backend", .scopes = *ScopeSet::ParseText("a.write")};
//   StatusOr<NewKey> key = co_await (*keys)->Create(request);
//   Print(key->token);                              // the only time it is seen
//   std::shared_ptr<const Identity> caller = (*keys)->Find(token);  // nullptr when it is no good
//
// The database keeps a key's SHA-256, never the key. Find answers from an immutable snapshot in
// memory: no lock, no I/O, about 450 ns. Authenticate does the same and, on a miss, looks in the
// database first, because another PROCESS may have made the key (`starling keys create`) while this
// one runs. Misses share those looks: there is at most one every `recheck_interval`, and a miss
// waits for the next one. At the bound, `max_waiting` misses waiting, Authenticate refuses with
// UNAVAILABLE, reason OVERLOADED. What this process makes or revokes holds at once; a key revoked
// by another process is refused after at most `refresh_interval`, if KeepFresh runs.
//
// Bound: `max_keys` rows; one more is RESOURCE_EXHAUSTED. Keys that were revoked or expired more
// than `keep_ended` ago are deleted when the next one is made. Thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/cancellation.h"
#include "platform/base/clock.h"
#include "platform/base/embedded_file.h"
#include "platform/security/authenticator.h"

namespace starling::sql {
class Database;
}

namespace starling::security {

// The tables that a KeyStore's database must have.
std::span<const EmbeddedFile> KeyStoreMigrations();

struct ApiKey {
  std::string id;     // names the key in lists and logs; not secret
  std::string hint;   // "sk_3q2-..."
  std::string label;  // what its maker called it
  std::string user;   // whom it was made for; "" for a key of the operator
  ScopeSet scopes;
  TimePoint created_at;
  std::optional<TimePoint> expires_at;
  std::optional<TimePoint> revoked_at;
};

struct NewKey {
  ApiKey key;
  std::string token;  // "sk_...": shown once, not kept
};

class KeyStore final : public Authenticator {
 public:
  struct Options {
    Duration recheck_interval = std::chrono::milliseconds(200);
    Duration refresh_interval = std::chrono::seconds(2);
    Duration keep_ended = std::chrono::hours(24 * 30);
    size_t max_keys = 100'000;
    size_t max_waiting = 1'000;
  };
  struct Request {
    std::string label;  // 1 to 200 bytes
    ScopeSet scopes;    // not empty
    std::string user;
    std::optional<TimePoint> expires_at;  // in the future
  };

  // Reads the keys. The database and the clock must outlive the store and what it has begun.
  static Task<StatusOr<std::unique_ptr<KeyStore>>> Open(sql::Database& database);
  static Task<StatusOr<std::unique_ptr<KeyStore>>> Open(sql::Database& database, Options options,
                                                        const Clock& clock);
  ~KeyStore() override;

  // INVALID_ARGUMENT names the field that breaks a rule.
  Task<StatusOr<NewKey>> Create(Request request);
  // The admin key of a new installation: made when there is no key at all, nullopt when there is
  // one. Of several processes that start at once, one makes it.
  Task<StatusOr<std::optional<NewKey>>> CreateFirstAdminKey();
  // Newest first, revoked and expired ones too.
  Task<StatusOr<std::vector<ApiKey>>> List();
  // NOT_FOUND when there is no such id; OK when it is revoked already.
  Task<Status> Revoke(std::string id);

  // From memory alone.
  std::shared_ptr<const Identity> Known(std::string_view token) const override;
  Task<StatusOr<std::shared_ptr<const Identity>>> Authenticate(
      std::string_view bearer_token) override;
  bool Recognises(std::string_view bearer_token) const override;

  // Reads the keys again if the database has changed.
  Task<Status> Refresh();
  // Refreshes every refresh_interval until cancelled. What fails is tried again; the old snapshot
  // stays meanwhile.
  Task<void> KeepFresh(CancellationToken until);
  // Looks that misses have caused; for metrics.
  uint64_t rechecks() const;

 private:
  struct State;
  explicit KeyStore(std::shared_ptr<State> state);
  // Lives on while a look that it began runs.
  const std::shared_ptr<State> state_;
};

}  // namespace starling::security

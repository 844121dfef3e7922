// starling keys: API keys, also while a server runs on the same data folder; it sees a new key at
// once.
#include <cstdio>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"
#include "platform/security/key_store.h"
#include "platform/storage/sql/sql.h"

namespace starling {
namespace {

struct OpenKeys {
  std::unique_ptr<sql::Database> database;
  std::unique_ptr<security::KeyStore> store;
};

StatusOr<OpenKeys> Open(const CommonOptions& common) {
  OpenKeys keys;
  Configuration config;
  STARLING_RETURN_IF_ERROR(LoadConfig(common, config));
  const std::string url = config.process.storage.Get()->sql.UrlOf("keys");
  const std::filesystem::path folder = common.data / "keys";
  std::error_code error;
  if (url.empty()) std::filesystem::create_directories(folder, error);
  if (error)
    return FailedPrecondition("{} cannot be made: {}; choose another with --data", folder.string(),
                              error.message());
  STARLING_ASSIGN_OR_RETURN(
      keys.database,
      sql::Database::Open({.path = folder / "keys.sqlite", .url = url, .schema = "keys"},
                          security::KeyStoreMigrations()));
  STARLING_ASSIGN_OR_RETURN(keys.store, RunSync(security::KeyStore::Open(*keys.database)));
  return keys;
}

}  // namespace

int KeysCreate(const CommonOptions& common, const KeyOptions& key) {
  const auto scopes = security::ScopeSet::Parse(key.scopes);
  if (!scopes.ok()) return Fail(scopes.status());
  security::KeyStore::Request request{
      .label = key.label, .scopes = *scopes, .user = key.user, .expires_at = {}};
  if (!key.expires_in.empty()) {
    const auto life = ParseDuration(key.expires_in);
    if (!life)
      return Fail(InvalidArgument("--expires-in {}: write it as 30d or 12h", key.expires_in));
    request.expires_at = SystemClock().Now() + *life;
  }
  const auto keys = Open(common);
  if (!keys.ok()) return Fail(keys.status());
  const auto made = RunSync(keys->store->Create(std::move(request)));
  if (!made.ok()) return Fail(made.status());
  fmt::print(stderr, "key {} ({}): shown only now\n", made->key.id, made->key.scopes.ToText());
  fmt::print("{}\n", made->token);
  return 0;
}

int KeysList(const CommonOptions& common) {
  const auto keys = Open(common);
  if (!keys.ok()) return Fail(keys.status());
  const auto list = RunSync(keys->store->List());
  if (!list.ok()) return Fail(list.status());
  fmt::print("{:<34} {:<12} {:<24} {:<16} {:<10} {}\n", "ID", "KEY", "SCOPES", "USER", "STATE",
             "LABEL");
  const TimePoint now = SystemClock().Now();
  for (const security::ApiKey& key : *list) {
    const char* state = key.revoked_at                             ? "revoked"
                        : key.expires_at && *key.expires_at <= now ? "expired"
                                                                   : "good";
    fmt::print("{:<34} {:<12} {:<24} {:<16} {:<10} {}\n", key.id, key.hint, key.scopes.ToText(),
               key.user, state, key.label);
  }
  return 0;
}

int KeysRevoke(const CommonOptions& common, const std::string& id) {
  const auto keys = Open(common);
  if (!keys.ok()) return Fail(keys.status());
  const Status revoked = RunSync(keys->store->Revoke(id));
  if (!revoked.ok()) return Fail(revoked);
  fmt::print("key {} is revoked\n", id);
  return 0;
}

}  // namespace starling

#include "platform/security/key_store.h"

#include <atomic>
#include <charconv>
#include <iterator>
#include <mutex>
#include <unordered_map>

#include "embedded/security_migrations.h"
#include "platform/base/id.h"
#include "platform/base/snapshot.h"
#include "platform/security/token.h"
#include "platform/storage/sql/sql.h"

namespace starling::security {
namespace {

constexpr size_t kMaxText = 200;
constexpr char kColumns[] = "id, hint, label, user_id, scopes, created_at, expires_at, revoked_at";

int64_t ToNanoseconds(TimePoint time) { return time.time_since_epoch().count(); }
TimePoint FromNanoseconds(int64_t nanoseconds) { return TimePoint(Duration(nanoseconds)); }

std::optional<int64_t> ToColumn(const std::optional<TimePoint>& time) {
  return time ? std::optional<int64_t>(ToNanoseconds(*time)) : std::nullopt;
}

std::optional<TimePoint> TimeAt(const sql::Row& row, int column) {
  return row.IsNull(column) ? std::nullopt
                            : std::optional<TimePoint>(FromNanoseconds(row.Int(column)));
}

std::optional<TokenHash> HashFromHex(std::string_view hex) {
  TokenHash hash;
  if (hex.size() != 2 * hash.bytes.size()) return std::nullopt;
  for (size_t i = 0; i < hash.bytes.size(); ++i) {
    const char* const at = hex.data() + 2 * i;
    if (std::from_chars(at, at + 2, hash.bytes[i], 16).ptr != at + 2) return std::nullopt;
  }
  return hash;
}

// A row of kColumns.
StatusOr<ApiKey> ReadKey(const sql::Row& row) {
  ApiKey key;
  key.id = row.Text(0);
  key.hint = row.Text(1);
  key.label = row.Text(2);
  key.user = row.Text(3);
  StatusOr<ScopeSet> scopes = ScopeSet::ParseText(row.Text(4));
  if (!scopes.ok())
    return DataLoss("API key {} has damaged scopes in the database; revoke it", key.id);
  key.scopes = *std::move(scopes);
  key.created_at = FromNanoseconds(row.Int(5));
  key.expires_at = TimeAt(row, 6);
  key.revoked_at = TimeAt(row, 7);
  return key;
}

Status CheckRequest(const KeyStore::Request& request, TimePoint now) {
  std::vector<FieldViolation> violations;
  if (request.label.empty() || request.label.size() > kMaxText) {
    violations.push_back(
        {"label", fmt::format("has {} bytes; expected 1 to {}", request.label.size(), kMaxText)});
  }
  if (request.user.size() > kMaxText) {
    violations.push_back(
        {"user", fmt::format("has {} bytes; expected at most {}", request.user.size(), kMaxText)});
  }
  if (request.scopes.empty())
    violations.push_back({"scopes", "is empty; a key without a scope may do nothing"});
  if (request.expires_at && *request.expires_at <= now) {
    violations.push_back(
        {"expires_at", FormatRfc3339(*request.expires_at) + " is not in the future"});
  }
  return violations.empty() ? OkStatus() : InvalidFields(violations);
}

Status Insert(sql::Transaction& transaction, const ApiKey& key, const TokenHash& hash) {
  STARLING_RETURN_IF_ERROR(transaction.Execute(
      "INSERT INTO api_key (id, hash, hint, label, user_id, scopes, created_at, expires_at) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
      key.id, ToHex(hash.view()), key.hint, key.label, key.user, key.scopes.ToText(),
      ToNanoseconds(key.created_at), ToColumn(key.expires_at)));
  return transaction.Execute("UPDATE api_key_generation SET generation = generation + 1");
}

StatusOr<int64_t> OneNumber(sql::Connection& connection, std::string_view sql) {
  int64_t number = 0;
  STARLING_RETURN_IF_ERROR(
      connection.Query(sql, [&](const sql::Row& row) { number = row.Int(0); }));
  return number;
}

NewKey MakeKey(KeyStore::Request request, TimePoint now, TokenHash& hash) {
  const Token token = NewApiKey();
  hash = token.hash;
  NewKey made;
  made.token = token.text;
  made.key.id = NewId();
  made.key.hint = TokenHint(token.text);
  made.key.label = std::move(request.label);
  made.key.user = std::move(request.user);
  made.key.scopes = std::move(request.scopes);
  made.key.created_at = now;
  made.key.expires_at = request.expires_at;
  return made;
}

}  // namespace

std::span<const EmbeddedFile> KeyStoreMigrations() { return kKeyStoreMigrations; }

struct KeyStore::State {
  // The keys of one generation that are not revoked.
  struct Keys {
    int64_t generation = 0;
    std::unordered_map<TokenHash, std::shared_ptr<const Identity>, TokenHashHasher> by_hash;
  };

  State(sql::Database& database, Options options, const Clock& clock)
      : database(database), options(options), clock(clock) {}

  // nullptr when unknown; may have expired.
  std::shared_ptr<const Identity> Lookup(std::string_view token) const {
    if (!IsApiKey(token)) return nullptr;
    const std::shared_ptr<const Keys> now = keys.load();
    const auto found = now->by_hash.find(Sha256(token));
    return found == now->by_hash.end() ? nullptr : found->second;
  }
  bool HasExpired(const Identity& identity) const {
    return identity.expires_at && clock.Now() >= *identity.expires_at;
  }
  Task<Status> Refresh();
  struct Serving;
  static Task<void> ServeMisses(std::shared_ptr<State> state);

  sql::Database& database;
  const Options options;
  const Clock& clock;
  Snapshot<Keys> keys{std::make_shared<const Keys>()};
  std::mutex publish;  // orders the swaps of `keys`

  std::atomic<uint64_t> rechecks{0};
  std::mutex mutex;  // what follows
  std::vector<Completion<Status>> waiting;
  bool is_served = false;  // ServeMisses runs
  Instant next_look{};     // ServeMisses alone uses it, one run after the other
};

Task<Status> KeyStore::State::Refresh() {
  StatusOr<std::shared_ptr<const Keys>> read = co_await database.Read(
      [this](sql::Connection& connection) -> StatusOr<std::shared_ptr<const Keys>> {
        STARLING_ASSIGN_OR_RETURN(
            const int64_t generation,
            OneNumber(connection, "SELECT generation FROM api_key_generation"));
        const std::shared_ptr<const Keys> now = keys.load();
        if (generation == now->generation) return now;
        auto next = std::make_shared<Keys>();
        next->generation = generation;
        STARLING_RETURN_IF_ERROR(connection.Query(
            fmt::format("SELECT {}, hash FROM api_key WHERE revoked_at IS NULL", kColumns),
            [&](const sql::Row& row) {
              const StatusOr<ApiKey> key = ReadKey(row);
              const std::optional<TokenHash> hash = HashFromHex(row.Text(8));
              // A damaged row locks out its own key, not everybody; List says which it is.
              if (!key.ok() || !hash) return;
              Identity identity{.kind = Identity::kKey, .subject = key->id, .scopes = key->scopes};
              identity.on_behalf_of = key->user;
              identity.expires_at = key->expires_at;
              next->by_hash.emplace(*hash, std::make_shared<const Identity>(std::move(identity)));
            }));
        return std::shared_ptr<const Keys>(std::move(next));
      });
  if (!read.ok()) co_return Annotate(read.status(), "the API keys cannot be read");
  // Two refreshes may end in another order than they read.
  const std::lock_guard lock(publish);
  if ((*read)->generation > keys.load()->generation) keys.store(*std::move(read));
  co_return OkStatus();
}

// A run of ServeMisses. Where it is destroyed before its end, as at shutdown, those who wait are
// told, and the next miss starts another.
struct KeyStore::State::Serving {
  explicit Serving(std::shared_ptr<State> state) : state(std::move(state)) {}
  ~Serving() {
    if (ended) return;
    {
      const std::lock_guard lock(state->mutex);
      state->is_served = false;
      std::move(state->waiting.begin(), state->waiting.end(), std::back_inserter(batch));
      state->waiting.clear();
    }
    for (Completion<Status>& one : batch) one(Unavailable("the look-up of API keys was stopped"));
  }
  const std::shared_ptr<State> state;
  std::vector<Completion<Status>> batch;
  bool ended = false;
};

// Looks once for all who wait, then again for those who came meanwhile; ends when nobody waits. It
// runs by itself, so that a caller who goes away takes nobody with it.
Task<void> KeyStore::State::ServeMisses(std::shared_ptr<State> state) {
  Serving serving(state);
  while (true) {
    const Duration wait = state->next_look - std::chrono::steady_clock::now();
    if (wait > Duration(0)) co_await SleepFor(wait);
    {
      // Taken before the look: a key that was made after the look began may not be in it.
      const std::lock_guard lock(state->mutex);
      serving.batch.swap(state->waiting);
    }
    const Status looked = co_await state->Refresh();
    state->rechecks.fetch_add(1, std::memory_order_relaxed);
    for (Completion<Status>& one : std::exchange(serving.batch, {})) one(looked);
    const std::lock_guard lock(state->mutex);
    state->next_look = std::chrono::steady_clock::now() + state->options.recheck_interval;
    if (state->waiting.empty()) {
      state->is_served = false;
      serving.ended = true;
      co_return;
    }
  }
}

KeyStore::KeyStore(std::shared_ptr<State> state) : state_(std::move(state)) {}
KeyStore::~KeyStore() = default;

Task<StatusOr<std::unique_ptr<KeyStore>>> KeyStore::Open(sql::Database& database) {
  co_return co_await Open(database, Options{}, SystemClock());
}

Task<StatusOr<std::unique_ptr<KeyStore>>> KeyStore::Open(sql::Database& database, Options options,
                                                         const Clock& clock) {
  std::unique_ptr<KeyStore> store(new KeyStore(std::make_shared<State>(database, options, clock)));
  CO_RETURN_IF_ERROR(co_await store->Refresh());
  co_return store;
}

Task<Status> KeyStore::Refresh() { return state_->Refresh(); }
uint64_t KeyStore::rechecks() const { return state_->rechecks.load(std::memory_order_relaxed); }

Task<void> KeyStore::KeepFresh(CancellationToken until) {
  while (!until.IsCancelled()) {
    const Status refreshed = co_await Refresh();
    (void)refreshed;
    co_await SleepFor(state_->options.refresh_interval);
  }
}

Task<StatusOr<NewKey>> KeyStore::Create(Request request) {
  const TimePoint now = state_->clock.Now();
  CO_RETURN_IF_ERROR(CheckRequest(request, now));
  TokenHash hash;
  NewKey made = MakeKey(std::move(request), now, hash);
  const Status written =
      co_await state_->database.Write([&](sql::Transaction& transaction) -> Status {
        const int64_t ended = ToNanoseconds(now - state_->options.keep_ended);
        STARLING_RETURN_IF_ERROR(transaction.Execute(
            "DELETE FROM api_key WHERE revoked_at < ?1 OR expires_at < ?2", ended, ended));
        STARLING_ASSIGN_OR_RETURN(const int64_t count,
                                  OneNumber(transaction, "SELECT COUNT(*) FROM api_key"));
        if (static_cast<size_t>(count) >= state_->options.max_keys) {
          return ResourceExhausted(
              "there are {} API keys, the limit; revoke some, they go {} later", count,
              FormatDuration(state_->options.keep_ended));
        }
        return Insert(transaction, made.key, hash);
      });
  CO_RETURN_IF_ERROR(written);
  // The key is made and durable: where this fails, the first miss reads it.
  const Status refreshed = co_await Refresh();
  (void)refreshed;
  co_return made;
}

Task<StatusOr<std::optional<NewKey>>> KeyStore::CreateFirstAdminKey() {
  TokenHash hash;
  Request request;
  request.label = "first admin key";
  request.scopes = ScopeSet::Admin();
  NewKey made = MakeKey(std::move(request), state_->clock.Now(), hash);
  StatusOr<bool> is_first =
      co_await state_->database.Write([&](sql::Transaction& transaction) -> StatusOr<bool> {
        STARLING_ASSIGN_OR_RETURN(const int64_t count,
                                  OneNumber(transaction, "SELECT COUNT(*) FROM api_key"));
        if (count > 0) return false;
        STARLING_RETURN_IF_ERROR(Insert(transaction, made.key, hash));
        return true;
      });
  if (!is_first.ok()) co_return is_first.status();
  std::optional<NewKey> result;
  if (*is_first) {
    const Status refreshed = co_await Refresh();
    (void)refreshed;
    result = std::move(made);
  }
  co_return result;
}

Task<StatusOr<std::vector<ApiKey>>> KeyStore::List() {
  co_return co_await state_->database.Read(
      [](sql::Connection& connection) -> StatusOr<std::vector<ApiKey>> {
        std::vector<ApiKey> all;
        STARLING_RETURN_IF_ERROR(connection.Query(
            fmt::format("SELECT {} FROM api_key ORDER BY created_at DESC, id DESC", kColumns),
            [&](const sql::Row& row) -> Status {
              STARLING_ASSIGN_OR_RETURN(ApiKey key, ReadKey(row));
              all.push_back(std::move(key));
              return OkStatus();
            }));
        return all;
      });
}

Task<Status> KeyStore::Revoke(std::string id) {
  const int64_t now = ToNanoseconds(state_->clock.Now());
  const Status written =
      co_await state_->database.Write([&](sql::Transaction& transaction) -> Status {
        STARLING_RETURN_IF_ERROR(transaction.Execute(
            "UPDATE api_key SET revoked_at = COALESCE(revoked_at, ?1) WHERE id = ?2", now, id));
        if (transaction.changes() == 0) return NotFound("there is no API key with id '{}'", id);
        return transaction.Execute("UPDATE api_key_generation SET generation = generation + 1");
      });
  CO_RETURN_IF_ERROR(written);
  // Here a failure matters: the key would still be let in.
  const Status refreshed = co_await Refresh();
  co_return Annotate(
      refreshed, fmt::format("API key '{}' is revoked, but this process has not seen it yet", id));
}

std::shared_ptr<const Identity> KeyStore::Known(std::string_view token) const {
  std::shared_ptr<const Identity> identity = state_->Lookup(token);
  if (identity != nullptr && state_->HasExpired(*identity)) return nullptr;
  return identity;
}

Task<StatusOr<std::shared_ptr<const Identity>>> KeyStore::Authenticate(
    std::string_view bearer_token) {
  std::shared_ptr<const Identity> identity = state_->Lookup(bearer_token);
  if (identity == nullptr && Recognises(bearer_token)) {
    const Executor executor = co_await CurrentExecutor();
    const std::shared_ptr<State> state = state_;
    const Status looked = co_await Suspend<Status>([&](Completion<Status> completion) {
      bool starts = false;
      Completion<Status> refused;
      {
        const std::lock_guard lock(state->mutex);
        const bool waits = state->waiting.size() < state->options.max_waiting;
        (waits ? state->waiting.emplace_back() : refused) = std::move(completion);
        starts = waits && !std::exchange(state->is_served, true);
      }
      if (refused) {
        refused(Overloaded(
            fmt::format("{} API keys wait to be looked up, the limit", state->options.max_waiting),
            std::chrono::seconds(1)));
      } else if (starts) {
        Spawn(executor, State::ServeMisses(state));
      }
    });
    CO_RETURN_IF_ERROR(looked);
    identity = state_->Lookup(bearer_token);
  }
  if (identity == nullptr)
    co_return Unauthenticated("the API key is not known here, or was revoked");
  if (state_->HasExpired(*identity)) {
    co_return Unauthenticated("the API key {} expired at {}", identity->subject,
                              FormatRfc3339(*identity->expires_at));
  }
  co_return identity;
}

bool KeyStore::Recognises(std::string_view bearer_token) const { return IsApiKey(bearer_token); }

}  // namespace starling::security

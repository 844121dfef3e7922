#include "platform/security/key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/security/token.h"
#include "platform/storage/sql/sql.h"

namespace starling::security {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const ScopeSet kReader = *ScopeSet::ParseText("catalog.read");

class KeyStoreTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override {
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  // A database of its own on the same file, as another process has.
  std::unique_ptr<sql::Database> OpenDatabase() {
    auto database = sql::Database::Open({.path = folder_ / "keys.db"}, KeyStoreMigrations());
    EXPECT_TRUE(database.ok()) << database.status();
    return *std::move(database);
  }
  sql::Database& Shared() {
    if (database_ == nullptr) database_ = OpenDatabase();
    return *database_;
  }
  std::unique_ptr<KeyStore> OpenStore(sql::Database& database, KeyStore::Options options = {}) {
    options.recheck_interval =
        std::min(options.recheck_interval, Duration(std::chrono::milliseconds(1)));
    auto store = RunSync(KeyStore::Open(database, options, clock_));
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static NewKey Make(KeyStore& store, ScopeSet scopes = kReader) {
    auto key = RunSync(store.Create({.label = "test", .scopes = std::move(scopes)}));
    EXPECT_TRUE(key.ok()) << key.status();
    return *std::move(key);
  }
  static StatusOr<std::shared_ptr<const Identity>> Ask(KeyStore& store, std::string_view token) {
    return RunSync(store.Authenticate(token));
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("keys-" + NewId());
  FakeClock clock_{*ParseRfc3339("2026-01-01T00:00:00Z")};
  std::unique_ptr<sql::Database> database_;
};

TEST_F(KeyStoreTest, FindsTheKeyThatItMadeAndKeepsOnlyItsHash) {
  auto store = OpenStore(Shared());
  KeyStore::Request request{.label = "shop backend", .scopes = kReader, .user = "u7"};
  request.expires_at = clock_.Now() + std::chrono::hours(1);
  const StatusOr<NewKey> made = RunSync(store->Create(request));
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(IsApiKey(made->token));
  const std::shared_ptr<const Identity> identity = store->Known(made->token);
  ASSERT_NE(identity, nullptr);
  EXPECT_EQ(identity->kind, Identity::kKey);
  EXPECT_EQ(identity->subject, made->key.id);
  EXPECT_EQ(identity->user(), "u7");
  EXPECT_EQ(identity->scopes, kReader);
  EXPECT_EQ(identity->expires_at, request.expires_at);
  EXPECT_EQ((*Ask(*store, made->token))->subject, made->key.id);

  const auto listed = RunSync(store->List());
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->size(), 1u);
  EXPECT_EQ((*listed)[0].label, "shop backend");
  EXPECT_EQ((*listed)[0].hint, made->token.substr(0, 7) + "...");
  EXPECT_EQ((*listed)[0].created_at, clock_.Now());
  EXPECT_EQ((*listed)[0].scopes, kReader);
  EXPECT_EQ((*listed)[0].revoked_at, std::nullopt);

  store.reset();
  database_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), {});
    EXPECT_EQ(bytes.find(made->token.substr(7)), std::string::npos) << entry.path();
  }
  auto again = OpenStore(Shared());
  EXPECT_NE(again->Known(made->token), nullptr) << "keys survive a restart";
}

TEST_F(KeyStoreTest, RefusesUnknownRevokedAndExpiredKeysWithoutRepeatingThem) {
  auto store = OpenStore(Shared());
  const NewKey revoked = Make(*store);
  KeyStore::Request request{.label = "short", .scopes = kReader};
  request.expires_at = clock_.Now() + std::chrono::seconds(10);
  const NewKey expired = *RunSync(store->Create(request));
  ASSERT_EQ(RunSync(store->Revoke(revoked.key.id)), OkStatus());
  EXPECT_NE(store->Known(expired.token), nullptr);
  clock_.Advance(std::chrono::seconds(10));
  const std::pair<std::string, const char*> rows[] = {
      {NewApiKey().text, "is not known here, or was revoked"},
      {revoked.token, "is not known here, or was revoked"},
      {expired.token, "expired at 2026-01-01T00:00:10Z"},
      {"sk_short", "is not known here"},
      {NewSessionToken().text, "is not known here"},
      {"", "is not known here"},
  };
  for (const auto& [token, message] : rows) {
    EXPECT_EQ(store->Known(token), nullptr);
    const Status status = Ask(*store, token).status();
    EXPECT_EQ(status.code(), StatusCode::kUnauthenticated) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
    if (!token.empty()) {
      EXPECT_THAT(std::string(status.message()), Not(HasSubstr(token)));
    }
  }
}

TEST_F(KeyStoreTest, RevokesByIdAndSaysWhenThereIsNone) {
  auto store = OpenStore(Shared());
  const NewKey key = Make(*store);
  EXPECT_EQ(RunSync(store->Revoke("nobody")).code(), StatusCode::kNotFound);
  EXPECT_EQ(RunSync(store->Revoke(key.key.id)), OkStatus());
  EXPECT_EQ(store->Known(key.token), nullptr);
  clock_.Advance(std::chrono::hours(1));
  EXPECT_EQ(RunSync(store->Revoke(key.key.id)), OkStatus());
  EXPECT_EQ((*RunSync(store->List()))[0].revoked_at, clock_.Now() - std::chrono::hours(1))
      << "the first time counts";
}

TEST_F(KeyStoreTest, NamesTheFieldsOfABadRequest) {
  auto store = OpenStore(Shared());
  KeyStore::Request request{.label = "", .scopes = {}, .user = std::string(201, 'x')};
  request.expires_at = clock_.Now();
  const Status status = RunSync(store->Create(request)).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  std::vector<std::string> fields;
  for (const FieldViolation& violation : FieldViolations(status)) fields.push_back(violation.field);
  EXPECT_THAT(fields, testing::ElementsAre("label", "user", "scopes", "expires_at"));
  EXPECT_THAT(*RunSync(store->List()), IsEmpty());
}

TEST_F(KeyStoreTest, MakesTheAdminKeyOfANewInstallationOnce) {
  auto store = OpenStore(Shared());
  const auto first = RunSync(store->CreateFirstAdminKey());
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(first->has_value());
  EXPECT_TRUE(store->Known((*first)->token)->scopes.IsAdmin());
  EXPECT_FALSE(RunSync(store->CreateFirstAdminKey())->has_value());
  ASSERT_EQ(RunSync(store->Revoke((*first)->key.id)), OkStatus());
  EXPECT_FALSE(RunSync(store->CreateFirstAdminKey())->has_value())
      << "a revoked key does not come back as another";
}

TEST_F(KeyStoreTest, SeesAtOnceWhatAnotherProcessMade) {
  auto store = OpenStore(Shared());
  auto other_database = OpenDatabase();
  auto other = OpenStore(*other_database);
  const NewKey key = Make(*other);
  EXPECT_EQ(store->Known(key.token), nullptr) << "from memory alone";
  const auto identity = Ask(*store, key.token);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ((*identity)->subject, key.key.id);
  EXPECT_NE(store->Known(key.token), nullptr);

  ASSERT_EQ(RunSync(other->Revoke(key.key.id)), OkStatus());
  EXPECT_TRUE(Ask(*store, key.token).ok()) << "a hit does not look";
  ASSERT_EQ(RunSync(store->Refresh()), OkStatus());
  EXPECT_FALSE(Ask(*store, key.token).ok());
}

TEST_F(KeyStoreTest, SharesTheLooksOfManyMisses) {
  KeyStore::Options options;
  auto store = OpenStore(Shared(), options);
  const int kMisses = 200;
  std::atomic<int> refused{0};
  std::promise<void> all;
  {
    Runtime runtime({.io_threads = 1});
    for (int i = 0; i < kMisses; ++i) {
      Spawn(runtime.executor(0),
            [](KeyStore& store, std::atomic<int>& refused, std::promise<void>& all) -> Task<void> {
              const std::string token = NewApiKey().text;
              const auto identity = co_await store.Authenticate(token);
              EXPECT_EQ(identity.status().code(), StatusCode::kUnauthenticated);
              if (++refused == kMisses) all.set_value();
            }(*store, refused, all));
    }
    all.get_future().wait();
  }
  EXPECT_GE(store->rechecks(), 1u);
  EXPECT_LT(store->rechecks(), 20u);
}

TEST_F(KeyStoreTest, TellsThoseWhoWaitWhenTheThreadThatWouldLookIsGone) {
  KeyStore::Options options;
  options.recheck_interval = std::chrono::hours(1);
  auto store = RunSync(KeyStore::Open(Shared(), options, clock_)).value();
  const auto miss = [](KeyStore& store, std::promise<Status>& result) -> Task<void> {
    const std::string token = NewApiKey().text;
    const auto identity = co_await store.Authenticate(token);
    result.set_value(identity.status());
  };
  // The first look sets the next one an hour away.
  EXPECT_EQ(Ask(*store, NewApiKey().text).status().code(), StatusCode::kUnauthenticated);
  auto looks = std::make_unique<Runtime>(Runtime::Options{.io_threads = 1});
  Runtime waits(Runtime::Options{.io_threads = 1});
  const auto nothing = []() -> Task<void> { co_return; };
  std::promise<Status> never, told;
  Spawn(looks->executor(0), miss(*store, never));
  looks->Block(nothing());
  Spawn(waits.executor(0), miss(*store, told));
  waits.Block(nothing());
  EXPECT_EQ(store->rechecks(), 1u);
  looks.reset();
  EXPECT_EQ(told.get_future().get().code(), StatusCode::kUnavailable);
}

TEST_F(KeyStoreTest, ShedsMissesAtItsBound) {
  KeyStore::Options options;
  options.max_waiting = 0;
  auto store = OpenStore(Shared(), options);
  const Status status = Ask(*store, NewApiKey().text).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Reason(status), reason::kOverloaded);
  EXPECT_TRUE(Ask(*store, Make(*store).token).ok()) << "a hit is never shed";
}

TEST_F(KeyStoreTest, HasABoundAndForgetsKeysThatEndedLongAgo) {
  KeyStore::Options options;
  options.max_keys = 2;
  auto store = OpenStore(Shared(), options);
  const NewKey one = Make(*store), two = Make(*store);
  const Status full = RunSync(store->Create({.label = "three", .scopes = kReader})).status();
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("there are 2 API keys, the limit"));
  ASSERT_EQ(RunSync(store->Revoke(one.key.id)), OkStatus());
  clock_.Advance(options.keep_ended);
  EXPECT_FALSE(RunSync(store->Create({.label = "three", .scopes = kReader})).ok())
      << "kept for the list until then";
  clock_.Advance(Duration(1));
  Make(*store);
  EXPECT_EQ(RunSync(store->List())->size(), 2u);
  EXPECT_NE(store->Known(two.token), nullptr);
}

TEST_F(KeyStoreTest, ADamagedRowLocksOutItsOwnKeyOnly) {
  auto store = OpenStore(Shared());
  const NewKey good = Make(*store), damaged = Make(*store);
  ASSERT_TRUE(
      Shared()
          .WriteSync([&](sql::Transaction& transaction) -> Status {
            STARLING_RETURN_IF_ERROR(transaction.Execute(
                "UPDATE api_key SET scopes = 'not a scope!' WHERE id = ?1", damaged.key.id));
            return transaction.Execute("UPDATE api_key_generation SET generation = generation + 1");
          })
          .ok());
  ASSERT_EQ(RunSync(store->Refresh()), OkStatus());
  EXPECT_NE(store->Known(good.token), nullptr);
  EXPECT_EQ(store->Known(damaged.token), nullptr);
  const Status listed = RunSync(store->List()).status();
  EXPECT_EQ(listed.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(listed.message()), HasSubstr(damaged.key.id));
}

TEST_F(KeyStoreTest, KeepsFreshUntilCancelled) {
  KeyStore::Options options;
  options.refresh_interval = std::chrono::milliseconds(1);
  auto store = OpenStore(Shared(), options);
  auto other_database = OpenDatabase();
  auto other = OpenStore(*other_database);
  const NewKey key = Make(*other);
  ASSERT_TRUE(Ask(*store, key.token).ok());
  Runtime runtime({.io_threads = 1});
  CancellationSource stop;
  std::promise<void> ended;
  Spawn(runtime.executor(0),
        [](KeyStore& store, CancellationToken until, std::promise<void>& ended) -> Task<void> {
          co_await store.KeepFresh(until);
          ended.set_value();
        }(*store, stop.token(), ended));
  ASSERT_EQ(RunSync(other->Revoke(key.key.id)), OkStatus());
  while (store->Known(key.token) != nullptr) std::this_thread::yield();
  stop.Cancel();
  ended.get_future().wait();
}

TEST_F(KeyStoreTest, ReadersFindTheirKeyWhileOthersAreMadeAndRevoked) {
  auto store = OpenStore(Shared());
  const NewKey mine = Make(*store);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  readers.reserve(2);
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done) EXPECT_NE(store->Known(mine.token), nullptr);
    });
  }
  for (int i = 0; i < 20; ++i) {
    const NewKey other = Make(*store);
    EXPECT_EQ(RunSync(store->Revoke(other.key.id)), OkStatus());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace starling::security

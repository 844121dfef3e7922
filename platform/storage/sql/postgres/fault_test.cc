// What was acknowledged is there, once, whatever happens to the server; what was not is reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "platform/storage/sql/postgres/test_server.h"
#include "platform/storage/sql/sql.h"

namespace starling::sql {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// No key: a row that is stored twice is seen.
constexpr EmbeddedFile kRows[] = {
    {"0001_rows.sql",
     "CREATE TABLE entry (number INTEGER NOT NULL);"
     "CREATE TABLE counter (id INTEGER PRIMARY KEY, value INTEGER NOT NULL);"
     "INSERT INTO counter (id, value) VALUES (1, 0);"}};

class PostgresFault : public testing::Test {
 protected:
  StatusOr<std::unique_ptr<Database>> TryOpen(Options options = {}) {
    if (options.url.empty()) options.url = url_;
    return Database::Open(std::move(options), kRows);
  }
  std::unique_ptr<Database> Open(Options options = {}) {
    auto database = TryOpen(std::move(options));
    EXPECT_TRUE(database.ok()) << database.status();
    return *std::move(database);
  }
  static Status Add(Database& database, int64_t number) {
    return database.WriteSync([&](Transaction& transaction) -> Status {
      return transaction.Execute("INSERT INTO entry (number) VALUES (?1)", number);
    });
  }
  static std::map<int64_t, int64_t> Stored(Database& database) {
    std::map<int64_t, int64_t> times;
    const Status status = database.ReadSync([&](Connection& connection) {
      return connection.Query("SELECT number FROM entry",
                              [&](const Row& row) { ++times[row.Int(0)]; });
    });
    EXPECT_TRUE(status.ok()) << status;
    return times;
  }
  static Status Increment(Transaction& transaction) {
    return transaction.Execute("UPDATE counter SET value = value + 1 WHERE id = 1");
  }
  static int64_t Counter(Database& database) {
    return database
        .ReadSync([](Connection& connection) {
          return connection.QueryOne("SELECT value FROM counter",
                                     [](const Row& row) { return row.Int(0); });
        })
        .value()
        .value();
  }
  // Until it is written, as a caller does that comes again.
  static void AddSurely(Database& database, int64_t number) {
    const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    Status status = Add(database, number);
    while (!status.ok() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      status = Add(database, number);
    }
    EXPECT_TRUE(status.ok()) << status;
  }

  TestServer& server_ = TestServer::Get();
  const std::string url_ = server_.MakeDatabase();
};

TEST_F(PostgresFault, EveryAcknowledgedWriteSurvivesKillNineOnceAndThePoolRecovers) {
  const auto database = Open();
  std::atomic<bool> stop = false;
  std::atomic<int64_t> next = 1, acknowledged_count = 0;
  std::mutex mutex;
  std::set<int64_t> acknowledged;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        const int64_t number = next++;
        const Status status = Add(*database, number);
        if (status.ok()) {
          ++acknowledged_count;
          const std::lock_guard lock(mutex);
          acknowledged.insert(number);
        } else {
          EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
      }
    });
  }
  const auto wait_for_more = [&](int64_t more) {
    const int64_t until = acknowledged_count + more;
    const Instant limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (acknowledged_count < until && std::chrono::steady_clock::now() < limit)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_GE(acknowledged_count, until) << "writes did not go on";
  };
  for (int round = 0; round < 3; ++round) {
    wait_for_more(30);
    ASSERT_TRUE(server_.Kill().ok());
    ASSERT_TRUE(server_.StartAgain().ok());
  }
  wait_for_more(30);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const std::map<int64_t, int64_t> stored = Stored(*database);
  for (const int64_t number : acknowledged) EXPECT_TRUE(stored.contains(number)) << number;
  for (const auto& [number, times] : stored) EXPECT_EQ(times, 1) << number;
}

TEST_F(PostgresFault, WhileTheServerIsAwayCallsFailAtOnceAndNameIt) {
  const auto database = Open();
  ASSERT_TRUE(Add(*database, 1).ok());
  ASSERT_TRUE(server_.Kill().ok());
  const std::string address = url_.substr(url_.find("127.0.0.1"), 15);
  for (int i = 0; i < 20; ++i) {
    const Status status = Add(*database, 2);
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(address));
    EXPECT_TRUE(RetryAfter(status).has_value());
    EXPECT_FALSE(database->CheckSync().ok());
  }
  ASSERT_TRUE(server_.StartAgain().ok());
  AddSurely(*database, 3);
  EXPECT_TRUE(database->CheckSync().ok());
  const std::map<int64_t, int64_t> expected = {{1, 1}, {3, 1}};
  EXPECT_EQ(Stored(*database), expected);
}

TEST_F(PostgresFault, AServerThatHangsIsGivenUpAndUsedAgain) {
  const auto database = Open({.statement_timeout = std::chrono::milliseconds(200)});
  ASSERT_TRUE(Add(*database, 1).ok());
  ASSERT_TRUE(server_.Pause().ok());
  const Status status = Add(*database, 2);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  // By a connection that it had, or by one that it was making.
  EXPECT_THAT(std::string(status.message()),
              AnyOf(HasSubstr("has not answered in time"), HasSubstr("timeout expired")));
  ASSERT_TRUE(server_.Resume().ok());
  AddSurely(*database, 3);
  EXPECT_TRUE(Stored(*database).contains(3));
}

TEST_F(PostgresFault, ConnectionsThatTheServerEndedAreMadeAnew) {
  const auto database = Open();
  ASSERT_TRUE(Add(*database, 1).ok());
  TestServer::Run(url_,
                  "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = "
                  "current_database() AND pid <> pg_backend_pid()");
  EXPECT_TRUE(Add(*database, 2).ok());
  EXPECT_EQ(Stored(*database).size(), 2u);
}

TEST_F(PostgresFault, AWriteThatClashesRunsAgainAloneAndItsHookOnce) {
  const auto database = Open();
  const auto other = Open();
  int runs = 0, hooks = 0;
  const StatusOr<int64_t> value =
      database->WriteSync([&](Transaction& transaction) -> StatusOr<int64_t> {
        ++runs;
        transaction.OnCommit([&] { ++hooks; });
        STARLING_ASSIGN_OR_RETURN(const auto before,
                                  transaction.QueryOne("SELECT value FROM counter WHERE id = 1",
                                                       [](const Row& row) { return row.Int(0); }));
        // Another process changes what was read, while this one may share.
        if (runs == 1) STARLING_RETURN_IF_ERROR(other->WriteSync(Increment));
        STARLING_RETURN_IF_ERROR(transaction.Execute("UPDATE counter SET value = ?1 WHERE id = 1",
                                                     before.value_or(-1) + 10));
        return before.value_or(-1) + 10;
      });
  EXPECT_EQ(value.value(), 11);
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(hooks, 1);
  EXPECT_EQ(Counter(*database), 11);
}

TEST_F(PostgresFault, ManyWritersOfTwoProcessesLoseNothing) {
  const std::unique_ptr<Database> databases[] = {Open(), Open()};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&databases, i] {
      for (int n = 0; n < 25; ++n) {
        const Status status = databases[i % 2]->WriteSync(Increment);
        EXPECT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Counter(*databases[0]), 200);
}

TEST_F(PostgresFault, AfterAnErrorOfTheServerAFunctionThatGoesOnIsRefused) {
  const auto database = Open();
  Status second;
  const Status status = database->WriteSync([&](Transaction& transaction) -> Status {
    EXPECT_FALSE(transaction.Execute("INSERT INTO counter (id, value) VALUES (1, 1)").ok());
    second = Increment(transaction);
    return OkStatus();
  });
  EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << status;
  EXPECT_EQ(second.code(), StatusCode::kAborted) << second;
  EXPECT_EQ(Counter(*database), 0);
}

TEST_F(PostgresFault, SchemasShareAServerAndNoTables) {
  const auto one = Open({.schema = "catalog"});
  const auto two = Open({.schema = "user"});
  ASSERT_TRUE(Add(*one, 1).ok());
  EXPECT_EQ(Stored(*one).size(), 1u);
  EXPECT_TRUE(Stored(*two).empty());
}

TEST_F(PostgresFault, ManyThatStartAtOnceMigrateOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto database = TryOpen();
      EXPECT_TRUE(database.ok()) << database.status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Counter(*Open()), 0);
}

TEST_F(PostgresFault, WhatCannotBeReachedIsNamedWithoutItsPassword) {
  struct Case {
    std::string url;
    StatusCode code;
    std::string_view says;
  };
  const std::string tls = url_.substr(0, 13) + "u:topsecret@" + url_.substr(url_.find("127.0.0.1"));
  const Case cases[] = {
      {"postgresql://u:topsecret@127.0.0.1:1/shop", StatusCode::kUnavailable, "127.0.0.1:1"},
      {tls + "?sslmode=require", StatusCode::kUnavailable, "SSL"},
      {"postgresql://u:topsecret@127.0.0.1:1/shop?sslmod=x", StatusCode::kInvalidArgument,
       "sslmode"},
      {"postgresql://u:topsecret%zz@127.0.0.1/shop", StatusCode::kInvalidArgument, "%40"},
      {"postgresql://u:top@secret@127.0.0.1/shop", StatusCode::kInvalidArgument, "%40"},
      {"mysql://u:topsecret@127.0.0.1/shop", StatusCode::kInvalidArgument, "postgresql://"},
  };
  for (const Case& c : cases) {
    const Status status =
        TryOpen({.url = c.url, .connect_timeout = std::chrono::milliseconds(150)}).status();
    EXPECT_EQ(status.code(), c.code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(c.says)));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("secret")));
  }
  EXPECT_EQ(TryOpen({.schema = "a b"}).status().code(), StatusCode::kInvalidArgument);
}

TEST_F(PostgresFault, ATypeThatIsNoneOfThePortsIsNamed) {
  const auto database = Open();
  const Status status = database->ReadSync([](Connection& connection) -> Status {
    return connection.Query("SELECT now() AS noon", [](const Row&) {});
  });
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("noon"));
  EXPECT_TRUE(Stored(*database).empty()) << "the connection is still of use";
}

}  // namespace
}  // namespace starling::sql

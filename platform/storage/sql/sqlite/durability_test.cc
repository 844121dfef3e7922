// The embedded adapter against the real file system: kill -9, limits, damage, locks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "platform/base/id.h"
#include "platform/storage/sql/sql.h"

namespace starling::sql {
namespace {

using testing::HasSubstr;

constexpr EmbeddedFile kRows[] = {
    {"0001_rows.sql", "CREATE TABLE entry (id INTEGER PRIMARY KEY, data TEXT NOT NULL)"}};

class SqliteDurability : public testing::Test {
 protected:
  SqliteDurability() { std::filesystem::create_directories(folder_); }
  ~SqliteDurability() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path Path() const { return folder_ / "test.db"; }

  StatusOr<std::unique_ptr<Database>> Open(Options options = {}) {
    options.path = Path();
    return Database::Open(std::move(options), kRows);
  }
  static Status Insert(Database& database, int64_t id, size_t size) {
    return database.WriteSync([&](Transaction& transaction) -> Status {
      return transaction.Execute("INSERT INTO entry VALUES (?1, ?2)", id, std::string(size, 'x'));
    });
  }
  static StatusOr<std::vector<int64_t>> Ids(Database& database) {
    return database.ReadSync([](Connection& connection) {
      return connection.QueryAll("SELECT id FROM entry ORDER BY id",
                                 [](const Row& row) { return row.Int(0); });
    });
  }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / NewId();
};

// Writes rows from several threads and acknowledges each on the pipe, until killed.
[[noreturn]] void WriteUntilKilled(Options options, int pipe, int64_t first_id) {
  const auto database = Database::Open(std::move(options), kRows);
  if (!database.ok()) _exit(2);
  std::atomic<int64_t> next{first_id};
  const auto write_all = [&] {
    while (true) {
      const int64_t id = next++;
      const Status status = (*database)->WriteSync([&](Transaction& transaction) -> Status {
        return transaction.Execute("INSERT INTO entry VALUES (?1, ?2)", id,
                                   std::string(100 + id % 900, 'x'));
      });
      if (!status.ok() || ::write(pipe, &id, sizeof id) != sizeof id) _exit(3);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(write_all);
  write_all();
  _exit(4);
}

TEST_F(SqliteDurability, EveryAcknowledgedRowSurvivesKillNine) {
  constexpr int kRounds = 25;
  std::mt19937 random(20260102);
  std::set<int64_t> acknowledged;
  for (int round = 0; round < kRounds; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    // A short log, so that it is moved into the file while the child is killed.
    Options options = {.path = Path(), .reader_threads = 1, .log_limit_pages = 20};
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(ends[0]);
      WriteUntilKilled(std::move(options), ends[1], 1 + round * 1'000'000);
    }
    ::close(ends[1]);
    // The point of death is where the pipe has carried so many rows, not a time.
    const size_t kill_after = random() % 200;
    size_t seen = 0;
    bool killed = false;
    if (seen == kill_after) killed = ::kill(child, SIGKILL) == 0;
    int64_t id = 0;
    while (::read(ends[0], &id, sizeof id) == sizeof id) {
      acknowledged.insert(id);
      if (++seen == kill_after) killed = ::kill(child, SIGKILL) == 0;
    }
    ::close(ends[0]);
    int how = 0;
    ASSERT_EQ(::waitpid(child, &how, 0), child);
    ASSERT_TRUE(killed && WIFSIGNALED(how))
        << "round " << round << ": the child ended by itself, " << WEXITSTATUS(how);
    const auto database = Open();
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE((*database)->CheckSync().ok());
    const std::vector<int64_t> stored = Ids(**database).value();
    ASSERT_TRUE(
        std::includes(stored.begin(), stored.end(), acknowledged.begin(), acknowledged.end()))
        << "round " << round << ": " << acknowledged.size() << " acknowledged, " << stored.size()
        << " stored";
  }
  EXPECT_GT(acknowledged.size(), size_t{kRounds} * 20);
}

TEST_F(SqliteDurability, AtTheFileSizeLimitWritesAreRefusedAndGoOnOnceThereIsRoom) {
  const auto database = Open();
  ASSERT_TRUE(Insert(**database, 1, 1000).ok());
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto previous = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 300'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Status refused;
  int64_t id = 2;
  for (; id < 1000 && refused.ok(); ++id) refused = Insert(**database, id, 3000);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, previous);
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("is full; free space and retry"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr(Path().string()));
  EXPECT_EQ(Ids(**database)->size(), static_cast<size_t>(id - 2));
  EXPECT_TRUE(Insert(**database, 5000, 3000).ok());
}

TEST_F(SqliteDurability, DamageIsDataLossNamingTheFile) {
  {
    const auto database = Open();
    for (int id = 1; id <= 200; ++id) ASSERT_TRUE(Insert(**database, id, 900).ok());
  }
  {
    std::fstream file(Path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 * 4096);
    const std::string garbage(20 * 4096, '\x5a');
    file.write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
  }
  const auto database = Open();
  ASSERT_TRUE(database.ok()) << database.status();
  const Status checked = (*database)->CheckSync();
  EXPECT_EQ(checked.code(), StatusCode::kDataLoss);
  const Status read = Ids(**database).status();
  EXPECT_EQ(read.code(), StatusCode::kDataLoss);
  for (const Status& status : {checked, read}) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(Path().string()));
    EXPECT_THAT(std::string(status.message()), HasSubstr("restore the last backup"));
  }
}

TEST_F(SqliteDurability, WhatCannotBeOpenedSaysWhy) {
  struct Case {
    std::string path;
    StatusCode code;
    std::string_view message;
  };
  std::ofstream(folder_ / "text.db") << std::string(8192, 't');
  const Case cases[] = {
      {folder_ / "text.db", StatusCode::kDataLoss, "text.db"},
      {folder_ / "absent" / "test.db", StatusCode::kFailedPrecondition, "its folder must exist"},
      {folder_, StatusCode::kFailedPrecondition, "cannot be opened"},
      {folder_ / "text.db" / "test.db", StatusCode::kFailedPrecondition, "Not a directory"},
  };
  for (const Case& c : cases) {
    const Status status = Database::Open({.path = c.path}, kRows).status();
    EXPECT_EQ(status.code(), c.code) << c.path << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(c.message)));
  }
}

TEST_F(SqliteDurability, AnotherProcessesLockIsWaitedForThenReported) {
  const auto database = Open({.lock_timeout = std::chrono::milliseconds(1)});
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(Path().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const Status status = Insert(**database, 1, 10);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("locked by another process"));
  EXPECT_TRUE(RetryAfter(status).has_value());
  EXPECT_TRUE(Ids(**database).ok()) << "a read does not wait for it";
  ASSERT_EQ(sqlite3_close(other), SQLITE_OK);
  EXPECT_TRUE(Insert(**database, 1, 10).ok());
}

TEST_F(SqliteDurability, ARollbackByTheEngineRefusesTheGroupAndEndsTheFunctionsReach) {
  const auto database = Open();
  ASSERT_TRUE((*database)
                  ->WriteSync([](Transaction& transaction) {
                    return transaction.Execute(
                        "CREATE TRIGGER no BEFORE INSERT ON entry WHEN NEW.id = 13"
                        " BEGIN SELECT RAISE(ROLLBACK, 'unlucky'); END");
                  })
                  .ok());
  Status after;
  const Status status = (*database)->WriteSync([&](Transaction& transaction) -> Status {
    static_cast<void>(transaction.Execute("INSERT INTO entry VALUES (13, 'x')"));
    after = transaction.Execute("INSERT INTO entry VALUES (14, 'x')");
    return OkStatus();
  });
  EXPECT_EQ(after.code(), StatusCode::kAborted) << after;
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(Ids(**database)->empty());
  EXPECT_TRUE(Insert(**database, 15, 1).ok());
}

TEST_F(SqliteDurability, FullTextSearchWorksUnderTheRefusals) {
  const EmbeddedFile files[] = {
      {"0001_text.sql", "CREATE VIRTUAL TABLE document USING fts5 (title, body)"}};
  const auto database = Database::Open({.path = folder_ / "text.db"}, files);
  ASSERT_TRUE(database.ok()) << database.status();
  const StatusOr<std::vector<int64_t>> found =
      (*database)->WriteSync([](Transaction& transaction) -> StatusOr<std::vector<int64_t>> {
        STARLING_RETURN_IF_ERROR(
            transaction.Execute("INSERT INTO document VALUES ('starling', 'a small bird')"));
        STARLING_RETURN_IF_ERROR(
            transaction.Execute("INSERT INTO document VALUES ('eagle', 'a large bird')"));
        return transaction.QueryAll(
            "SELECT rowid FROM document WHERE document MATCH ?1",
            [](const Row& row) { return row.Int(0); }, "small");
      });
  EXPECT_THAT(found.value(), testing::ElementsAre(1));
}

}  // namespace
}  // namespace starling::sql

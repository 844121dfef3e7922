// What was acknowledged is there, whatever fails and whenever; what was not is reported.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <set>
#include <thread>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/storage/sql/sql.h"
#include "platform/storage/sql/sqlite/faulty_vfs.h"

namespace starling::sql {
namespace {

using testing::HasSubstr;
using Fault = FaultyVfs::Fault;

constexpr EmbeddedFile kRows[] = {
    {"0001_rows.sql", "CREATE TABLE entry (id INTEGER PRIMARY KEY, data TEXT NOT NULL)"}};
constexpr int kBatches = 6;
constexpr int kWritesInABatch = 3;

struct Outcome {
  std::set<int64_t> acknowledged;
  std::set<int64_t> published;  // by OnCommit
  std::vector<Status> refused;
};

class SqliteFault : public testing::Test {
 protected:
  SqliteFault() { std::filesystem::create_directories(folder_); }
  ~SqliteFault() override { std::filesystem::remove_all(folder_); }

  StatusOr<std::unique_ptr<Database>> Open() {
    // A short log, so that moving it into the file is among what fails.
    return Database::Open({.path = folder_ / "test.db", .reader_threads = 1, .log_limit_pages = 6},
                          kRows);
  }

  static Task<void> WriteOne(Database& database, int64_t id, Outcome& outcome) {
    const Status status = co_await database.Write([&](Transaction& transaction) -> Status {
      transaction.OnCommit([&outcome, id] { outcome.published.insert(id); });
      return transaction.Execute("INSERT INTO entry VALUES (?1, ?2)", id,
                                 std::string(600 + id * 37 % 3000, 'x'));
    });
    if (status.ok()) {
      outcome.acknowledged.insert(id);
    } else {
      outcome.refused.push_back(status);
    }
  }

  // Batches of writes that wait together, each batch after the one before.
  static void WriteAll(Database& database, Outcome& outcome) {
    for (int batch = 0; batch < kBatches; ++batch) {
      boost::asio::io_context context(1);
      for (int i = 0; i < kWritesInABatch; ++i) {
        Spawn(context.get_executor(), WriteOne(database, batch * kWritesInABatch + i, outcome));
      }
      context.run();
    }
  }

  static std::set<int64_t> Stored(Database& database) {
    std::set<int64_t> ids;
    const Status status = database.ReadSync([&](Connection& connection) {
      return connection.Query("SELECT id FROM entry",
                              [&](const Row& row) { ids.insert(row.Int(0)); });
    });
    EXPECT_TRUE(status.ok()) << status;
    return ids;
  }

  int64_t OperationsWithoutFault() {
    FaultyVfs vfs;
    Outcome outcome;
    {
      const auto database = Open();
      WriteAll(**database, outcome);
    }
    EXPECT_EQ(outcome.acknowledged.size(), size_t{kBatches * kWritesInABatch});
    EmptyFolder();
    return vfs.operations();
  }

  void EmptyFolder() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }

  // One run with one fault, then the check that every promise was kept.
  void RunWith(Fault fault, int64_t at, uint64_t seed) {
    SCOPED_TRACE(
        fmt::format("fault {} at operation {}, seed {}", static_cast<int>(fault), at, seed));
    EmptyFolder();
    FaultyVfs vfs;
    vfs.FailAt(at, fault);
    Outcome outcome;
    {
      const StatusOr<std::unique_ptr<Database>> database = Open();
      if (database.ok()) {
        WriteAll(**database, outcome);
        for (const Status& status : outcome.refused) {
          EXPECT_TRUE(status.code() == StatusCode::kUnavailable ||
                      status.code() == StatusCode::kResourceExhausted)
              << status;
          EXPECT_THAT(std::string(status.message()), HasSubstr("nothing was acknowledged"));
        }
        EXPECT_EQ(outcome.published, outcome.acknowledged);
        if (fault != Fault::kPowerLoss) {
          vfs.Repair();
          Outcome again;
          boost::asio::io_context context(1);
          Spawn(context.get_executor(), WriteOne(**database, 1000, again));
          context.run();
          EXPECT_EQ(again.acknowledged.size(), 1u)
              << "does not write after the repair: " << again.refused.front();
          outcome.acknowledged.insert(1000);
        }
      }
    }
    if (fault == Fault::kPowerLoss) vfs.LosePower(seed);
    vfs.Repair();
    const StatusOr<std::unique_ptr<Database>> database = Open();
    ASSERT_TRUE(database.ok()) << database.status();
    EXPECT_TRUE((*database)->CheckSync().ok());
    const std::set<int64_t> stored = Stored(**database);
    EXPECT_TRUE(std::includes(stored.begin(), stored.end(), outcome.acknowledged.begin(),
                              outcome.acknowledged.end()))
        << "lost: " << testing::PrintToString(outcome.acknowledged) << " were acknowledged, "
        << testing::PrintToString(stored) << " are stored";
  }

  void RunAtEveryOperation(Fault fault, uint64_t seed) {
    const int64_t operations = OperationsWithoutFault();
    ASSERT_GT(operations, 60);
    for (int64_t at = 1; at <= operations && !HasFailure(); ++at) {
      RunWith(fault, at, seed == 0 ? 0 : seed + static_cast<uint64_t>(at));
    }
  }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / NewId();
};

TEST_F(SqliteFault, KeepsItsPromisesWhenAnyWriteFails) {
  RunAtEveryOperation(Fault::kWriteError, 0);
}

TEST_F(SqliteFault, KeepsItsPromisesWhenAnyWriteIsTorn) {
  RunAtEveryOperation(Fault::kShortWrite, 0);
}

TEST_F(SqliteFault, KeepsItsPromisesWhenAnySyncFails) { RunAtEveryOperation(Fault::kSyncError, 0); }

TEST_F(SqliteFault, KeepsItsPromisesWhenTheDiskIsFullFromAnyWriteOn) {
  RunAtEveryOperation(Fault::kFullDisk, 0);
}

TEST_F(SqliteFault, KeepsItsPromisesWhenThePowerFailsAndNothingUnsyncedArrived) {
  RunAtEveryOperation(Fault::kPowerLoss, 0);
}

TEST_F(SqliteFault, KeepsItsPromisesWhenThePowerFailsAndSomeOfTheUnsyncedArrived) {
  RunAtEveryOperation(Fault::kPowerLoss, 1);
}

TEST_F(SqliteFault, AFailedSyncRefusesTheWholeGroupAndPublishesNothing) {
  FaultyVfs vfs;
  const auto database = Open();
  vfs.FailAt(1, Fault::kSyncError);
  Outcome outcome;
  std::latch reached(1), open(1);
  Runtime runtime({.io_threads = 1});
  std::promise<Status> gate;
  Spawn(runtime.executor(0),
        [](Database& database, std::latch& reached, std::latch& open,
           std::promise<Status>& gate) -> Task<void> {
          Status status = co_await database.Write([&](Transaction&) -> Status {
            reached.count_down();
            open.wait();
            return OkStatus();
          });
          gate.set_value(std::move(status));
        }(**database, reached, open, gate));
  reached.wait();
  std::latch done(5);
  for (int id = 0; id < 5; ++id) {
    Spawn(runtime.executor(0),
          [](Database& database, int64_t id, Outcome& outcome, std::latch& done) -> Task<void> {
            co_await WriteOne(database, id, outcome);
            done.count_down();
          }(**database, id, outcome, done));
  }
  std::promise<void> queued;
  Spawn(runtime.executor(0), [](std::promise<void>& queued) -> Task<void> {
    queued.set_value();
    co_return;
  }(queued));
  queued.get_future().get();
  open.count_down();
  done.wait();
  EXPECT_TRUE(gate.get_future().get().ok()) << "wrote nothing, so it needed no sync";
  EXPECT_EQ(outcome.refused.size(), 5u);
  EXPECT_TRUE(outcome.published.empty());
  EXPECT_TRUE(Stored(**database).empty()) << "a refused write is seen";
  EXPECT_EQ((*database)->statistics().refused_writes, 5);
  EXPECT_EQ(outcome.refused.front().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(outcome.refused.front().message()), HasSubstr("test.db"));
}

TEST_F(SqliteFault, TheLogStaysBoundedWhileReadersComeAndGo) {
  FaultyVfs vfs;  // for its quick sync
  const auto database =
      Database::Open({.path = folder_ / "test.db", .log_limit_pages = 16}, kRows).value();
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop) Stored(*database);
    });
  }
  for (int id = 1; id <= 600; ++id) {
    const Status status = database->WriteSync([&](Transaction& transaction) {
      return transaction.Execute("INSERT INTO entry VALUES (?1, ?2)", id, std::string(3000, 'x'));
    });
    ASSERT_TRUE(status.ok()) << status;
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  // 600 rows are more than 4 MB of log when it is never moved.
  EXPECT_LT(std::filesystem::file_size(folder_ / "test.db-wal"), 1'500'000u);
}

TEST_F(SqliteFault, AReadOnlyFileIsNamedWithTheRemedy) {
  FaultyVfs vfs;
  Open().value().reset();
  vfs.OpenReadOnly();
  const Status status = Open().status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("test.db"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("write permission"));
}

}  // namespace
}  // namespace starling::sql

// Transactions: what is seen, what is durable, in which order, and what happens at the bounds.
#include <gmock/gmock.h>

#include <thread>

#include "platform/storage/sql/conformance/sql_conformance.h"

namespace starling::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(SqlConformance, AnAcknowledgedWriteIsSeenByLaterReadsAndAfterReopening) {
  {
    const auto database = Open();
    ASSERT_TRUE(Insert(*database, 1, "one").ok());
    EXPECT_THAT(Ids(*database), ElementsAre(1));
    ASSERT_TRUE(database->CheckpointSync().ok());
    ASSERT_TRUE(Insert(*database, 2, "two").ok());
  }
  const auto database = Open();
  EXPECT_THAT(Ids(*database), ElementsAre(1, 2));
  EXPECT_TRUE(database->CheckSync().ok());
}

TEST_P(SqlConformance, WritesAndReadsComeBackToTheirCoroutine) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open();
  const StatusOr<int64_t> count = runtime.Block([](Database& database) -> Task<StatusOr<int64_t>> {
    const auto home = std::this_thread::get_id();
    const StatusOr<int64_t> changed =
        co_await database.Write([&](Transaction& transaction) -> StatusOr<int64_t> {
          EXPECT_NE(std::this_thread::get_id(), home);
          STARLING_RETURN_IF_ERROR(Insert(transaction, 1, "one"));
          return transaction.changes();
        });
    EXPECT_EQ(std::this_thread::get_id(), home);
    EXPECT_EQ(changed.value(), 1);
    const Status checked = co_await database.Check();
    EXPECT_TRUE(checked.ok()) << checked;
    const Status moved = co_await database.Checkpoint();
    EXPECT_TRUE(moved.ok()) << moved;
    StatusOr<int64_t> count =
        co_await database.Read([](Connection& connection) -> StatusOr<int64_t> {
          STARLING_ASSIGN_OR_RETURN(const std::optional<int64_t> one,
                                    connection.QueryOne("SELECT count(*) FROM item",
                                                        [](const Row& row) { return row.Int(0); }));
          return one.value_or(-1);
        });
    co_return count;
  }(*database));
  EXPECT_EQ(count.value(), 1);
}

TEST_P(SqlConformance, AWriteThatFailsIsUndoneAloneAndKeepsItsError) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open({.writer_threads = 1});
  Gate gate;
  Started blocking(runtime, *database, gate.Function());
  gate.reached.wait();
  Started first(runtime, *database,
                [](Transaction& transaction) { return Insert(transaction, 1, "one"); });
  Started bad(runtime, *database, [](Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(Insert(transaction, 2, "two"));
    return NotFound("changed my mind");
  });
  Started clash(runtime, *database, [](Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(Insert(transaction, 3, "three"));
    return Insert(transaction, 1, "again");
  });
  Started last(runtime, *database,
               [](Transaction& transaction) { return Insert(transaction, 4, "four"); });
  gate.open.count_down();
  EXPECT_TRUE(blocking.Get().ok());
  EXPECT_TRUE(first.Get().ok());
  EXPECT_EQ(bad.Get(), NotFound("changed my mind"));
  EXPECT_EQ(clash.Get().code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(last.Get().ok());
  EXPECT_THAT(Ids(*database), ElementsAre(1, 4));
}

TEST_P(SqlConformance, WhatIsPostedIsSeenByWhatFollowsAndStored) {
  constexpr int64_t kRows = 2'500;  // more than one pipeline takes
  const auto database = Open();
  const auto count = [](Connection& connection) -> StatusOr<int64_t> {
    STARLING_ASSIGN_OR_RETURN(
        const std::optional<int64_t> rows,
        connection.QueryOne("SELECT COUNT(*) FROM item WHERE amount = 0 OR amount = 7",
                            [](const Row& row) { return row.Int(0); }));
    return rows.value_or(-1);
  };
  const StatusOr<int64_t> seen =
      database->WriteSync([&](Transaction& transaction) -> StatusOr<int64_t> {
        for (int64_t id = 1; id <= kRows; ++id) {
          STARLING_RETURN_IF_ERROR(transaction.Post("INSERT INTO item (id, name) VALUES (?1, ?2)",
                                                    id, fmt::format("{}", id)));
        }
        STARLING_ASSIGN_OR_RETURN(const int64_t rows, count(transaction));
        int64_t sevens = -1, ones = -1, none = -1;
        STARLING_RETURN_IF_ERROR(
            transaction.PostCounted(sevens, "UPDATE item SET amount = 7 WHERE id > 1"));
        STARLING_RETURN_IF_ERROR(
            transaction.PostCounted(ones, "UPDATE item SET amount = 1 WHERE id = 1"));
        STARLING_RETURN_IF_ERROR(
            transaction.PostCounted(none, "UPDATE item SET amount = 1 WHERE id = -1"));
        STARLING_RETURN_IF_ERROR(transaction.Settle());
        EXPECT_EQ(sevens, kRows - 1);
        EXPECT_EQ(ones, 1);
        EXPECT_EQ(none, 0);
        return rows;
      });
  EXPECT_EQ(seen.value(), kRows);
  EXPECT_EQ(database->ReadSync(count).value(), kRows - 1);
}

TEST_P(SqlConformance, AnErrorOfWhatWasPostedIsItsOwnWrites) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open({.writer_threads = 1});
  const auto post = [](Transaction& transaction, int64_t id, const char* name) {
    return transaction.Post("INSERT INTO item (id, name) VALUES (?1, ?2)", id, name);
  };
  Gate gate;
  Started blocking(runtime, *database, gate.Function());
  gate.reached.wait();
  Started first(runtime, *database,
                [&](Transaction& transaction) { return post(transaction, 1, "one"); });
  Started clash(runtime, *database, [&](Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(post(transaction, 2, "two"));
    STARLING_RETURN_IF_ERROR(post(transaction, 3, "one"));
    return post(transaction, 4, "four");
  });
  Started bad(runtime, *database, [&](Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(post(transaction, 5, "five"));
    return NotFound("changed my mind");
  });
  Started wrong(runtime, *database, [](Transaction& transaction) {
    return transaction.Post("INSERT INTO nothing VALUES (?1)", 1);
  });
  Started last(runtime, *database,
               [&](Transaction& transaction) { return post(transaction, 6, "six"); });
  gate.open.count_down();
  EXPECT_TRUE(blocking.Get().ok());
  EXPECT_TRUE(first.Get().ok());
  EXPECT_EQ(clash.Get().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(bad.Get(), NotFound("changed my mind"));
  EXPECT_EQ(wrong.Get().code(), StatusCode::kInternal);
  EXPECT_TRUE(last.Get().ok());
  EXPECT_THAT(Ids(*database), ElementsAre(1, 6));
  // Alone in its transaction too, and the connection is good for more.
  EXPECT_EQ(
      database->WriteSync([&](Transaction& transaction) { return post(transaction, 7, "one"); })
          .code(),
      StatusCode::kAlreadyExists);
  EXPECT_TRUE(
      database->WriteSync([&](Transaction& transaction) { return post(transaction, 7, "seven"); })
          .ok());
  EXPECT_THAT(Ids(*database), ElementsAre(1, 6, 7));
}

TEST_P(SqlConformance, ADeferredForeignKeyThatDoesNotHoldIsItsOwnWritesError) {
  const EmbeddedFile tables[] = {
      {"0001_tables.sql",
       "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT);"
       "CREATE TABLE part (item_id INTEGER REFERENCES item (id) DEFERRABLE INITIALLY DEFERRED);"}};
  Runtime runtime({.io_threads = 1});
  const auto database = Open({.writer_threads = 1}, tables);
  const auto add_part = [](Transaction& transaction, int64_t item) {
    return transaction.Execute("INSERT INTO part VALUES (?1)", item);
  };
  Gate gate;
  Started blocking(runtime, *database, gate.Function());
  gate.reached.wait();
  Started mended(runtime, *database, [&](Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(add_part(transaction, 1));
    return Insert(transaction, 1, "one");
  });
  Started broken(runtime, *database,
                 [&](Transaction& transaction) { return add_part(transaction, 99); });
  Started last(runtime, *database,
               [](Transaction& transaction) { return Insert(transaction, 2, "two"); });
  gate.open.count_down();
  EXPECT_TRUE(blocking.Get().ok());
  EXPECT_TRUE(mended.Get().ok());
  EXPECT_EQ(broken.Get().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(last.Get().ok());
  EXPECT_THAT(Ids(*database), ElementsAre(1, 2));
}

TEST_P(SqlConformance, HooksRunInCommitOrderBeforeTheCallerAndOnlyForWhatIsCommitted) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open({.writer_threads = 1});
  Gate gate;
  Started blocking(runtime, *database, gate.Function());
  gate.reached.wait();
  std::mutex mutex;
  std::vector<int> order;
  const auto note = [&](int id) {
    const std::lock_guard lock(mutex);
    order.push_back(id);
  };
  std::vector<std::unique_ptr<Started>> writes;
  for (int id = 1; id <= 5; ++id) {
    writes.push_back(std::make_unique<Started>(
        runtime, *database, [&note, id](Transaction& transaction) -> Status {
          transaction.OnCommit([&note, id] { note(id); });
          transaction.OnCommit([&note, id] { note(id * 10); });
          if (id == 3) return Cancelled("no");
          return Insert(transaction, id, std::to_string(id));
        }));
  }
  {
    const std::lock_guard lock(mutex);
    EXPECT_THAT(order, IsEmpty());
  }
  gate.open.count_down();
  EXPECT_TRUE(writes.front()->Get().ok());
  {
    const std::lock_guard lock(mutex);
    ASSERT_GE(order.size(), 2u) << "the caller was resumed before its hooks ran";
    EXPECT_EQ(order[0], 1);
    EXPECT_EQ(order[1], 10);
  }
  for (size_t i = 1; i < writes.size(); ++i) EXPECT_EQ(writes[i]->Get().ok(), i != 2);
  EXPECT_THAT(order, ElementsAre(1, 10, 2, 20, 4, 40, 5, 50));
}

TEST_P(SqlConformance, HooksSeeTheirCommitFromOutside) {
  const auto database = Open();
  std::vector<int64_t> seen;
  std::thread reader;
  ASSERT_TRUE(database
                  ->WriteSync([&](Transaction& transaction) -> Status {
                    transaction.OnCommit(
                        [&] { std::thread([&] { seen = Ids(*database); }).join(); });
                    return Insert(transaction, 1, "one");
                  })
                  .ok());
  EXPECT_THAT(seen, ElementsAre(1));
}

TEST_P(SqlConformance, AReadSeesOneSnapshotAndNeverWaitsForWriters) {
  const auto database = Open();
  ASSERT_TRUE(Insert(*database, 1, "one").ok());
  std::latch first_query(1), written(1);
  std::thread writer([&] {
    first_query.wait();
    EXPECT_TRUE(Insert(*database, 2, "two").ok());
    written.count_down();
  });
  const Status status = database->ReadSync([&](Connection& connection) -> Status {
    const auto count = [&] {
      return connection
          .QueryOne("SELECT count(*) FROM item", [](const Row& row) { return row.Int(0); })
          .value();
    };
    EXPECT_EQ(count(), 1);
    first_query.count_down();
    written.wait();
    EXPECT_EQ(count(), 1);
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  writer.join();
  EXPECT_THAT(Ids(*database), ElementsAre(1, 2));
}

TEST_P(SqlConformance, AtTheLimitWritesAreRefusedWithARetryDelayAndTheOthersGoOn) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open({.writer_threads = 1, .write_queue_limit = 3});
  Gate gate;
  Started blocking(runtime, *database, gate.Function());
  gate.reached.wait();
  std::vector<std::unique_ptr<Started>> waiting;
  for (int id = 1; id <= 3; ++id) {
    waiting.push_back(std::make_unique<Started>(runtime, *database, [id](Transaction& transaction) {
      return Insert(transaction, id, std::to_string(id));
    }));
  }
  // On the one io thread, so after the three.
  Started refused(runtime, *database,
                  [](Transaction& transaction) { return Insert(transaction, 4, "4"); });
  const Status status = refused.Get();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Reason(status), reason::kOverloaded);
  EXPECT_TRUE(RetryAfter(status).has_value());
  EXPECT_EQ(database->statistics().queued_writes, 3);
  gate.open.count_down();
  for (const auto& write : waiting) EXPECT_TRUE(write->Get().ok());
  EXPECT_THAT(Ids(*database), ElementsAre(1, 2, 3));
  EXPECT_EQ(database->statistics().refused_writes, 1);
}

TEST_P(SqlConformance, AtTheLimitReadsAreRefusedToo) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open({.reader_threads = 1, .read_queue_limit = 1});
  std::latch reached(1), open(1);
  std::thread holder([&] {
    EXPECT_TRUE(database
                    ->ReadSync([&](Connection&) -> Status {
                      reached.count_down();
                      open.wait();
                      return OkStatus();
                    })
                    .ok());
  });
  reached.wait();
  const auto read = [](Database& database, std::promise<Status>& promise) -> Task<void> {
    Status status = co_await database.Read([](Connection&) -> Status { return OkStatus(); });
    promise.set_value(std::move(status));
  };
  std::promise<Status> waits, refused;
  Spawn(runtime.executor(0), read(*database, waits));
  Spawn(runtime.executor(0), read(*database, refused));
  const Status status = refused.get_future().get();
  EXPECT_EQ(Reason(status), reason::kOverloaded) << status;
  open.count_down();
  EXPECT_TRUE(waits.get_future().get().ok());
  holder.join();
}

TEST_P(SqlConformance, WritesThatWaitTogetherShareACommit) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open({.writer_threads = 1});
  Gate gate;
  Started blocking(runtime, *database, gate.Function());
  gate.reached.wait();
  std::vector<std::unique_ptr<Started>> writes;
  for (int id = 1; id <= 40; ++id) {
    writes.push_back(std::make_unique<Started>(runtime, *database, [id](Transaction& transaction) {
      return Insert(transaction, id, std::to_string(id));
    }));
  }
  // All forty are queued once this one, behind them on the same io thread, is.
  std::promise<void> queued;
  Spawn(runtime.executor(0), [](std::promise<void>& queued) -> Task<void> {
    queued.set_value();
    co_return;
  }(queued));
  queued.get_future().get();
  const int64_t before = database->statistics().commits;
  gate.open.count_down();
  for (const auto& write : writes) EXPECT_TRUE(write->Get().ok());
  EXPECT_EQ(database->statistics().commits, before + 2);
  EXPECT_EQ(database->statistics().writes, 41);
  EXPECT_EQ(Ids(*database).size(), 40u);
}

TEST_P(SqlConformance, ManyWritersLoseNothingAndCountEachOnce) {
  const auto database = Open();
  ASSERT_TRUE(Insert(*database, 1, "counter").ok());
  constexpr int kThreads = 8, kEach = 50;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) {
        EXPECT_TRUE(database
                        ->WriteSync([](Transaction& transaction) -> Status {
                          return transaction.Execute(
                              "UPDATE item SET amount = amount + 1 WHERE id = 1");
                        })
                        .ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto amount = database->ReadSync([](Connection& connection) {
    return connection.QueryOne("SELECT amount FROM item",
                               [](const Row& row) { return row.Int(0); });
  });
  EXPECT_EQ(amount.value(), kThreads * kEach);
}

// Side by side or not: each write reads what it changes, and its hook says in which order.
TEST_P(SqlConformance, HooksOfWritesThatDependOnEachOtherKeepTheirOrder) {
  Runtime runtime({.io_threads = 1});
  const auto database = Open();
  ASSERT_TRUE(Insert(*database, 1, "counter").ok());
  std::vector<int64_t> order;  // hooks run one after the other: no lock
  std::vector<std::unique_ptr<Started>> writes;
  for (int i = 0; i < 60; ++i) {
    writes.push_back(
        std::make_unique<Started>(runtime, *database, [&](Transaction& transaction) -> Status {
          STARLING_ASSIGN_OR_RETURN(
              const std::optional<int64_t> amount,
              transaction.QueryOne("SELECT amount FROM item WHERE id = 1",
                                   [](const Row& row) { return row.Int(0); }));
          transaction.OnCommit([&order, amount = *amount] { order.push_back(amount); });
          return transaction.Execute("UPDATE item SET amount = ?1 WHERE id = 1", *amount + 1);
        }));
  }
  for (const auto& write : writes) EXPECT_TRUE(write->Get().ok());
  ASSERT_EQ(order.size(), 60u);
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], static_cast<int64_t>(i));
}

// What each alone may do, both must not: one has to see the other's row.
TEST_P(SqlConformance, WritesAreAsIfOneAfterTheOther) {
  Runtime runtime({.io_threads = 2});
  const auto database = Open();
  std::vector<std::unique_ptr<Started>> writes;
  for (int id = 1; id <= 40; ++id) {
    writes.push_back(
        std::make_unique<Started>(runtime, *database, [id](Transaction& transaction) -> Status {
          STARLING_ASSIGN_OR_RETURN(
              const std::optional<int64_t> count,
              transaction.QueryOne("SELECT count(*) FROM item",
                                   [](const Row& row) { return row.Int(0); }));
          if (*count >= 3) return ResourceExhausted("three are enough");
          return Insert(transaction, id, std::to_string(id));
        }));
  }
  int refused = 0;
  for (const auto& write : writes) {
    const Status status = write->Get();
    if (status.ok()) continue;
    EXPECT_EQ(status, ResourceExhausted("three are enough"));
    ++refused;
  }
  EXPECT_EQ(refused, 37);
  EXPECT_EQ(Ids(*database).size(), 3u);
}

TEST_P(SqlConformance, ATableMadeByAWriteIsThereForAll) {
  const auto database = Open();
  const auto other = Open();
  constexpr std::string_view kTable =
      "CREATE TABLE IF NOT EXISTS made (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB NOT NULL)";
  std::vector<std::thread> threads;
  for (Database* each : {database.get(), other.get()}) {
    threads.emplace_back([&, each] {
      const Status status = each->WriteSync([&](Transaction& transaction) -> Status {
        STARLING_RETURN_IF_ERROR(transaction.Execute(kTable));
        return transaction.Execute("INSERT INTO made (data) VALUES (?1)", BlobView{"x"});
      });
      EXPECT_TRUE(status.ok()) << status;
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto count = database->ReadSync([](Connection& connection) {
    return connection.QueryOne("SELECT count(*) FROM made",
                               [](const Row& row) { return row.Int(0); });
  });
  EXPECT_EQ(count.value(), 2);
}

TEST_P(SqlConformance, ALockIsHadAndGivenBack) {
  const auto database = Open();
  const auto lock = database->MakeLock("relay");
  EXPECT_TRUE(lock->TryAcquire().value());
  if (database->IsShared()) {
    const auto database2 = Open();
    const auto rival = database2->MakeLock("relay");
    EXPECT_FALSE(rival->TryAcquire().value());
    EXPECT_TRUE(database2->MakeLock("another")->TryAcquire().value());
    lock->Release();
    EXPECT_TRUE(rival->TryAcquire().value());
    rival->Release();
  }
  lock->Release();
  EXPECT_TRUE(lock->TryAcquire().value());
}

TEST_P(SqlConformance, BlockingOnItselfIsRefused) {
  const auto database = Open();
  Status in_write, in_read, in_hook, check;
  ASSERT_TRUE(database
                  ->WriteSync([&](Transaction& transaction) -> Status {
                    in_write = Insert(*database, 1, "one");
                    transaction.OnCommit([&] { in_hook = Insert(*database, 2, "two"); });
                    return OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(database
                  ->ReadSync([&](Connection&) -> Status {
                    in_read = database->ReadSync([](Connection&) { return OkStatus(); });
                    check = database->CheckSync();
                    return OkStatus();
                  })
                  .ok());
  for (const Status& status : {in_write, in_read, in_hook, check}) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("wait for itself"));
  }
}

TEST_P(SqlConformance, DestructionRunsWhatWasAccepted) {
  Runtime runtime({.io_threads = 1});
  auto database = Open({.writer_threads = 1});
  Gate gate;
  Started blocking(runtime, *database, gate.Function());
  gate.reached.wait();
  Started behind(runtime, *database,
                 [](Transaction& transaction) { return Insert(transaction, 1, "one"); });
  std::promise<void> queued;
  Spawn(runtime.executor(0), [](std::promise<void>& queued) -> Task<void> {
    queued.set_value();
    co_return;
  }(queued));
  queued.get_future().get();
  gate.open.count_down();
  database.reset();
  EXPECT_TRUE(blocking.Get().ok());
  EXPECT_TRUE(behind.Get().ok());
  EXPECT_THAT(Ids(*Open()), ElementsAre(1));
}

}  // namespace
}  // namespace starling::sql

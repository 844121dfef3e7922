#include "platform/messaging/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <latch>
#include <thread>

#include "platform/base/id.h"
#include "platform/messaging/embedded_event_log.h"
#include "platform/messaging/inbox.h"
#include "platform/storage/sql/postgres/test_server.h"

namespace starling::messaging {
namespace {

enum class On { kEmbedded, kPostgres };

class OutboxTest : public testing::TestWithParam<On> {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / NewId();
    std::filesystem::create_directories(folder_);
    if (GetParam() == On::kPostgres) url_ = sql::TestServer::Get().MakeDatabase();
    database_ = OpenDatabase();
    log_ = *OpenEmbeddedEventLog(folder_ / "events", {}, runtime_, telemetry_);
  }
  void TearDown() override {
    log_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  std::unique_ptr<sql::Database> OpenDatabase() {
    return *sql::Database::Open({.path = folder_ / "t.sqlite", .url = url_}, {});
  }
  Status Add(Outbox& outbox, const std::string& id, const Status& outcome = OkStatus()) {
    return Add(*database_, outbox, id, outcome);
  }
  static Status Add(sql::Database& database, Outbox& outbox, const std::string& id,
                    const Status& outcome = OkStatus()) {
    return database.WriteSync([&](sql::Transaction& transaction) -> Status {
      Event event{.id = id, .source = "/t", .type = "t.v1"};
      STARLING_RETURN_IF_ERROR(outbox.Add(transaction, "t", event));
      return outcome;
    });
  }
  // Follows the topic until it has so many events.
  std::vector<std::string> WaitFor(size_t count) {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::string> ids;
    auto subscription =
        log_->Subscribe("t", NewId(), {}, [&](std::span<const Delivered> events) -> Task<Status> {
          const std::lock_guard lock(mutex);
          for (const Delivered& event : events) ids.push_back(event.event.id);
          changed.notify_all();
          co_return OkStatus();
        });
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(30), [&] { return ids.size() >= count; });
    lock.unlock();
    (*subscription)->Stop();
    return ids;
  }

  std::filesystem::path folder_;
  std::string url_;
  Runtime runtime_{{.io_threads = 2}};
  telemetry::Telemetry telemetry_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<EventLog> log_;
};

TEST_P(OutboxTest, AnEventFollowsItsTransactionInOrder) {
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {.batch = 3});
  outbox->Start();
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back("e" + std::to_string(i));
    ASSERT_TRUE(Add(*outbox, expected.back()).ok());
  }
  EXPECT_EQ(WaitFor(20), expected);
}

TEST_P(OutboxTest, AnEventOfATransactionThatFailedNeverWas) {
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {});
  outbox->Start();
  EXPECT_FALSE(Add(*outbox, "no", Aborted("no")).ok());
  ASSERT_TRUE(Add(*outbox, "yes").ok());
  EXPECT_THAT(WaitFor(1), testing::ElementsAre("yes"));
}

TEST_P(OutboxTest, WhatWasLeftByACrashIsMovedAtTheNextStart) {
  {
    auto outbox = *Outbox::Open(*database_, *log_, runtime_, {});
    ASSERT_TRUE(Add(*outbox, "left").ok());  // the relay was never started
  }
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {});
  EXPECT_EQ(outbox->backlog(), 1);
  outbox->Start();
  EXPECT_THAT(WaitFor(1), testing::ElementsAre("left"));
}

TEST_P(OutboxTest, RefusesTheChangeWhenTooManyEventsWait) {
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {.backlog_limit = 2});
  ASSERT_TRUE(Add(*outbox, "a").ok());
  ASSERT_TRUE(Add(*outbox, "b").ok());
  EXPECT_EQ(Reason(Add(*outbox, "c")), reason::kOverloaded);
}

TEST_P(OutboxTest, InboxKnowsWhatItHasSeenAndForgetsWithTheTransaction) {
  auto inbox = *Inbox::Open(*database_);
  const auto first = [&](const std::string& id, const Status& outcome) {
    bool result = false;
    (void)database_->WriteSync([&](sql::Transaction& transaction) -> Status {
      STARLING_ASSIGN_OR_RETURN(result, inbox->FirstTime(transaction, id));
      return outcome;
    });
    return result;
  };
  EXPECT_TRUE(first("a", Aborted("undone")));
  EXPECT_TRUE(first("a", OkStatus()));
  EXPECT_FALSE(first("a", OkStatus()));
  EXPECT_TRUE(first("b", OkStatus()));
}

INSTANTIATE_TEST_SUITE_P(Engines, OutboxTest, testing::Values(On::kEmbedded, On::kPostgres),
                         [](const testing::TestParamInfo<On>& info) {
                           return info.param == On::kEmbedded ? "embedded" : "postgres";
                         });

// What only a database has that several processes write to.
class SharedOutboxTest : public OutboxTest {};

TEST_P(SharedOutboxTest, ProcessesTakeTurnsAndDeliverEachEventOnce) {
  const auto other = OpenDatabase();
  constexpr int kEach = 100;
  std::vector<std::string> expected;
  {
    auto mine = *Outbox::Open(*database_, *log_, runtime_, {.batch = 7});
    auto theirs = *Outbox::Open(*other, *log_, runtime_, {.batch = 7});
    mine->Start();
    theirs->Start();
    std::thread writer([&] {
      for (int i = 0; i < kEach; ++i)
        EXPECT_TRUE(Add(*other, *theirs, "theirs" + std::to_string(i)).ok());
    });
    for (int i = 0; i < kEach; ++i)
      EXPECT_TRUE(Add(*database_, *mine, "mine" + std::to_string(i)).ok());
    writer.join();
    EXPECT_EQ(WaitFor(2 * kEach).size(), size_t{2 * kEach});
    mine->Stop();
    theirs->Stop();
    EXPECT_EQ(mine->backlog(), 0);
    EXPECT_EQ(theirs->backlog(), 0);
  }
  ASSERT_TRUE(Add(*Outbox::Open(*database_, *log_, runtime_, {}).value(), "left").ok());
  const auto last = *Outbox::Open(*database_, *log_, runtime_, {});
  last->Start();
  std::vector<std::string> ids = WaitFor(2 * kEach + 1);
  ASSERT_EQ(ids.size(), size_t{2 * kEach + 1}) << "an event was delivered twice";
  EXPECT_EQ(ids.back(), "left");
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
}

// Its number was drawn before, and it commits after the relay has moved a later one.
TEST_P(SharedOutboxTest, AnEventWhoseTransactionTakesLongerIsNotLost) {
  const auto outbox = *Outbox::Open(*database_, *log_, runtime_, {});
  outbox->Start();
  std::latch drawn(1), go_on(1);
  std::thread slow([&] {
    const Status status = database_->WriteSync([&](sql::Transaction& transaction) -> Status {
      const Event event{.id = "slow", .source = "/t", .type = "t.v1"};
      STARLING_RETURN_IF_ERROR(outbox->Add(transaction, "t", event));
      drawn.count_down();
      go_on.wait();
      return OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
  });
  drawn.wait();
  EXPECT_TRUE(Add(*outbox, "quick").ok());
  EXPECT_THAT(WaitFor(1), testing::ElementsAre("quick"));
  while (outbox->backlog() > 0) std::this_thread::yield();
  go_on.count_down();
  slow.join();
  EXPECT_THAT(WaitFor(2), testing::ElementsAre("quick", "slow"));
}

INSTANTIATE_TEST_SUITE_P(Engines, SharedOutboxTest, testing::Values(On::kPostgres),
                         [](const testing::TestParamInfo<On>&) { return "postgres"; });

}  // namespace
}  // namespace starling::messaging

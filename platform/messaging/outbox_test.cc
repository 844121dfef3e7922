#include "platform/messaging/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "platform/base/id.h"
#include "platform/messaging/embedded_event_log.h"
#include "platform/messaging/inbox.h"

namespace starling::messaging {
namespace {

class OutboxTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / NewId();
    std::filesystem::create_directories(folder_);
    database_ = *sql::Database::Open({.path = folder_ / "t.sqlite"}, {});
    log_ = *OpenEmbeddedEventLog(folder_ / "events", {}, runtime_, telemetry_);
  }
  void TearDown() override {
    log_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  Status Add(Outbox& outbox, const std::string& id, const Status& outcome = OkStatus()) {
    return database_->WriteSync([&](sql::Transaction& transaction) -> Status {
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
  Runtime runtime_{{.io_threads = 2}};
  telemetry::Telemetry telemetry_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<EventLog> log_;
};

TEST_F(OutboxTest, AnEventFollowsItsTransactionInOrder) {
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {.batch = 3});
  outbox->Start();
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    expected.push_back("e" + std::to_string(i));
    ASSERT_TRUE(Add(*outbox, expected.back()).ok());
  }
  EXPECT_EQ(WaitFor(20), expected);
}

TEST_F(OutboxTest, AnEventOfATransactionThatFailedNeverWas) {
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {});
  outbox->Start();
  EXPECT_FALSE(Add(*outbox, "no", Aborted("no")).ok());
  ASSERT_TRUE(Add(*outbox, "yes").ok());
  EXPECT_THAT(WaitFor(1), testing::ElementsAre("yes"));
}

TEST_F(OutboxTest, WhatWasLeftByACrashIsMovedAtTheNextStart) {
  {
    auto outbox = *Outbox::Open(*database_, *log_, runtime_, {});
    ASSERT_TRUE(Add(*outbox, "left").ok());  // the relay was never started
  }
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {});
  EXPECT_EQ(outbox->backlog(), 1);
  outbox->Start();
  EXPECT_THAT(WaitFor(1), testing::ElementsAre("left"));
}

TEST_F(OutboxTest, RefusesTheChangeWhenTooManyEventsWait) {
  auto outbox = *Outbox::Open(*database_, *log_, runtime_, {.backlog_limit = 2});
  ASSERT_TRUE(Add(*outbox, "a").ok());
  ASSERT_TRUE(Add(*outbox, "b").ok());
  EXPECT_EQ(Reason(Add(*outbox, "c")), reason::kOverloaded);
}

TEST_F(OutboxTest, InboxKnowsWhatItHasSeenAndForgetsWithTheTransaction) {
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

}  // namespace
}  // namespace starling::messaging

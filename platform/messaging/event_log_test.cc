// The embedded adapter: the port's promises, and what it does when files or processes fail.
#include "platform/messaging/embedded_event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "platform/base/id.h"
#include "platform/messaging/conformance/event_log_conformance.h"
#include "platform/messaging/record.h"
#include "platform/messaging/topic_files.h"

namespace starling::messaging {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EventLogTest : public testing::Test {
 protected:
  void SetUp() override { folder_ = std::filesystem::path(testing::TempDir()) / NewId(); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::unique_ptr<EventLog> Open(EmbeddedEventLogOptions options = {}) {
    auto log = OpenEmbeddedEventLog(folder_, options, runtime_, telemetry_);
    EXPECT_TRUE(log.ok()) << log.status();
    return log.ok() ? *std::move(log) : nullptr;
  }
  Status Append(EventLog& log, Event event) {
    return runtime_.Block(log.Append("t", std::move(event))).status();
  }
  static std::vector<std::string> Ids(const EventLog& log, const std::string& topic = "t") {
    std::vector<std::string> ids;
    const auto events = log.Read(topic, 1, 1'000'000);
    if (events.ok()) {
      for (const Delivered& event : *events) ids.push_back(event.event.id);
    }
    return ids;
  }

  std::filesystem::path folder_;
  Runtime runtime_{{.io_threads = 2}};
  telemetry::Telemetry telemetry_;
};

class Folder final : public Location {
 public:
  ~Folder() override { std::filesystem::remove_all(path_); }
  StatusOr<std::unique_ptr<EventLog>> Open(LogBounds bounds, Runtime& runtime,
                                           telemetry::Telemetry& telemetry) override {
    return OpenEmbeddedEventLog(path_, {.max_lag = bounds.max_lag, .max_delay = bounds.max_delay},
                                runtime, telemetry);
  }

 private:
  const std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / NewId();
};

INSTANTIATE_TEST_SUITE_P(
    Embedded, EventLogConformance,
    testing::Values(Adapter{"embedded", [] { return std::make_unique<Folder>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

TEST_F(EventLogTest, WhatWasAppendedIsThereAfterReopeningAndGoesOn) {
  {
    auto log = Open();
    EXPECT_TRUE(Append(*log, MakeEvent("a")).ok());
    EXPECT_TRUE(Append(*log, MakeEvent("b")).ok());
  }
  auto log = Open();
  EXPECT_TRUE(Append(*log, MakeEvent("c")).ok());
  EXPECT_THAT(Ids(*log), ElementsAre("a", "b", "c"));
}

TEST_F(EventLogTest, ATailCutAtAnyByteIsRemovedAndTheRestStays) {
  { ASSERT_TRUE(Append(*Open(), MakeEvent("a", "k", "x")).ok()); }
  const auto path = folder_ / "t" / fmt::format("{:020}.log", 1);
  const auto whole = std::filesystem::file_size(path);
  { ASSERT_TRUE(Append(*Open(), MakeEvent("b", "k", "y")).ok()); }
  const auto both = std::filesystem::file_size(path);
  for (auto size = both - 1; size >= whole; --size) {
    std::filesystem::resize_file(path, size);
    auto log = Open();
    ASSERT_NE(log, nullptr);
    EXPECT_THAT(Ids(*log), ElementsAre("a")) << size;
    EXPECT_TRUE(Append(*log, MakeEvent("c")).ok());
    log.reset();
    std::filesystem::resize_file(path, whole);
    std::ofstream(path, std::ios::app | std::ios::binary) << std::string(both - whole, '\x01');
  }
}

TEST_F(EventLogTest, DamageBeforeLaterEventsIsRefusedAndNamed) {
  {
    auto log = Open();
    for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Append(*log, MakeEvent(id)).ok());
  }
  const auto path = folder_ / "t" / fmt::format("{:020}.log", 1);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) / 2));
  file.put('\x7f');
  file.close();
  const auto log = OpenEmbeddedEventLog(folder_, {}, runtime_, telemetry_);
  EXPECT_EQ(log.status().code(), StatusCode::kDataLoss);
  EXPECT_THAT(log.status().message(), HasSubstr(path.string()));
}

TEST_F(EventLogTest, FilesRollAndOldOnesGoOnceEveryGroupReadThem) {
  auto files = TopicFiles::Open(
      folder_, {.segment_bytes = 200, .retain_bytes = 1, .retain_for = std::chrono::hours(1)});
  ASSERT_TRUE(files.ok());
  for (uint64_t i = 1; i <= 10; ++i) {
    std::string records;
    AppendRecord(i, 0, MakeEvent("e" + std::to_string(i), "", std::string(100, 'x')), records);
    ASSERT_TRUE((*files)->Write(records, 1).ok());
    ASSERT_TRUE((*files)->Sync().ok());
  }
  EXPECT_EQ((*files)->begin(), 1u);
  ASSERT_TRUE((*files)->Retain(6, SystemClock().Now()).ok());
  EXPECT_LE((*files)->begin(), 6u);
  EXPECT_GT((*files)->begin(), 1u);
  TopicFiles::Cursor cursor{.sequence = 6};
  const auto events = (*files)->Read(cursor, 100);
  ASSERT_TRUE(events.ok()) << events.status();
  EXPECT_EQ(events->front().event.id, "e6");
  EXPECT_EQ(events->size(), 5u);
}

TEST_F(EventLogTest, AFullDiskRefusesAppendsAndTheLogGoesOnOnceThereIsRoom) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    auto files = TopicFiles::Open(folder_, {});
    std::string record;
    AppendRecord(1, 0, MakeEvent("a"), record);
    if (!files.ok() || !(*files)->Write(record, 1).ok() || !(*files)->Sync().ok()) _exit(1);
    rlimit bound{record.size() + 10, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &bound);
    std::string second;
    AppendRecord(2, 0, MakeEvent("b"), second);
    const Status full = (*files)->Write(second, 1);
    if (full.code() != StatusCode::kResourceExhausted) _exit(2);
    bound.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &bound);
    if (!(*files)->Write(second, 1).ok() || !(*files)->Sync().ok()) _exit(3);
    _exit(0);
  }
  int exit_code = 0;
  waitpid(child, &exit_code, 0);
  ASSERT_EQ(WEXITSTATUS(exit_code), 0);
  auto files = TopicFiles::Open(folder_, {});
  ASSERT_TRUE(files.ok()) << files.status();
  TopicFiles::Cursor cursor;
  EXPECT_EQ((*files)->Read(cursor, 10)->size(), 2u);
}

TEST_F(EventLogTest, EveryAcknowledgedEventIsThereOnceAfterKill9) {
  for (int round = 0; round < 10; ++round) {
    std::filesystem::remove_all(folder_);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      Runtime runtime({.io_threads = 2});
      telemetry::Telemetry telemetry;
      auto log = OpenEmbeddedEventLog(folder_, {}, runtime, telemetry);
      for (int w = 0; w < 8; ++w) {
        Spawn(runtime.NextExecutor(), [](EventLog& log, int out) -> Task<void> {
          while (true) {
            const std::string id = NewId();
            const auto done = co_await log.Append("t", MakeEvent(id));
            if (!done.ok() || write(out, (id + "\n").data(), 33) < 0) _exit(1);
          }
        }(**log, ends[1]));
      }
      pause();
    }
    close(ends[1]);
    std::string acknowledged;
    char buffer[330];
    const size_t until = 33 * (5 + FastRandom() % 300);
    while (acknowledged.size() < until) {
      const ssize_t n = read(ends[0], buffer, sizeof buffer);
      ASSERT_GT(n, 0);
      acknowledged.append(buffer, static_cast<size_t>(n));
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
      acknowledged.append(buffer, static_cast<size_t>(n));
    close(ends[0]);
    auto log = Open();
    ASSERT_NE(log, nullptr);
    const std::vector<std::string> there = Ids(*log);
    const std::multiset<std::string> ids(there.begin(), there.end());
    for (size_t at = 0; at + 33 <= acknowledged.size(); at += 33) {
      EXPECT_EQ(ids.count(acknowledged.substr(at, 32)), 1u);
    }
  }
}

}  // namespace
}  // namespace starling::messaging

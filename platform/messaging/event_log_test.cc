// The port's promises, and what the embedded adapter does when files or processes fail.
#include "platform/messaging/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "platform/base/id.h"
#include "platform/messaging/embedded_event_log.h"
#include "platform/messaging/record.h"
#include "platform/messaging/topic_files.h"

namespace starling::messaging {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Event Make(std::string id, std::string key = "", std::string data = "") {
  Event event{.id = std::move(id), .source = "/test", .type = "starling.test.v1"};
  event.partitionkey = std::move(key);
  event.data = std::move(data);
  return event;
}

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

// Collects what a group is given, and lets the test wait for so much of it.
class Collector {
 public:
  EventLog::Handler Handler() {
    return [this](std::span<const Delivered> events) -> Task<Status> {
      const std::lock_guard lock(mutex_);
      for (const Delivered& event : events) seen_.push_back(event);
      changed_.notify_all();
      co_return OkStatus();
    };
  }
  std::vector<Delivered> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return seen_.size() >= count; });
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Delivered> seen_;
};

TEST_F(EventLogTest, WhatWasAppendedIsThereAfterReopeningAndGoesOn) {
  {
    auto log = Open();
    EXPECT_TRUE(Append(*log, Make("a")).ok());
    EXPECT_TRUE(Append(*log, Make("b")).ok());
  }
  auto log = Open();
  EXPECT_TRUE(Append(*log, Make("c")).ok());
  EXPECT_THAT(Ids(*log), ElementsAre("a", "b", "c"));
}

TEST_F(EventLogTest, KeepsTheOrderOfEachKey) {
  auto log = Open();
  Collector collector;
  auto subscription = log->Subscribe("t", "g", {.max_batch = 7}, collector.Handler());
  ASSERT_TRUE(subscription.ok());
  for (int i = 0; i < 50; ++i) {
    std::vector<Event> batch;
    for (int k = 0; k < 10; ++k)
      batch.push_back(Make(NewId(), "key-" + std::to_string(k), std::to_string(i)));
    ASSERT_TRUE(runtime_.Block(log->AppendBatch("t", batch)).ok());
  }
  std::map<std::string, std::vector<int>> by_key;
  std::map<std::string, std::set<int>> partitions;
  for (const Delivered& event : collector.WaitFor(500)) {
    by_key[event.event.partitionkey].push_back(std::stoi(event.event.data));
    partitions[event.event.partitionkey].insert(event.position.partition);
  }
  ASSERT_EQ(by_key.size(), 10u);
  for (const auto& [key, values] : by_key) {
    EXPECT_EQ(values.size(), 50u);
    EXPECT_TRUE(std::is_sorted(values.begin(), values.end())) << key;
    EXPECT_EQ(partitions[key].size(), 1u);
  }
}

TEST_F(EventLogTest, AGroupGoesOnWhereItWasAndAnotherBeginsAtTheStart) {
  auto log = Open();
  ASSERT_TRUE(Append(*log, Make("a")).ok());
  {
    Collector collector;
    auto subscription = log->Subscribe("t", "g", {}, collector.Handler());
    EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  }
  ASSERT_TRUE(Append(*log, Make("b")).ok());
  EXPECT_EQ(*log->Lag("t", "g"), 1u);
  log.reset();
  log = Open();
  Collector same, other;
  auto again = log->Subscribe("t", "g", {}, same.Handler());
  auto fresh = log->Subscribe("t", "h", {}, other.Handler());
  EXPECT_EQ(same.WaitFor(1).front().event.id, "b");
  EXPECT_EQ(other.WaitFor(2).front().event.id, "a");
  EXPECT_EQ(log->Subscribe("t", "g", {}, same.Handler()).status().code(),
            StatusCode::kAlreadyExists);
}

TEST_F(EventLogTest, APoisonedEventGoesToTheDeadLettersAndKeepsNobodyBack) {
  auto log = Open();
  Collector collector, dead;
  std::atomic<int> tries{0};
  auto subscription =
      log->Subscribe("t", "g", {.max_attempts = 3, .first_pause = std::chrono::microseconds(1)},
                     [&](std::span<const Delivered> events) -> Task<Status> {
                       for (const Delivered& event : events) {
                         if (event.event.id == "poison") {
                           ++tries;
                           co_return InvalidArgument("cannot be read");
                         }
                       }
                       co_return co_await collector.Handler()(events);
                     });
  auto dead_letters = log->Subscribe("t.dead-letter", "g", {}, dead.Handler());
  std::vector<Event> batch = {Make("a"), Make("poison"), Make("b")};
  ASSERT_TRUE(runtime_.Block(log->AppendBatch("t", batch)).ok());
  const auto good = collector.WaitFor(2);
  ASSERT_EQ(good.size(), 2u);
  EXPECT_EQ(good[1].event.id, "b");
  const auto letters = dead.WaitFor(1);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].event.id, "poison");
  EXPECT_THAT(letters[0].event.extensions,
              testing::Contains(testing::Pair("starlingerror", HasSubstr("cannot be read"))));
  EXPECT_EQ(tries, 4);  // once in the batch, three times alone
}

TEST_F(EventLogTest, AFailingDependencyIsWaitedFor) {
  auto log = Open();
  Collector collector;
  std::atomic<int> calls{0};
  auto subscription =
      log->Subscribe("t", "g", {.max_attempts = 2, .first_pause = std::chrono::microseconds(1)},
                     [&](std::span<const Delivered> events) -> Task<Status> {
                       if (++calls < 8) co_return Unavailable("the database is away");
                       co_return co_await collector.Handler()(events);
                     });
  ASSERT_TRUE(Append(*log, Make("a")).ok());
  EXPECT_EQ(collector.WaitFor(1).size(), 1u);
}

TEST_F(EventLogTest, StorageThatFailsIsWaitedForWhateverItsCode) {
  auto log = Open();
  Collector collector, dead;
  std::atomic<int> calls{0};
  auto subscription =
      log->Subscribe("t", "g", {.max_attempts = 2, .first_pause = std::chrono::microseconds(1)},
                     [&](std::span<const Delivered> events) -> Task<Status> {
                       const int call = ++calls;
                       if (call < 5) co_return DiskFull("/srv/profile.sqlite");
                       if (call < 9) co_return StorageFailed(FailedPrecondition("is read-only"));
                       co_return co_await collector.Handler()(events);
                     });
  auto dead_letters = log->Subscribe("t.dead-letter", "g", {}, dead.Handler());
  ASSERT_TRUE(Append(*log, Make("a")).ok());
  EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  // A poisoned event after it is the only one among the dead letters.
  calls = 0;
  subscription->reset();
  auto poisoned = log->Subscribe(
      "t", "g", {.max_attempts = 1, .first_pause = std::chrono::microseconds(1)},
      [](std::span<const Delivered>) -> Task<Status> { co_return InvalidArgument("no"); });
  ASSERT_TRUE(Append(*log, Make("b")).ok());
  const auto letters = dead.WaitFor(1);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].event.id, "b");
}

TEST_F(EventLogTest, ASlowGroupSlowsThenRefusesItsProducer) {
  auto log = Open({.max_lag = 5, .max_delay = std::chrono::milliseconds(20)});
  std::atomic<bool> open{false};
  auto subscription = log->Subscribe("t", "slow", {.first_pause = std::chrono::microseconds(1)},
                                     [&](std::span<const Delivered>) -> Task<Status> {
                                       if (!open) co_return Unavailable("not yet");
                                       co_return OkStatus();
                                     });
  Status status;
  int accepted = 0;
  for (; accepted < 100 && status.ok(); ++accepted) status = Append(*log, Make(NewId()));
  EXPECT_EQ(accepted, 6);
  EXPECT_EQ(Reason(status), reason::kOverloaded);
  EXPECT_THAT(status.message(), HasSubstr("group 'slow' is 5 events behind, its limit is 5"));
  EXPECT_TRUE(RetryAfter(status).has_value());
  open = true;
  do {
    status = Append(*log, Make(NewId()));
  } while (!status.ok());
}

TEST_F(EventLogTest, RefusesNamesAndBatchesThatAreWrong) {
  auto log = Open();
  EXPECT_FALSE(runtime_.Block(log->Append("../evil", Make("a"))).ok());
  EXPECT_FALSE(log->Subscribe("t", "a/b", {}, {}).ok());
  EXPECT_EQ(FieldViolations(Append(*log, Make(""))).front().field, "id");
  EXPECT_FALSE(runtime_.Block(log->AppendBatch("t", std::vector<Event>(1'001, Make("a")))).ok());
  EXPECT_EQ(log->Lag("nowhere", "g").status().code(), StatusCode::kNotFound);
}

TEST_F(EventLogTest, ATailCutAtAnyByteIsRemovedAndTheRestStays) {
  { ASSERT_TRUE(Append(*Open(), Make("a", "k", "x")).ok()); }
  const auto path = folder_ / "t" / fmt::format("{:020}.log", 1);
  const auto whole = std::filesystem::file_size(path);
  { ASSERT_TRUE(Append(*Open(), Make("b", "k", "y")).ok()); }
  const auto both = std::filesystem::file_size(path);
  for (auto size = both - 1; size >= whole; --size) {
    std::filesystem::resize_file(path, size);
    auto log = Open();
    ASSERT_NE(log, nullptr);
    EXPECT_THAT(Ids(*log), ElementsAre("a")) << size;
    EXPECT_TRUE(Append(*log, Make("c")).ok());
    log.reset();
    std::filesystem::resize_file(path, whole);
    std::ofstream(path, std::ios::app | std::ios::binary) << std::string(both - whole, '\x01');
  }
}

TEST_F(EventLogTest, DamageBeforeLaterEventsIsRefusedAndNamed) {
  {
    auto log = Open();
    for (const char* id : {"a", "b", "c"}) ASSERT_TRUE(Append(*log, Make(id)).ok());
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
    AppendRecord(i, 0, Make("e" + std::to_string(i), "", std::string(100, 'x')), records);
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
    AppendRecord(1, 0, Make("a"), record);
    if (!files.ok() || !(*files)->Write(record, 1).ok() || !(*files)->Sync().ok()) _exit(1);
    rlimit bound{record.size() + 10, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &bound);
    std::string second;
    AppendRecord(2, 0, Make("b"), second);
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
            const auto done = co_await log.Append("t", Make(id));
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

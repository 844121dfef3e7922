// Order, groups, restarts, and how much comes at once.
#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <set>
#include <thread>

#include "platform/messaging/conformance/event_log_conformance.h"

namespace starling::messaging {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

std::vector<std::string> Ids(std::span<const Delivered> events) {
  std::vector<std::string> ids;
  for (const Delivered& event : events) ids.push_back(event.event.id);
  return ids;
}

TEST_P(EventLogConformance, KeepsTheOrderOfEachKeyAndCallsOneHandlerAtATime) {
  auto log = Open();
  Collector collector;
  std::atomic<int> running{0};
  std::atomic<bool> overlapped{false};
  std::atomic<size_t> largest{0};
  auto subscription = Subscribe(*log, "g", {.max_batch = 7},
                                [&](std::span<const Delivered> events) -> Task<Status> {
                                  if (++running > 1) overlapped = true;
                                  largest = std::max(largest.load(), events.size());
                                  co_await SleepFor(std::chrono::microseconds(100));
                                  --running;
                                  co_return co_await collector.Handler()(events);
                                });
  for (int i = 0; i < 50; ++i) {
    std::vector<Event> batch;
    for (int k = 0; k < 10; ++k)
      batch.push_back(MakeEvent(NewId(), "key-" + std::to_string(k), std::to_string(i)));
    ASSERT_TRUE(AppendAll(*log, batch).ok());
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
  EXPECT_FALSE(overlapped);
  EXPECT_LE(largest, 7u);
}

TEST_P(EventLogConformance, AnEventArrivesAsItWasAppended) {
  auto log = Open();
  Collector collector;
  auto subscription = Subscribe(*log, "g", {}, collector.Handler());
  Event event = MakeEvent("a", "key", std::string("\0\xff\n", 3));
  event.subject = "subject";
  event.time = TimePoint(std::chrono::seconds(1'700'000'000));
  event.datacontenttype = "application/protobuf";
  event.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  event.extensions = {{"one", "1"}, {"two", ""}};
  ASSERT_TRUE(Append(*log, event).ok());
  const auto seen = collector.WaitFor(1);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].event, event);
  EXPECT_EQ(seen[0].attempt, 1);
}

TEST_P(EventLogConformance, AGroupGoesOnWhereItWasAfterARestart) {
  auto log = Open();
  {
    Collector collector;
    auto subscription = Subscribe(*log, "g", {}, collector.Handler());
    ASSERT_TRUE(Append(*log, MakeEvent("a")).ok());
    EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  }
  ASSERT_TRUE(Append(*log, MakeEvent("b")).ok());
  log = nullptr;
  log = Open();
  EXPECT_EQ(log->Lag(topic_, "g").value_or(99), 1u);
  Collector collector;
  auto again = Subscribe(*log, "g", {}, collector.Handler());
  EXPECT_THAT(Ids(collector.WaitFor(1)), ElementsAre("b"));
  EXPECT_EQ(log->Subscribe(topic_, "g", {}, collector.Handler()).status().code(),
            StatusCode::kAlreadyExists);
  again = nullptr;
  EXPECT_EQ(log->Lag(topic_, "g").value_or(99), 0u);
  again = Subscribe(*log, "g", {}, collector.Handler());  // a stopped one may come back
}

TEST_P(EventLogConformance, EachGroupIsGivenEveryEvent) {
  auto log = Open();
  Collector one, other, late;
  auto first = Subscribe(*log, "g", {}, one.Handler());
  auto second = Subscribe(*log, "h", {}, other.Handler());
  ASSERT_TRUE(AppendAll(*log, {MakeEvent("a"), MakeEvent("b")}).ok());
  EXPECT_THAT(Ids(one.WaitFor(2)), UnorderedElementsAre("a", "b"));
  EXPECT_THAT(Ids(other.WaitFor(2)), UnorderedElementsAre("a", "b"));
  if (GetParam().replays) {
    auto third = Subscribe(*log, "late", {}, late.Handler());
    EXPECT_THAT(Ids(late.WaitFor(2)), UnorderedElementsAre("a", "b"));
  }
}

TEST_P(EventLogConformance, TheFirstGroupIsGivenWhatWasAppendedBeforeIt) {
  auto log = Open();
  ASSERT_TRUE(AppendAll(*log, {MakeEvent("a", "k"), MakeEvent("b", "k")}).ok());
  Collector collector;
  auto subscription = Subscribe(*log, "g", {}, collector.Handler());
  EXPECT_THAT(Ids(collector.WaitFor(2)), ElementsAre("a", "b"));
  ASSERT_TRUE(Append(*log, MakeEvent("c", "k")).ok());
  EXPECT_THAT(Ids(collector.WaitFor(3)), ElementsAre("a", "b", "c"));
}

TEST_P(EventLogConformance, LargeEventsPassAndTooLargeOnesAreRefused) {
  auto log = Open();
  Collector collector;
  auto subscription = Subscribe(*log, "g", {}, collector.Handler());
  const std::string largest(kMaxEventBytes, 'x');
  ASSERT_TRUE(AppendAll(*log, {MakeEvent("a", "k", largest), MakeEvent("b", "k", largest)}).ok());
  const Status refused = Append(*log, MakeEvent("c", "k", largest + "x"));
  EXPECT_EQ(refused.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldViolations(refused).at(0).field, "data");
  const auto seen = collector.WaitFor(2);
  ASSERT_THAT(Ids(seen), ElementsAre("a", "b"));
  EXPECT_EQ(seen[1].event.data, largest);
}

TEST_P(EventLogConformance, StopWaitsForTheHandlerAndNoneRunsAfterIt) {
  auto log = Open();
  std::atomic<int> started{0}, finished{0};
  auto slow = [&](std::span<const Delivered>) -> Task<Status> {
    ++started;
    co_await SleepFor(std::chrono::milliseconds(200));
    ++finished;
    co_return OkStatus();
  };
  auto subscription = Subscribe(*log, "g", {.max_batch = 1}, slow);
  std::vector<Event> events;
  for (int i = 0; i < 50; ++i) events.push_back(MakeEvent(NewId(), "k"));
  ASSERT_TRUE(AppendAll(*log, events).ok());
  while (started == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  subscription->Stop();
  const int accepted = finished;
  EXPECT_EQ(started, accepted);
  EXPECT_GE(accepted, 1);
  subscription->Stop();  // again does nothing
  subscription = nullptr;
  EXPECT_EQ(log->Lag(topic_, "g").value_or(99), static_cast<uint64_t>(50 - accepted));
  Collector rest;
  subscription = Subscribe(*log, "g", {}, rest.Handler());
  EXPECT_EQ(rest.WaitFor(static_cast<size_t>(50 - accepted)).size(),
            static_cast<size_t>(50 - accepted));
  EXPECT_EQ(started, accepted);
}

TEST_P(EventLogConformance, SubscriptionsOfTwoTopicsInOneGroupDoNotDisturbEachOther) {
  auto log = Open();
  Collector one, other;
  auto first = Subscribe(*log, "g", {}, one.Handler());
  auto second = SubscribeTo(*log, topic_ + "-2", "g", {}, other.Handler());
  ASSERT_TRUE(Append(*log, MakeEvent("a")).ok());
  ASSERT_TRUE(runtime_.Block(log->Append(topic_ + "-2", MakeEvent("b"))).ok());
  EXPECT_THAT(Ids(one.WaitFor(1)), ElementsAre("a"));
  EXPECT_THAT(Ids(other.WaitFor(1)), ElementsAre("b"));
  first = nullptr;
  ASSERT_TRUE(runtime_.Block(log->Append(topic_ + "-2", MakeEvent("c"))).ok());
  EXPECT_THAT(Ids(other.WaitFor(2)), UnorderedElementsAre("b", "c"));
}

TEST_P(EventLogConformance, MembersOfAGroupInSeveralProcessesGetEachEventAndTakeOver) {
  if (!GetParam().shares_groups) return;  // its header says so
  auto first = Open();
  auto second = Open();
  Collector one, other;
  auto member = Subscribe(*first, "g", {}, one.Handler());
  auto another = Subscribe(*second, "g", {}, other.Handler());
  std::set<std::string> appended;
  const auto append = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::string id = NewId();
      ASSERT_TRUE(Append(*second, MakeEvent(id, "key-" + std::to_string(i % 10))).ok());
      appended.insert(id);
    }
  };
  const auto arrived = [&] {
    std::set<std::string> ids;
    for (Collector* collector : {&one, &other}) {
      for (const Delivered& event : collector->seen()) ids.insert(event.event.id);
    }
    return ids;
  };
  const auto all_arrive = [&] {
    const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (arrived() != appended && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return arrived() == appended;
  };
  append(100);
  EXPECT_TRUE(all_arrive());
  member = nullptr;
  append(100);
  EXPECT_TRUE(all_arrive());
  EXPECT_GE(other.seen().size(), 100u);
  member = Subscribe(*first, "g", {}, one.Handler());
  another = nullptr;
  append(100);
  EXPECT_TRUE(all_arrive());
}

TEST_P(EventLogConformance, ReadGivesWhatIsThereOrSaysWhyNot) {
  auto log = Open();
  ASSERT_TRUE(
      AppendAll(*log, {MakeEvent("a", "k"), MakeEvent("b", "k"), MakeEvent("c", "l")}).ok());
  const auto all = log->Read(topic_, 0, 1'000);
  if (!GetParam().reads) {
    EXPECT_EQ(all.status().code(), StatusCode::kUnimplemented);
    EXPECT_FALSE(all.status().message().empty());
    return;
  }
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(Ids(*all), UnorderedElementsAre("a", "b", "c"));
  EXPECT_EQ(log->Read(topic_, 0, 2)->size(), 2u);
  // From an event's own offset on it is there, from the next on it is not.
  const Delivered& last = all->back();
  EXPECT_THAT(Ids(*log->Read(topic_, last.position.offset, 1'000)),
              testing::Contains(last.event.id));
  EXPECT_THAT(Ids(*log->Read(topic_, last.position.offset + 1, 1'000)),
              testing::Not(testing::Contains(last.event.id)));
  EXPECT_EQ(log->Read(topic_ + "-nowhere", 0, 10).status().code(), StatusCode::kNotFound);
}

TEST_P(EventLogConformance, RefusesNamesAndBatchesThatAreWrong) {
  auto log = Open();
  EXPECT_EQ(runtime_.Block(log->Append("../evil", MakeEvent("a"))).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(log->Subscribe(topic_, "a/b", {}, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldViolations(Append(*log, MakeEvent(""))).at(0).field, "id");
  const Status many = AppendAll(*log, std::vector<Event>(1'001, MakeEvent("a")));
  EXPECT_EQ(many.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(many.message(), HasSubstr("1001"));
  EXPECT_TRUE(AppendAll(*log, {}).ok());
  EXPECT_EQ(log->Lag("nowhere-" + NewId(), "g").status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(Append(*log, MakeEvent("a")).ok());
  EXPECT_EQ(log->Lag(topic_, "nobody").status().code(), StatusCode::kNotFound);
}

TEST_P(EventLogConformance, AThousandEventsAreOneBatch) {
  auto log = Open();
  Collector collector;
  auto subscription = Subscribe(*log, "g", {}, collector.Handler());
  std::vector<Event> events;
  for (int i = 0; i < 1'000; ++i) events.push_back(MakeEvent(NewId(), std::to_string(i)));
  const auto positions = runtime_.Block(log->AppendBatch(topic_, events));
  ASSERT_TRUE(positions.ok()) << positions.status();
  EXPECT_EQ(positions->size(), 1'000u);
  const auto seen = Ids(collector.WaitFor(1'000));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 1'000u);
}

}  // namespace
}  // namespace starling::messaging

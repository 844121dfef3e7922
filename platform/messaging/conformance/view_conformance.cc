// What keeps views in memory in step: Follow, and groups of one instance.
#include <gmock/gmock.h>

#include "platform/messaging/conformance/event_log_conformance.h"

namespace starling::messaging {
namespace {

using testing::ElementsAre;

std::vector<std::string> Ids(std::span<const Delivered> events) {
  std::vector<std::string> ids;
  for (const Delivered& event : events) ids.push_back(event.event.id);
  return ids;
}

std::unique_ptr<Subscription> Followed(EventLog& log, const std::string& topic,
                                       Collector& collector) {
  auto subscription = log.Follow(topic, "view", {}, collector.Handler());
  EXPECT_TRUE(subscription.ok()) << subscription.status();
  if (!subscription.ok()) std::abort();
  return *std::move(subscription);
}

TEST_P(EventLogConformance, EachFollowerIsGivenAllThatIsAppendedFromNowOn) {
  auto log = Open();
  EXPECT_EQ(log->FeedsViews(), GetParam().feeds_views);
  if (!GetParam().feeds_views) {
    Collector nothing;
    EXPECT_EQ(log->Follow(topic_, "view", {}, nothing.Handler()).status().code(),
              StatusCode::kUnimplemented);
    return;
  }
  auto another = Open();
  ASSERT_TRUE(Append(*log, MakeEvent("before", "key")).ok());
  Collector first, second, elsewhere;
  {
    // What is appended the moment Follow has returned is not missed: nobody waits here.
    auto a = Followed(*log, topic_, first);
    auto b = Followed(*log, topic_, second);
    auto c = Followed(*another, topic_, elsewhere);
    for (const char* id : {"1", "2", "3"}) ASSERT_TRUE(Append(*log, MakeEvent(id, "key")).ok());
    EXPECT_THAT(Ids(first.WaitFor(3)), ElementsAre("1", "2", "3"));
    EXPECT_THAT(Ids(second.WaitFor(3)), ElementsAre("1", "2", "3"));
    EXPECT_THAT(Ids(elsewhere.WaitFor(3)), ElementsAre("1", "2", "3"));
  }
  // No place is kept: the next one begins at the end again, and groups know nothing of it.
  ASSERT_TRUE(Append(*log, MakeEvent("away", "key")).ok());
  Collector again;
  auto a = Followed(*log, topic_, again);
  ASSERT_TRUE(Append(*log, MakeEvent("4", "key")).ok());
  EXPECT_THAT(Ids(again.WaitFor(1)), ElementsAre("4"));
  EXPECT_EQ(log->Lag(topic_, "view").status().code(), StatusCode::kNotFound);
}

TEST_P(EventLogConformance, AnInstancesOwnGroupHasAllThatIsKeptAndSlowsNobody) {
  if (!GetParam().feeds_views) return;  // its header says so
  auto log = Open({.max_lag = 5, .max_delay = std::chrono::milliseconds(20)});
  ASSERT_TRUE(Append(*log, MakeEvent("a", "key")).ok());
  Collector collector;
  std::atomic<bool> open{false};
  auto subscription = Subscribe(
      *log, "service.instance",
      {.first_pause = std::chrono::milliseconds(5), .longest_pause = std::chrono::milliseconds(20)},
      [&](std::span<const Delivered> events) -> Task<Status> {
        if (!open) co_return Unavailable("it catches up");
        co_return co_await collector.Handler()(events);
      });
  for (int i = 0; i < 30; ++i)
    ASSERT_TRUE(Append(*log, MakeEvent("b" + std::to_string(i), "key")).ok()) << i;
  open = true;
  const auto seen = collector.WaitFor(31);
  ASSERT_EQ(seen.size(), 31u);
  EXPECT_EQ(seen[0].event.id, "a");
}

}  // namespace
}  // namespace starling::messaging

// Handlers that fail, and groups that are slow.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "platform/messaging/conformance/event_log_conformance.h"

namespace starling::messaging {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

constexpr Duration kShort = std::chrono::microseconds(1);

TEST_P(EventLogConformance, APoisonedEventGoesToTheDeadLettersAndKeepsNobodyBack) {
  auto log = Open();
  Collector collector, dead;
  std::atomic<int> tries{0}, last_attempt{0};
  auto subscription = Subscribe(*log, "g", {.max_attempts = 3, .first_pause = kShort},
                                [&](std::span<const Delivered> events) -> Task<Status> {
                                  for (const Delivered& event : events) {
                                    if (event.event.id == "poison") {
                                      ++tries;
                                      last_attempt = event.attempt;
                                      co_return InvalidArgument("cannot be read");
                                    }
                                  }
                                  co_return co_await collector.Handler()(events);
                                });
  auto dead_subscription = SubscribeTo(*log, dead_letters(), "g", {}, dead.Handler());
  Event poison = MakeEvent("poison", "k", "what it was");
  poison.extensions = {{"mine", "1"}};
  ASSERT_TRUE(AppendAll(*log, {MakeEvent("a", "k"), poison, MakeEvent("b", "k")}).ok());
  const auto good = collector.WaitFor(2);
  ASSERT_EQ(good.size(), 2u);
  EXPECT_EQ(good[0].event.id, "a");
  EXPECT_EQ(good[1].event.id, "b");
  const auto letters = dead.WaitFor(1);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].event.id, "poison");
  EXPECT_EQ(letters[0].event.data, "what it was");
  EXPECT_THAT(letters[0].event.extensions,
              testing::AllOf(Contains(Pair("mine", "1")),
                             Contains(Pair("starlingerror", HasSubstr("cannot be read"))),
                             Contains(Pair("starlinggroup", "g")),
                             Contains(Pair("starlingattempts", "3"))));
  EXPECT_EQ(last_attempt, 3);
  EXPECT_EQ(tries, 4);  // once in the batch, three times alone
}

TEST_P(EventLogConformance, ADependencyThatFailsIsWaitedForWhateverItsCode) {
  auto log = Open();
  Collector collector, dead;
  std::atomic<int> calls{0};
  auto subscription = Subscribe(*log, "g", {.max_attempts = 2, .first_pause = kShort},
                                [&](std::span<const Delivered> events) -> Task<Status> {
                                  const int call = ++calls;
                                  if (call < 5) co_return Unavailable("the database is away");
                                  if (call < 8) co_return DeadlineExceeded("the database is slow");
                                  if (call < 11) co_return DiskFull("/srv/profile.sqlite");
                                  if (call < 14)
                                    co_return StorageFailed(FailedPrecondition("is read-only"));
                                  if (events[0].event.id == "b") co_return InvalidArgument("no");
                                  co_return co_await collector.Handler()(events);
                                });
  auto dead_subscription = SubscribeTo(*log, dead_letters(), "g", {}, dead.Handler());
  ASSERT_TRUE(Append(*log, MakeEvent("a")).ok());
  EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  EXPECT_EQ(calls, 14);
  // A poisoned event after it is the only one among the dead letters.
  ASSERT_TRUE(Append(*log, MakeEvent("b")).ok());
  const auto letters = dead.WaitFor(1);
  ASSERT_EQ(letters.size(), 1u);
  EXPECT_EQ(letters[0].event.id, "b");
}

TEST_P(EventLogConformance, AFailingEventStopsInItsPauseAndComesAgain) {
  auto log = Open();
  std::atomic<int> calls{0};
  {
    auto subscription = Subscribe(
        *log, "g", {.first_pause = std::chrono::hours(1), .longest_pause = std::chrono::hours(1)},
        [&](std::span<const Delivered>) -> Task<Status> {
          ++calls;
          co_return Unavailable("not yet");
        });
    ASSERT_TRUE(Append(*log, MakeEvent("a")).ok());
    while (calls < 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  Collector collector;
  auto again = Subscribe(*log, "g", {}, collector.Handler());
  const auto seen = collector.WaitFor(1);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].event.id, "a");
}

TEST_P(EventLogConformance, ASlowGroupSlowsThenRefusesItsProducer) {
  auto log = Open({.max_lag = 5, .max_delay = std::chrono::milliseconds(20)});
  std::atomic<bool> open{false};
  auto subscription = Subscribe(*log, "slow", {.first_pause = kShort},
                                [&](std::span<const Delivered>) -> Task<Status> {
                                  if (!open) co_return Unavailable("not yet");
                                  co_return OkStatus();
                                });
  Status status;
  int accepted = 0;
  while (accepted < 100) {
    status = Append(*log, MakeEvent(NewId()));
    if (!status.ok()) break;
    ++accepted;
  }
  EXPECT_GE(accepted, 5);
  EXPECT_LT(accepted, 100);
  EXPECT_EQ(Reason(status), reason::kOverloaded);
  EXPECT_THAT(status.message(), HasSubstr("group 'slow' is "));
  EXPECT_THAT(status.message(), HasSubstr("its limit is 5"));
  EXPECT_TRUE(RetryAfter(status).has_value());
  open = true;
  do {
    status = Append(*log, MakeEvent(NewId()));
  } while (!status.ok());
}

TEST_P(EventLogConformance, AGroupThatDoesNotRunHoldsNobodyBack) {
  auto log = Open({.max_lag = 5, .max_delay = std::chrono::milliseconds(20)});
  {
    Collector collector;
    auto subscription = Subscribe(*log, "gone", {}, collector.Handler());
    ASSERT_TRUE(Append(*log, MakeEvent("a")).ok());
    EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Append(*log, MakeEvent(NewId())).ok());
}

}  // namespace
}  // namespace starling::messaging

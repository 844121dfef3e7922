#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "platform/base/id.h"
#include "platform/resilience/backoff.h"
#include "platform/resilience/circuit_breaker.h"
#include "platform/resilience/concurrency_limiter.h"
#include "platform/resilience/retry_budget.h"

namespace starling::resilience {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using State = CircuitBreaker::State;

const Instant kStart{std::chrono::hours(1)};

TEST(BackoffTest, DoublesUpToItsBoundAndIsSpread) {
  const Backoff backoff{.base = milliseconds(10), .longest = milliseconds(100)};
  EXPECT_EQ(BackoffPause(backoff, 0, 0), Duration(0));
  EXPECT_NEAR(static_cast<double>(BackoffPause(backoff, 0, UINT64_MAX).count()), 10e6, 1);
  EXPECT_NEAR(static_cast<double>(BackoffPause(backoff, 2, UINT64_MAX / 2).count()), 20e6, 1);
  EXPECT_NEAR(static_cast<double>(BackoffPause(backoff, 60, UINT64_MAX).count()), 100e6, 1);
}

TEST(RetryBudgetTest, RetriesAreATenthOfCallsBesideTheReserve) {
  RetryBudget budget({.ratio = 0.1, .reserve = 10});
  int retries = 0;
  for (int call = 0; call < 10'000; ++call) {
    budget.OnCall();
    while (budget.TakeRetry()) ++retries;  // everything fails
  }
  EXPECT_LE(retries, 1010);
  EXPECT_GE(retries, 1009);
}

TEST(RetryBudgetTest, HoldsUnderThreads) {
  RetryBudget budget({.ratio = 0.1, .reserve = 10});
  std::atomic<int> retries{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 5'000; ++call) {
        budget.OnCall();
        if (budget.TakeRetry()) ++retries;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(retries.load(), 2'010);
  EXPECT_GE(retries.load(), 1'900);
}

CircuitBreaker::Options Small() {
  return {.window = seconds(5),
          .least_calls = 10,
          .failure_rate = 0.5,
          .first_open = milliseconds(250),
          .longest_open = milliseconds(1000),
          .probes = 2};
}

// A call that begins and ends at once.
std::optional<State> Call(CircuitBreaker& breaker, bool ok, Instant now) {
  const auto permit = breaker.Allow(now);
  EXPECT_TRUE(permit);
  return breaker.Record(permit.value_or(CircuitBreaker::Permit()), ok, now);
}

// Opens it; gives the moment.
Instant OpenIt(CircuitBreaker& breaker, Instant now) {
  for (int i = 0; i < 10; ++i) (void)Call(breaker, false, now);
  EXPECT_EQ(breaker.state(), State::kOpen);
  return now;
}

TEST(CircuitBreakerTest, StaysClosedWhileHalfSucceedOrFewCall) {
  CircuitBreaker breaker(Small());
  for (int i = 0; i < 9; ++i) EXPECT_EQ(Call(breaker, false, kStart), std::nullopt);
  for (int i = 0; i < 9; ++i) Call(breaker, true, kStart);
  EXPECT_EQ(breaker.state(), State::kClosed);
  EXPECT_EQ(Call(breaker, false, kStart), State::kOpen) << "ten of nineteen failed";
}

TEST(CircuitBreakerTest, OldFailuresAreForgotten) {
  CircuitBreaker breaker(Small());
  for (int i = 0; i < 9; ++i) Call(breaker, false, kStart);
  Call(breaker, false, kStart + seconds(6));
  EXPECT_EQ(breaker.state(), State::kClosed);
}

TEST(CircuitBreakerTest, OpensProbesAndCloses) {
  CircuitBreaker breaker(Small());
  OpenIt(breaker, kStart);
  EXPECT_FALSE(breaker.Allow(kStart + milliseconds(249)));
  EXPECT_EQ(breaker.RetryAfter(kStart + milliseconds(50)), milliseconds(200));
  const Instant later = kStart + milliseconds(250);
  const auto first = breaker.Allow(later);
  const auto second = breaker.Allow(later);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(first->probe);
  EXPECT_FALSE(breaker.Allow(later)) << "two probes at a time";
  EXPECT_EQ(breaker.Record(*first, true, later), std::nullopt);
  EXPECT_EQ(breaker.Record(*second, true, later), State::kClosed);
  EXPECT_TRUE(breaker.Allow(later));
}

TEST(CircuitBreakerTest, AFailedProbeOpensForLonger) {
  CircuitBreaker breaker(Small());
  OpenIt(breaker, kStart);
  Instant now = kStart + milliseconds(250);
  for (const milliseconds open : {milliseconds(500), milliseconds(1000), milliseconds(1000)}) {
    EXPECT_EQ(Call(breaker, false, now), State::kOpen);
    EXPECT_EQ(breaker.RetryAfter(now), open);
    now += open;
  }
}

TEST(CircuitBreakerTest, AnAbandonedProbeLetsAnotherTry) {
  CircuitBreaker breaker(Small());
  OpenIt(breaker, kStart);
  const Instant later = kStart + seconds(1);
  const auto probe = breaker.Allow(later);
  ASSERT_TRUE(probe && breaker.Allow(later));
  breaker.Abandon(*probe);
  EXPECT_TRUE(breaker.Allow(later));
  EXPECT_FALSE(breaker.Allow(later));
}

TEST(CircuitBreakerTest, WhatBeganBeforeItOpenedIsNoProbe) {
  CircuitBreaker breaker(Small());
  std::vector<CircuitBreaker::Permit> slow;
  for (int i = 0; i < 5; ++i) slow.push_back(*breaker.Allow(kStart));
  OpenIt(breaker, kStart);
  const Instant later = kStart + milliseconds(250);
  const auto probe = breaker.Allow(later);
  ASSERT_TRUE(probe);
  EXPECT_EQ(breaker.Record(slow[0], true, later), std::nullopt);
  EXPECT_EQ(breaker.Record(slow[1], true, later), std::nullopt);
  EXPECT_EQ(breaker.state(), State::kHalfOpen) << "no probe has answered yet";
  EXPECT_EQ(breaker.Record(slow[2], false, later), std::nullopt);
  breaker.Abandon(slow[3]);
  ASSERT_TRUE(breaker.Allow(later));
  EXPECT_FALSE(breaker.Allow(later)) << "an old call that ends makes no room for a third probe";
  EXPECT_EQ(breaker.Record(*probe, false, later), State::kOpen);
  EXPECT_EQ(breaker.Record(slow[4], true, later), std::nullopt);
}

// Calls come as fast as they are let in; `width` run at once, what is more waits for its turn, so a
// call takes in_flight / width times as long as alone.
int SettledLimit(int width) {
  ConcurrencyLimiter limiter({.initial = 200, .least = 5, .most = 2'000, .sample = 50});
  ConcurrencyLimiter::Kind kind;
  for (int i = 0; i < 100; ++i)
    limiter.Admit(Priority::kCritical).Finish(milliseconds(1), kind);  // at rest
  std::vector<ConcurrencyLimiter::Admission> calls;
  for (int round = 0; round < 20'000; ++round) {
    while (auto admission = limiter.Admit(Priority::kCritical))
      calls.push_back(std::move(admission));
    const double load = static_cast<double>(calls.size());
    calls.back().Finish(Duration(static_cast<int64_t>(1e6 * std::max(1.0, load / width))), kind);
    calls.pop_back();
  }
  return limiter.limit();
}

TEST(ConcurrencyLimiterTest, FindsWhatTheCalleeCanDo) {
  const int narrow = SettledLimit(20);
  const int wide = SettledLimit(400);
  EXPECT_LT(narrow, 100);
  EXPECT_GT(narrow, 20);
  EXPECT_GT(wide, 400);
}

TEST(ConcurrencyLimiterTest, TheLeastImportantIsShedFirst) {
  ConcurrencyLimiter limiter({.initial = 10, .least = 10, .most = 10});
  std::vector<ConcurrencyLimiter::Admission> calls;
  for (int i = 0; i < 7; ++i) calls.push_back(limiter.Admit(Priority::kSheddable));
  EXPECT_FALSE(limiter.Admit(Priority::kSheddable));
  calls.push_back(limiter.Admit(Priority::kNormal));
  calls.push_back(limiter.Admit(Priority::kNormal));
  EXPECT_FALSE(limiter.Admit(Priority::kNormal));
  calls.push_back(limiter.Admit(Priority::kCritical));
  for (const auto& call : calls) EXPECT_TRUE(call);
  EXPECT_FALSE(limiter.Admit(Priority::kCritical));
  calls.pop_back();
  EXPECT_TRUE(limiter.Admit(Priority::kCritical));
}

TEST(ConcurrencyLimiterTest, AnIdleLimitDoesNotMove) {
  ConcurrencyLimiter limiter({.initial = 100, .sample = 10});
  ConcurrencyLimiter::Kind kind;
  for (int i = 0; i < 1'000; ++i)
    limiter.Admit(Priority::kCritical).Finish(milliseconds(1 + i % 100), kind);
  EXPECT_EQ(limiter.limit(), 100);
}

TEST(ConcurrencyLimiterTest, QuickAndSlowCallsAreEachHeldAgainstTheirOwnRest) {
  ConcurrencyLimiter limiter({.initial = 10, .least = 2, .most = 10, .sample = 20});
  ConcurrencyLimiter::Kind quick, slow;
  std::vector<ConcurrencyLimiter::Admission> running;
  for (int i = 0; i < 8; ++i) running.push_back(limiter.Admit(Priority::kCritical));  // it is used
  for (int i = 0; i < 100; ++i) limiter.Observe(milliseconds(1), quick);
  for (int i = 0; i < 200; ++i) limiter.Observe(milliseconds(500), slow);
  EXPECT_EQ(limiter.limit(), 10);
  for (int i = 0; i < 200; ++i) limiter.Observe(milliseconds(10), quick);
  EXPECT_LT(limiter.limit(), 10);
}

TEST(ConcurrencyLimiterTest, AWideLimitComesDownWhereCallsAreSlow) {
  ConcurrencyLimiter limiter({.initial = 1'000, .least = 20, .sample = 20});
  ConcurrencyLimiter::Kind kind;
  for (int i = 0; i < 20; ++i) limiter.Observe(milliseconds(1), kind);
  std::vector<ConcurrencyLimiter::Admission> running;
  for (int i = 0; i < 40; ++i) running.push_back(limiter.Admit(Priority::kCritical));
  for (int i = 0; i < 1'000; ++i) limiter.Observe(milliseconds(50), kind);
  EXPECT_LE(limiter.limit(), 80);
  EXPECT_GE(limiter.limit(), 20);
}

TEST(ConcurrencyLimiterTest, WhatIsHarmlessIsNotSlow) {
  for (const auto harmless : {milliseconds(0), milliseconds(100)}) {
    ConcurrencyLimiter limiter({.initial = 50, .harmless = harmless, .sample = 20});
    ConcurrencyLimiter::Kind kind;
    for (int i = 0; i < 20; ++i) limiter.Observe(milliseconds(1), kind);
    std::vector<ConcurrencyLimiter::Admission> running;
    for (int i = 0; i < 40; ++i) running.push_back(limiter.Admit(Priority::kCritical));
    for (int i = 0; i < 400; ++i) limiter.Observe(milliseconds(90), kind);
    EXPECT_EQ(limiter.limit() < 50, harmless == milliseconds(0)) << limiter.limit();
  }
}

TEST(ConcurrencyLimiterTest, WhereItIsNotAdaptiveAllStopAtTheMost) {
  ConcurrencyLimiter limiter({.adaptive = false, .initial = 1, .most = 3});
  std::vector<ConcurrencyLimiter::Admission> running;
  for (int i = 0; i < 3; ++i) running.push_back(limiter.Admit(Priority::kSheddable));
  for (const auto& call : running) EXPECT_TRUE(call);
  EXPECT_FALSE(limiter.Admit(Priority::kCritical));
  limiter.Set({.initial = 10, .least = 1});
  EXPECT_TRUE(limiter.Admit(Priority::kSheddable));
  EXPECT_EQ(limiter.in_flight(), 3);
}

}  // namespace
}  // namespace starling::resilience

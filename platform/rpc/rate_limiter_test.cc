#include "platform/rpc/rate_limiter.h"

#include <gtest/gtest.h>

#include <thread>

#include "platform/base/hash.h"

namespace starling::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class RateLimiterTest : public testing::Test {
 protected:
  // How many of `count` requests at this moment get through.
  int Admitted(RateLimiter& limiter, uint64_t caller, int count) {
    int admitted = 0;
    for (int i = 0; i < count; ++i) admitted += limiter.Take(caller).allowed ? 1 : 0;
    return admitted;
  }
  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
};

TEST_F(RateLimiterTest, ANewCallerHasItsWholeBurstAndNotOneMore) {
  RateLimiter limiter({.per_second = 10, .burst = 5}, 1024, clock_);
  for (int left = 4; left >= 0; --left) {
    const auto decision = limiter.Take(7);
    EXPECT_TRUE(decision.allowed);
    EXPECT_EQ(decision.remaining, left);
    EXPECT_EQ(decision.until_full, milliseconds(100) * (5 - left));
    EXPECT_EQ(decision.retry_after, milliseconds(left == 0 ? 100 : 0));
  }
  const auto refused = limiter.Take(7);
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.remaining, 0);
  EXPECT_EQ(refused.retry_after, milliseconds(100));
  EXPECT_EQ(refused.until_full, milliseconds(500));
}

TEST_F(RateLimiterTest, ATokenComesBackEachIntervalAndTheBucketNeverHoldsMoreThanTheBurst) {
  RateLimiter limiter({.per_second = 10, .burst = 5}, 1024, clock_);
  EXPECT_EQ(Admitted(limiter, 7, 9), 5);
  clock_.Advance(milliseconds(99));
  EXPECT_EQ(limiter.Take(7).retry_after, milliseconds(1));
  clock_.Advance(milliseconds(1));
  EXPECT_EQ(Admitted(limiter, 7, 9), 1);
  clock_.Advance(milliseconds(250));
  EXPECT_EQ(Admitted(limiter, 7, 9), 2) << "and half a token stays";
  clock_.Advance(milliseconds(50));
  EXPECT_EQ(Admitted(limiter, 7, 9), 1);
  clock_.Advance(std::chrono::hours(24));
  EXPECT_EQ(Admitted(limiter, 7, 9), 5);
}

TEST_F(RateLimiterTest, WaitingAsLongAsItSaysIsEnough) {
  RateLimiter limiter({.per_second = 3, .burst = 2}, 1024, clock_);
  EXPECT_EQ(Admitted(limiter, 7, 2), 2);
  for (int i = 0; i < 1000; ++i) {
    const auto refused = limiter.Take(7);
    ASSERT_FALSE(refused.allowed);
    clock_.Advance(refused.retry_after);
    ASSERT_TRUE(limiter.Take(7).allowed);
  }
}

TEST_F(RateLimiterTest, ACallerThatIsRefusedTakesNothingOfAnother) {
  RateLimiter limiter({.per_second = 10, .burst = 5}, 1024, clock_);
  EXPECT_EQ(Admitted(limiter, 1, 1000), 5);
  EXPECT_EQ(Admitted(limiter, 2, 1000), 5);
  // Of the same set.
  EXPECT_EQ(Admitted(limiter, 1 + limiter.capacity(), 1000), 5);
  EXPECT_EQ(Admitted(limiter, 1, 1000), 0);
}

TEST_F(RateLimiterTest, AskingWhileRefusedDoesNotMakeTheWaitLonger) {
  RateLimiter limiter({.per_second = 1, .burst = 1}, 1024, clock_);
  EXPECT_EQ(Admitted(limiter, 7, 1'000), 1);
  clock_.Advance(seconds(1));
  EXPECT_TRUE(limiter.Take(7).allowed);
}

TEST_F(RateLimiterTest, WhatIsGivenBackCanBeTakenAgainAndNoMore) {
  RateLimiter limiter({.per_second = 0.1, .burst = 3}, 1024, clock_);
  EXPECT_EQ(Admitted(limiter, 7, 9), 3);
  limiter.GiveBack(7);
  EXPECT_EQ(Admitted(limiter, 7, 9), 1);
  for (int i = 0; i < 20; ++i) limiter.GiveBack(7);
  EXPECT_EQ(Admitted(limiter, 7, 9), 3) << "a bucket is never more than full";
  limiter.GiveBack(8);
  EXPECT_EQ(Admitted(limiter, 8, 9), 3) << "of somebody who took nothing";
}

TEST_F(RateLimiterTest, ALimitOutsideTheRangeIsTheNearestInside) {
  RateLimiter slow({.per_second = -1, .burst = -1}, 1024, clock_);
  EXPECT_EQ(Admitted(slow, 7, 9), 1);
  EXPECT_EQ(slow.Take(7).retry_after, seconds(1000));
  RateLimiter fast({.per_second = 1e12, .burst = 1LL << 60}, 1024, clock_);
  EXPECT_EQ(fast.Take(7).remaining, 999'999);
  RateLimiter longest({.per_second = 0, .burst = 1LL << 60}, 1024, clock_);
  EXPECT_EQ(longest.Take(0).remaining, 999'999) << "and 0 is a caller as any other";
}

TEST_F(RateLimiterTest, RestedCallersMakeRoomAndTheLimitedStay) {
  RateLimiter limiter({.per_second = 1, .burst = 4}, 64, clock_);
  ASSERT_EQ(limiter.capacity(), 64u);
  EXPECT_EQ(Admitted(limiter, 7, 9), 4);
  // A hundred times as many as there is room for, eight at a time, each of whom has rested when the
  // next ones come. The limited caller asks all the while.
  for (uint64_t caller = 100; caller < 6500; ++caller) {
    const auto decision = limiter.Take(caller);
    ASSERT_TRUE(decision.allowed);
    ASSERT_FALSE(decision.crowded);
    if (caller % 8 == 0) {
      clock_.Advance(seconds(1));
      ASSERT_EQ(Admitted(limiter, 7, 9), 1);
    }
  }
}

TEST_F(RateLimiterTest, AFloodOfNewCallersGetsNoMoreThanTheTableHoldsAndIsTold) {
  RateLimiter limiter({.per_second = 1, .burst = 4}, 64, clock_);
  int admitted = 0, crowded = 0;
  for (uint64_t i = 0; i < 100'000; ++i) {
    const auto decision = limiter.Take(Hash64("flood", i));
    admitted += decision.allowed ? 1 : 0;
    crowded += decision.crowded ? 1 : 0;
  }
  EXPECT_EQ(admitted, 64 * 4);
  EXPECT_EQ(crowded, 100'000 - 64);
  clock_.Advance(seconds(1));
  for (uint64_t i = 0; i < 100'000; ++i)
    admitted += limiter.Take(Hash64("again", i)).allowed ? 1 : 0;
  EXPECT_EQ(admitted, 64 * 5);
}

TEST(RateLimiterConcurrency, ManyThreadsGetNoMoreThanBurstAndRateTimesTime) {
  FakeClock clock(ParseRfc3339("2026-01-02T03:04:05Z").value());
  RateLimiter limiter({.per_second = 2000, .burst = 50}, 64, clock);
  std::atomic<int64_t> admitted[2] = {0, 0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        for (int caller = 0; caller < 2; ++caller) {
          if (limiter.Take(10 + caller).allowed) ++admitted[caller];
        }
      }
    });
  }
  // The time goes on while they take, at most as fast as one of them gets through.
  for (int step = 1; step <= 200; ++step) {
    while (admitted[0] < 50 + step - 1 || admitted[1] < 50 + step - 1) std::this_thread::yield();
    clock.Advance(std::chrono::microseconds(500));
  }
  while (admitted[0] < 250 || admitted[1] < 250) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted[0], 50 + 2000 * 0.1);
  EXPECT_EQ(admitted[1], 50 + 2000 * 0.1);
}

// Slots change hands all the while; the time stands still, so the bound is exact.
TEST(RateLimiterConcurrency, AFloodFromManyThreadsKeepsTheBoundOfTheTable) {
  FakeClock clock(ParseRfc3339("2026-01-02T03:04:05Z").value());
  RateLimiter limiter({.per_second = 1, .burst = 1000}, 16, clock);
  std::atomic<int64_t> admitted{0};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (uint64_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (uint64_t n = 0; n < 50'000; ++n) {
        if (limiter.Take(Hash64("caller", (n * 4 + i) % 97)).allowed) ++admitted;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, 16 * 1000);
}

}  // namespace
}  // namespace starling::rpc

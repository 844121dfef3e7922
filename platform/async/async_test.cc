#include <gtest/gtest.h>

#include <latch>

#include "platform/async/blocking_pool.h"
#include "platform/async/bounded_queue.h"
#include "platform/async/cancellation.h"
#include "platform/async/runtime.h"

namespace starling {
namespace {

Task<int> Add(int a, int b) { co_return a + b; }

TEST(Task, RunsToItsEnd) { EXPECT_EQ(RunSync(Add(2, 3)), 5); }

TEST(BlockingPool, RunsOffTheThreadAndComesBack) {
  Runtime runtime({.io_threads = 1});
  auto ids = runtime.Block([](Runtime& runtime) -> Task<std::array<std::thread::id, 3>> {
    const auto before = std::this_thread::get_id();
    std::thread::id there;
    const Status status = co_await runtime.blocking().Run([&]() -> Status {
      there = std::this_thread::get_id();
      return OkStatus();
    });
    EXPECT_TRUE(status.ok());
    co_return std::array{before, there, std::this_thread::get_id()};
  }(runtime));
  EXPECT_EQ(ids[0], ids[2]);
  EXPECT_NE(ids[0], ids[1]);
}

TEST(BlockingPool, RefusesAtItsBoundAndSaysWhenToRetry) {
  std::latch release(1);
  std::latch running(1);
  BlockingPool pool({.name = "tiny", .threads = 1, .queue_limit = 1});
  ASSERT_TRUE(pool.Submit([&] {
                    running.count_down();
                    release.wait();
                  })
                  .ok());
  running.wait();
  ASSERT_TRUE(pool.Submit([] {}).ok());
  const Status refused = pool.Submit([] {});
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Reason(refused), reason::kOverloaded);
  EXPECT_TRUE(RetryAfter(refused).has_value());
  EXPECT_EQ(pool.Waiting(), 1u);
  release.count_down();
}

TEST(BlockingPool, FinishesWhatItAcceptedBeforeItEnds) {
  int done = 0;
  {
    BlockingPool pool({.threads = 1});
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.Submit([&] { ++done; }).ok());
  }
  EXPECT_EQ(done, 100);
}

TEST(BoundedQueue, GivesInOrderRefusesAtTheBoundAndEndsWhenClosed) {
  BoundedQueue<int> queue(2);
  EXPECT_TRUE(queue.TryPush(1));
  EXPECT_TRUE(queue.TryPush(2));
  EXPECT_FALSE(queue.TryPush(3));
  queue.Close();
  EXPECT_FALSE(queue.TryPush(4));
  EXPECT_EQ(RunSync(queue.Pop()), 1);
  EXPECT_EQ(RunSync(queue.Pop()), 2);
  EXPECT_EQ(RunSync(queue.Pop()), std::nullopt);
}

TEST(BoundedQueue, WakesAConsumerThatWaitsOnAnotherThread) {
  Runtime runtime({.io_threads = 1});
  BoundedQueue<int> queue(1000);
  std::promise<int64_t> sum;
  Spawn(runtime.executor(0),
        [](BoundedQueue<int>& queue, std::promise<int64_t>& sum) -> Task<void> {
          int64_t total = 0;
          while (true) {
            const std::optional<int> value = co_await queue.Pop();
            if (!value) break;
            total += *value;
          }
          sum.set_value(total);
        }(queue, sum));
  int64_t pushed = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (queue.TryPush(i)) pushed += i;
  }
  queue.Close();
  EXPECT_EQ(sum.get_future().get(), pushed);
}

TEST(Cancellation, RunsEachCallbackOnceAndAtOnceWhenLate) {
  CancellationSource source;
  int early = 0, late = 0, released = 0;
  auto a = source.token().OnCancel([&] { ++early; });
  {
    auto b = source.token().OnCancel([&] { ++released; });
  }
  EXPECT_FALSE(source.token().IsCancelled());
  source.Cancel();
  source.Cancel();
  auto c = source.token().OnCancel([&] { ++late; });
  EXPECT_TRUE(source.token().IsCancelled());
  EXPECT_EQ(early, 1);
  EXPECT_EQ(late, 1);
  EXPECT_EQ(released, 0);
  EXPECT_FALSE(CancellationToken().IsCancelled());
}

TEST(Cancellation, CallbackMayReleaseItself) {
  CancellationSource source;
  CancellationToken::Registration registration;
  registration = source.token().OnCancel([&] { registration.Release(); });
  source.Cancel();
  EXPECT_TRUE(source.token().IsCancelled());
}

}  // namespace
}  // namespace starling

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <latch>
#include <stdexcept>

#include "platform/async/asio_await.h"
#include "platform/async/blocking_pool.h"
#include "platform/async/bounded_queue.h"
#include "platform/async/cancellation.h"
#include "platform/async/runtime.h"

namespace starling {
namespace {

Task<int> Add(int a, int b) { co_return a + b; }

TEST(Task, RunsToItsEnd) { EXPECT_EQ(RunSync(Add(2, 3)), 5); }

TEST(Task, GivesItsResultByReferenceWhileItLives) {
  EXPECT_EQ(RunSync([]() -> Task<int> {
              Task<int> sum = Add(2, 3);
              int& result = co_await sum;
              result += 10;
              co_return result;
            }()),
            15);
}

TEST(Task, TakesAResultThatCanOnlyBeMoved) {
  const auto make = [](int value) -> Task<std::unique_ptr<int>> {
    co_await SleepFor(std::chrono::microseconds(1));
    co_return std::make_unique<int>(value);
  };
  EXPECT_EQ(*RunSync(make(7)), 7);
}

// A million calls that do not wait, then as many levels of callers as a thread's stack could not
// hold if each call that ended left something on it.
TEST(Task, LoopsDoNotGrowTheStack) {
  const int64_t sum = RunSync([]() -> Task<int64_t> {
    int64_t sum = 0;
    for (int i = 0; i < 1'000'000; ++i) {
      sum += co_await Add(i, 1);
      if (i % 100'000 == 0) co_await SleepFor(std::chrono::microseconds(1));
    }
    co_return sum;
  }());
  EXPECT_EQ(sum, int64_t{1'000'000} * 1'000'001 / 2);
}

TEST(Task, AnExceptionReachesItsCallerWhetherItWaitedOrNot) {
  for (const bool waits : {false, true}) {
    const auto fail = [](bool waits) -> Task<int> {
      if (waits) co_await SleepFor(std::chrono::microseconds(1));
      throw std::runtime_error("broken");
    };
    const auto caught = [](Task<int> task) -> Task<std::string> {
      try {
        co_return std::to_string(co_await std::move(task));
      } catch (const std::runtime_error& error) {
        co_return error.what();
      }
    };
    EXPECT_EQ(RunSync(caught(fail(waits))), "broken");
    EXPECT_THROW(RunSync(fail(waits)), std::runtime_error);
  }
}

// Counts the frames that it has been in.
struct Mark {
  explicit Mark(int& gone) : gone(&gone) {}
  Mark(Mark&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
  Mark& operator=(Mark&&) = delete;
  ~Mark() {
    if (gone != nullptr) ++*gone;
  }
  int* gone;
};

Task<void> Inner(Mark, Completion<int>& kept, bool& after) {
  (void)co_await Suspend<int>([&](Completion<int> completion) { kept = std::move(completion); });
  after = true;
}
Task<void> Outer(Mark, Mark inner, Completion<int>& kept, bool& after) {
  co_await Inner(std::move(inner), kept, after);
  after = true;
}

TEST(Task, IsDestroyedWhereItWaitsWhenNobodyWillResumeIt) {
  boost::asio::io_context context(1);
  int gone = 0;
  bool after = false;
  Completion<int> kept;
  Spawn(context.get_executor(), Outer(Mark(gone), Mark(gone), kept, after));
  context.poll();
  ASSERT_TRUE(kept);
  EXPECT_EQ(gone, 0);
  kept = Completion<int>();
  EXPECT_EQ(gone, 0) << "not under the feet of who drops it";
  context.poll();
  EXPECT_EQ(gone, 2);
  EXPECT_FALSE(after);
}

TEST(Task, IsDestroyedWithItsContext) {
  int gone = 0;
  bool after = false;
  Completion<int> kept, completed;
  {
    boost::asio::io_context context(1);
    boost::asio::steady_timer timer(context, std::chrono::hours(1));
    Spawn(context.get_executor(), [](auto& timer, Mark) -> Task<void> {
      boost::system::error_code error;
      co_await timer.async_wait(AsTask(error));
    }(timer, Mark(gone)));
    Spawn(context.get_executor(), Outer(Mark(gone), Mark(gone), completed, after));
    context.poll();
    Spawn(context.get_executor(), Outer(Mark(gone), Mark(gone), kept, after));  // never begins
    completed(7);                                                               // never delivered
  }
  EXPECT_EQ(gone, 5);
  EXPECT_FALSE(after);
}

TEST(Task, RunsOnAnotherExecutorAndComesBack) {
  Runtime runtime({.io_threads = 2});
  const auto ids = runtime.Block([](Runtime& runtime) -> Task<std::array<std::thread::id, 3>> {
    const Executor here = co_await CurrentExecutor();
    const Executor there = runtime.executor(here == runtime.executor(0) ? 1 : 0);
    const auto before = std::this_thread::get_id();
    const auto other = co_await RunOn(there, []() -> Task<std::thread::id> {
      co_await SleepFor(std::chrono::microseconds(1));
      co_return std::this_thread::get_id();
    }());
    co_return std::array{before, other, std::this_thread::get_id()};
  }(runtime));
  EXPECT_EQ(ids[0], ids[2]);
  EXPECT_NE(ids[0], ids[1]);
}

TEST(Task, SpawnBeginsAtOnceOnItsOwnThread) {
  RunSync([]() -> Task<void> {
    const Executor here = co_await CurrentExecutor();
    bool ran = false;
    Spawn(here, [](bool& ran) -> Task<void> {
      ran = true;
      co_return;
    }(ran));
    EXPECT_TRUE(ran);
  }());
}

TEST(AsTask, GivesTheErrorOfTheOperation) {
  boost::asio::io_context context(1);
  boost::asio::steady_timer timer(context, std::chrono::hours(1));
  boost::system::error_code error;
  Spawn(context.get_executor(), [](auto& timer, auto& error) -> Task<void> {
    co_await timer.async_wait(AsTask(error));
  }(timer, error));
  context.poll();
  timer.cancel();
  context.run();
  EXPECT_EQ(error, boost::asio::error::operation_aborted);
}

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

TEST(BlockingPool, LeavesTheProcessorToOthersWhenItIsNice) {
  const int ours = getpriority(PRIO_PROCESS, 0);
  Runtime runtime({.io_threads = 1});
  const auto nice_in = [&](BlockingPool& pool) {
    return runtime.Block([](BlockingPool& pool) -> Task<StatusOr<int>> {
      co_return co_await pool.Run([]() -> StatusOr<int> { return getpriority(PRIO_PROCESS, 0); });
    }(pool));
  };
  EXPECT_EQ(nice_in(runtime.blocking()).value(), ours);
  EXPECT_EQ(nice_in(runtime.background()).value(), std::min(ours + 10, 19));
  EXPECT_EQ(getpriority(PRIO_PROCESS, 0), ours);
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

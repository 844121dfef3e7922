// RFC 9111, 4 (one fetch for concurrent requests), on real threads: the origin answers when the
// test lets it.
#include <future>

#include "platform/async/bounded_queue.h"
#include "platform/async/runtime.h"
#include "platform/gateway/cache/cache_test.h"

namespace starling::gateway {
namespace {

constexpr std::pair<std::string_view, std::string_view> kMaxAge{"Cache-Control", "max-age=60"};

class CollapsingTest : public testing::Test {
 protected:
  struct Call {
    http::DetachedExchange exchange;
    std::promise<void> ended;
    std::future<void> future = ended.get_future();
    std::string body() {
      for (const std::string& chunk : exchange.streamed) exchange.response.body += chunk;
      return exchange.response.body;
    }
  };

  // Fetches that still wait use the queue: they and the threads end before it goes.
  ~CollapsingTest() override {
    origin_.Close();
    if (runtime_) runtime_->Stop();
  }

  void Open(HttpCache::Options options) {
    cache_ = std::make_unique<HttpCache>(std::move(options), clock_);
  }

  // Answers with what the test gives, in the order of the requests.
  Fetch MakeFetch() {
    return [this](http::Request& request, http::Exchange& exchange) -> Task<Fetched> {
      ++asked_;
      if (hangs_) co_await SleepFor(std::chrono::hours(1));
      std::optional<http::Response> reply = co_await origin_.Pop();
      if (!reply || reply->status == 0) throw std::runtime_error("the fetch breaks");
      if (cache_->WantsWhole(request, reply->status, reply->headers))
        co_return Fetched{.response = *std::move(reply)};
      exchange.response.status = reply->status;
      exchange.response.headers = reply->headers;
      http::ResponseStream& stream = exchange.StartStream();
      const Status written = co_await stream.Write(reply->body);
      (void)written;
      co_return Fetched{.streamed = true};
    };
  }

  void Start(Call& call, int thread, Fields fields = {}) {
    call.exchange.request = MakeRequest("GET", "/a", fields);
    Spawn(runtime_->executor(thread), [this, &call]() -> Task<void> {
      try {
        co_await cache_->Serve(call.exchange, "shop", MakeFetch());
      } catch (const std::runtime_error&) {
        call.exchange.response.status = 500;
      }
      call.ended.set_value();
    });
  }
  // `count` calls on both threads, of which one fetches and all others wait for it.
  std::vector<std::unique_ptr<Call>> StartTogether(size_t count, Fields fields = {}) {
    std::vector<std::unique_ptr<Call>> calls;
    const uint64_t waiting = cache_->Stats().waiting;
    for (size_t i = 0; i < count; ++i) {
      calls.push_back(std::make_unique<Call>());
      Start(*calls.back(), static_cast<int>(i % 2), fields);
    }
    Until([&] { return cache_->Stats().waiting == waiting + count - 1 && asked_ > 0; });
    return calls;
  }
  void OriginGives(int status, Fields fields, std::string body = "") {
    EXPECT_TRUE(origin_.TryPush(Reply(status, fields, std::move(body))));
  }
  template <typename Holds>
  static void Until(Holds holds) {
    while (!holds()) std::this_thread::yield();
  }

  std::optional<Runtime> runtime_{std::in_place,
                                  Runtime::Options{.io_threads = 2, .blocking_threads = 1}};
  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
  std::unique_ptr<HttpCache> cache_ =
      std::make_unique<HttpCache>(HttpCache::Options{.wait_limit = std::chrono::hours(1)}, clock_);
  BoundedQueue<http::Response> origin_{1000};
  std::atomic<int> asked_{0};
  bool hangs_ = false;  // the origin
};

TEST_F(CollapsingTest, ConcurrentMissesAskTheOriginOnce) {
  const auto calls = StartTogether(50);
  OriginGives(200, {kMaxAge}, "hello");
  int collapsed = 0;
  for (const auto& call : calls) {
    call->future.get();
    EXPECT_EQ(call->body(), "hello");
    collapsed += call->exchange.response.headers.Joined("cache-status").ends_with("; collapsed");
  }
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(collapsed, 49);
  EXPECT_EQ(cache_->Stats().collapsed, 49);
  EXPECT_EQ(cache_->Stats().waiting, 0);
}

TEST_F(CollapsingTest, WhenTheAnswerIsNotForAllEachGoesOnItsOwnAndNextTimeNobodyWaits) {
  const auto calls = StartTogether(10);
  for (int i = 0; i < 10; ++i) OriginGives(200, {{"Cache-Control", "private"}}, std::to_string(i));
  std::vector<std::string> bodies;
  for (const auto& call : calls) {
    call->future.get();
    bodies.push_back(call->body());
  }
  std::ranges::sort(bodies);
  EXPECT_THAT(bodies, testing::ElementsAre("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
  EXPECT_EQ(asked_, 10);

  Call first;
  Call second;
  Start(first, 0);
  Start(second, 1);
  Until([&] { return asked_ == 12; });  // both at a time
  OriginGives(200, {{"Cache-Control", "private"}});
  OriginGives(200, {{"Cache-Control", "private"}});
  first.future.get();
  second.future.get();
}

TEST_F(CollapsingTest, WhoIsNotSelectedByTheAnswerGoesOnItsOwn) {
  const auto german = StartTogether(2, {{"Accept-Language", "de"}});
  Call english;
  Start(english, 0, {{"Accept-Language", "en"}});
  Until([&] { return cache_->Stats().waiting == 2; });
  OriginGives(200, {kMaxAge, {"Vary", "Accept-Language"}}, "de");
  Until([&] { return asked_ == 2; });
  OriginGives(200, {kMaxAge, {"Vary", "Accept-Language"}}, "en");
  for (const auto& call : german) {
    call->future.get();
    EXPECT_EQ(call->body(), "de");
  }
  english.future.get();
  EXPECT_EQ(english.body(), "en");
  EXPECT_EQ(cache_->Stats().objects, 2);
}

TEST_F(CollapsingTest, WhoHasWaitedLongEnoughAsksItself) {
  Open({.wait_limit = std::chrono::milliseconds(1)});
  Call slow;
  Call second;
  Start(slow, 0);
  Until([&] { return asked_ == 1; });
  Start(second, 1);
  Until([&] { return asked_ == 2; });
  OriginGives(200, {kMaxAge}, "slow");
  OriginGives(200, {kMaxAge}, "second");
  slow.future.get();
  second.future.get();
  EXPECT_EQ(slow.body(), "slow");
  EXPECT_EQ(second.body(), "second");
}

TEST_F(CollapsingTest, AboveTheBoundOfWaitersRequestsGoOnTheirOwn) {
  Open({.max_waiters = 2, .wait_limit = std::chrono::hours(1)});
  const auto calls = StartTogether(3);
  Call fourth;
  Start(fourth, 0);
  Until([&] { return asked_ == 2; });
  EXPECT_EQ(cache_->Stats().waiting, 2);
  OriginGives(200, {kMaxAge}, "first");
  OriginGives(200, {kMaxAge}, "fourth");
  for (const auto& call : calls) {
    call->future.get();
    EXPECT_EQ(call->body(), "first");
  }
  fourth.future.get();
  EXPECT_EQ(fourth.body(), "fourth");
}

TEST_F(CollapsingTest, AClientThatIsGoneStopsWaiting) {
  Call first;
  Call second;
  Start(first, 0);
  Until([&] { return asked_ == 1; });
  Start(second, 1);
  Until([&] { return cache_->Stats().waiting == 1; });
  second.exchange.source.Cancel();
  second.future.get();  // while the first still waits for the origin
  EXPECT_EQ(asked_, 1);
  OriginGives(200, {kMaxAge}, "hello");
  first.future.get();
  EXPECT_EQ(first.body(), "hello");
}

TEST_F(CollapsingTest, OneErrorIsReplacedForAllWhoWait) {
  Call before;
  Start(before, 0);
  OriginGives(200, {{"Cache-Control", "max-age=60, stale-if-error=60"}}, "old");
  before.future.get();
  clock_.Advance(std::chrono::seconds(70));
  const auto calls = StartTogether(20);
  OriginGives(503, {}, "down");
  for (const auto& call : calls) {
    call->future.get();
    EXPECT_EQ(call->body(), "old");
  }
  EXPECT_EQ(asked_, 2);
}

TEST_F(CollapsingTest, WhenTheFetchBreaksTheOthersAsk) {
  const auto calls = StartTogether(3);
  OriginGives(0, {});
  Until([&] { return asked_ == 3; });
  OriginGives(200, {kMaxAge}, "hello");
  OriginGives(200, {kMaxAge}, "hello");
  int broken = 0;
  for (const auto& call : calls) {
    call->future.get();
    broken += call->exchange.response.status == 500;
  }
  EXPECT_EQ(broken, 1);
}

TEST_F(CollapsingTest, ManyStaleAnswersStartOneRefresh) {  // RFC 5861, 3
  Call before;
  Start(before, 0);
  OriginGives(200, {{"Cache-Control", "max-age=60, stale-while-revalidate=60"}}, "old");
  before.future.get();
  clock_.Advance(std::chrono::seconds(70));
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 30; ++i) {
    calls.push_back(std::make_unique<Call>());
    Start(*calls.back(), i % 2);
  }
  for (const auto& call : calls) {
    call->future.get();  // none waits for the origin
    EXPECT_EQ(call->body(), "old");
  }
  EXPECT_EQ(cache_->Stats().refreshed, 1);
  OriginGives(200, {kMaxAge}, "new");
  Until([&] { return cache_->Stats().stored == 2; });
  Call after;
  Start(after, 1);
  after.future.get();
  EXPECT_EQ(after.body(), "new");
  EXPECT_EQ(asked_, 2);
}

TEST_F(CollapsingTest, WhoJoinsAfterAPurgeDoesNotGetWhatWasAskedBefore) {
  const auto before = StartTogether(2);
  cache_->Purge("shop shop.example/a");
  Call after;
  Start(after, 0);
  Until([&] { return asked_ == 2; });
  OriginGives(200, {kMaxAge}, "old");
  OriginGives(200, {kMaxAge}, "new");
  for (const auto& call : before) {
    call->future.get();
    EXPECT_EQ(call->body(), "old");
  }
  after.future.get();
  EXPECT_EQ(after.body(), "new");
  EXPECT_EQ(cache_->Stats().stored, 1);
}

TEST_F(CollapsingTest, ARuntimeThatStopsEndsThoseWhoWait) {
  hangs_ = true;
  const auto calls = StartTogether(10);
  EXPECT_EQ(cache_->Stats().waiting, 9);
  runtime_.reset();
  EXPECT_EQ(cache_->Stats().waiting, 0);
}

}  // namespace
}  // namespace starling::gateway

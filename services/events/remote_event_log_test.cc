// What can happen between two processes: either is gone, comes back, is mute, or an answer is lost.
#include "services/events/remote_event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "platform/messaging/conformance/event_log_conformance.h"
#include "services/events/events_owner.h"

namespace starling::events {
namespace {

using messaging::Collector;
using messaging::Delivered;
using messaging::MakeEvent;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Ids(std::span<const Delivered> events) {
  std::vector<std::string> ids;
  for (const Delivered& event : events) ids.push_back(event.event.id);
  return ids;
}

class RemoteEventLogTest : public testing::Test {
 protected:
  void SetUp() override { StartOwner(); }
  void TearDown() override {
    owner_.reset();
    std::filesystem::remove_all(folder_);
  }
  void StartOwner(int port = 0) {
    owner_ = std::make_unique<EventsOwner>(folder_, messaging::EmbeddedEventLogOptions{}, runtime_,
                                           telemetry_, port);
  }
  Status Append(messaging::EventLog& log, std::string id) {
    return runtime_.Block(log.Append("t", MakeEvent(std::move(id), "k"))).status();
  }
  static std::unique_ptr<messaging::Subscription> Subscribe(messaging::EventLog& log,
                                                            messaging::EventLog::Handler handler,
                                                            std::string_view group = "g") {
    auto subscription = log.Subscribe("t", group, {.first_pause = std::chrono::microseconds(1)},
                                      std::move(handler));
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    return subscription.ok() ? *std::move(subscription) : nullptr;
  }

  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / NewId();
  Runtime runtime_{{.io_threads = 2}};
  telemetry::Telemetry telemetry_;
  std::unique_ptr<EventsOwner> owner_;
};

// The service as its client sees it, with what a test spoils.
class Spoiled : public v1::Events {
 public:
  explicit Spoiled(std::shared_ptr<v1::Events> real) : real_(std::move(real)) {}
  Task<StatusOr<v1::AppendBatchResponse>> AppendBatch(
      CallContext& context, const v1::AppendBatchRequest& request) override {
    return real_->AppendBatch(context, request);
  }
  Task<Status> Subscribe(CallContext& context, const v1::SubscribeRequest& request,
                         rpc::Stream<v1::SubscribeResponse>& out) override {
    return real_->Subscribe(context, request, out);
  }
  Task<StatusOr<v1::AcceptResponse>> Accept(CallContext& context,
                                            const v1::AcceptRequest& request) override {
    return real_->Accept(context, request);
  }
  Task<StatusOr<v1::UnsubscribeResponse>> Unsubscribe(
      CallContext& context, const v1::UnsubscribeRequest& request) override {
    return real_->Unsubscribe(context, request);
  }
  Task<StatusOr<v1::LagResponse>> Lag(CallContext& context,
                                      const v1::LagRequest& request) override {
    return real_->Lag(context, request);
  }
  Task<Status> Read(CallContext& context, const v1::ReadRequest& request,
                    rpc::Stream<v1::ReadResponse>& out) override {
    return real_->Read(context, request, out);
  }

 protected:
  const std::shared_ptr<v1::Events> real_;
};

TEST_F(RemoteEventLogTest, ABatchThatItsConsumerDidNotAcceptComesToTheNext) {
  const auto log = owner_->Connect();
  ASSERT_TRUE(Append(*log, "a").ok());
  // A consumer that dies with the batch: its stream ends and nothing was told.
  class Dies final : public rpc::Stream<v1::SubscribeResponse> {
   public:
    Task<Status> Write(const v1::SubscribeResponse& part) override {
      taken += part.events_size();
      if (part.events_size() > 0) co_return Cancelled("killed");
      co_return OkStatus();
    }
    int taken = 0;
  } dies;
  v1::SubscribeRequest request;
  request.set_topic("t");
  request.set_group("g");
  request.set_max_batch(10);
  request.set_max_attempts(1);
  request.mutable_first_pause()->set_nanos(1);
  request.mutable_longest_pause()->set_nanos(1);
  auto context = CallContext::ForService("test", std::chrono::seconds(60));
  const auto client = owner_->Client();
  EXPECT_EQ(runtime_.Block(client->Subscribe(context, request, dies)).code(),
            StatusCode::kCancelled);
  EXPECT_EQ(dies.taken, 1);
  Collector collector;
  const auto subscription = Subscribe(*log, collector.Handler());
  EXPECT_THAT(Ids(collector.WaitFor(1)), ElementsAre("a"));
}

TEST_F(RemoteEventLogTest, TheSecondConsumerOfAGroupWaitsUntilTheFirstIsGone) {
  const auto one = owner_->Connect();
  const auto two = owner_->Connect();
  Collector first, second;
  auto active = Subscribe(*one, first.Handler());
  auto standby = Subscribe(*two, second.Handler());
  ASSERT_TRUE(Append(*two, "a").ok());
  EXPECT_THAT(Ids(first.WaitFor(1)), ElementsAre("a"));
  active = nullptr;
  ASSERT_TRUE(Append(*two, "b").ok());
  EXPECT_THAT(Ids(second.WaitFor(1)), ElementsAre("b"));
  EXPECT_EQ(first.seen().size(), 1u);
}

TEST_F(RemoteEventLogTest, AConsumerInTheOwnersProcessComesFirstToo) {
  Collector here, there;
  auto active = Subscribe(owner_->log(), here.Handler());
  const auto log = owner_->Connect();
  auto standby = Subscribe(*log, there.Handler());
  ASSERT_TRUE(Append(*log, "a").ok());
  EXPECT_THAT(Ids(here.WaitFor(1)), ElementsAre("a"));
  active = nullptr;
  ASSERT_TRUE(Append(*log, "b").ok());
  EXPECT_THAT(Ids(there.WaitFor(1)), ElementsAre("b"));
}

TEST_F(RemoteEventLogTest, GoesOnWhenTheOwnerComesBack) {
  const auto log = owner_->Connect();
  Collector collector;
  auto subscription = Subscribe(*log, collector.Handler());
  ASSERT_TRUE(Append(*log, "a").ok());
  EXPECT_THAT(Ids(collector.WaitFor(1)), ElementsAre("a"));
  while (*log->Lag("t", "g") > 0) {
  }
  const int port = owner_->port();
  owner_.reset();
  const Status away = Append(*log, "never");
  EXPECT_EQ(away.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(away.message()), HasSubstr("the process that serves events is away"));
  EXPECT_TRUE(RetryAfter(away).has_value());
  EXPECT_EQ(log->Lag("t", "g").status().code(), StatusCode::kUnavailable);
  StartOwner(port);
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!Append(*log, "b").ok() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_THAT(Ids(collector.WaitFor(2)), ElementsAre("a", "b"));
}

TEST_F(RemoteEventLogTest, SubscribesBeforeTheOwnerIsThere) {
  const int port = owner_->port();
  const auto log = owner_->Connect();
  ASSERT_TRUE(Append(*log, "a").ok());
  owner_.reset();
  Collector collector;
  auto subscription = Subscribe(*log, collector.Handler());
  StartOwner(port);
  EXPECT_THAT(Ids(collector.WaitFor(1)), ElementsAre("a"));
}

TEST_F(RemoteEventLogTest, StopsWhileTheOwnerIsAway) {
  const auto log = owner_->Connect();
  Collector collector;
  auto subscription = Subscribe(*log, collector.Handler());
  ASSERT_TRUE(Append(*log, "a").ok());
  EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  owner_.reset();
  subscription->Stop();
}

TEST_F(RemoteEventLogTest, AnAppendLargerThanAMessageGoesInParts) {
  const auto log = owner_->Connect();
  std::vector<messaging::Event> events;
  for (int i = 0; i < 10; ++i)
    events.push_back(MakeEvent(std::to_string(i), "k", std::string(900'000, 'x')));
  const auto positions = runtime_.Block(log->AppendBatch("t", events));
  ASSERT_TRUE(positions.ok()) << positions.status();
  EXPECT_EQ(positions->size(), 10u);
  Collector collector;
  auto subscription = Subscribe(*log, collector.Handler());
  const auto seen = collector.WaitFor(10);
  ASSERT_EQ(seen.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(seen[i].event, events[i]);
    EXPECT_EQ(seen[i].position, (*positions)[i]);
  }
}

TEST_F(RemoteEventLogTest, ABatchThatComesInPartsIsHandedOverWhole) {
  // Sends each event of a batch as a part of its own.
  class Splits final : public Spoiled {
   public:
    using Spoiled::Spoiled;
    Task<Status> Subscribe(CallContext& context, const v1::SubscribeRequest& request,
                           rpc::Stream<v1::SubscribeResponse>& out) override {
      Parts parts(out);
      co_return co_await real_->Subscribe(context, request, parts);
    }

   private:
    class Parts final : public rpc::Stream<v1::SubscribeResponse> {
     public:
      explicit Parts(rpc::Stream<v1::SubscribeResponse>& out) : out_(out) {}
      Task<Status> Write(const v1::SubscribeResponse& whole) override {
        for (int i = 0; i < whole.events_size(); ++i) {
          v1::SubscribeResponse part = whole;
          part.clear_events();
          *part.add_events() = whole.events(i);
          part.set_more(i + 1 < whole.events_size());
          CO_RETURN_IF_ERROR(co_await out_.Write(part));
        }
        co_return OkStatus();
      }

     private:
      rpc::Stream<v1::SubscribeResponse>& out_;
    };
  };
  const auto log = MakeRemoteEventLog(std::make_shared<Splits>(owner_->Client()), runtime_,
                                      {.answer_limit = std::chrono::milliseconds(1)});
  std::vector<messaging::Event> events;
  for (int i = 0; i < 10; ++i) events.push_back(MakeEvent(std::to_string(i), "k"));
  ASSERT_TRUE(runtime_.Block(log->AppendBatch("t", events)).ok());
  std::atomic<int> calls{0};
  Collector collector;
  auto subscription = Subscribe(*log, [&](std::span<const Delivered> batch) -> Task<Status> {
    ++calls;
    co_return co_await collector.Handler()(batch);
  });
  EXPECT_EQ(collector.WaitFor(10).size(), 10u);
  EXPECT_EQ(calls, 1);
}

TEST_F(RemoteEventLogTest, AnotherClustersProcessIsToldWhatToDo) {
  const auto log = MakeRemoteEventLog(owner_->Client("another"), runtime_, {});
  const Status refused = Append(*log, "a");
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("give both the same grpc.cluster_key"));
}

TEST_F(RemoteEventLogTest, AnOutcomeWhoseAnswerIsLostIsToldAgainAndTheHandlerNot) {
  class LosesFirst final : public Spoiled {
   public:
    using Spoiled::Spoiled;
    Task<StatusOr<v1::AcceptResponse>> Accept(CallContext& context,
                                              const v1::AcceptRequest& request) override {
      StatusOr<v1::AcceptResponse> answer = co_await real_->Accept(context, request);
      if (calls++ == 0) co_return Unavailable("the answer was lost");
      co_return answer;
    }
    std::atomic<int> calls{0};
  };
  const auto loses = std::make_shared<LosesFirst>(owner_->Client());
  const auto log = MakeRemoteEventLog(loses, runtime_, {});
  Collector collector;
  auto subscription = Subscribe(*log, collector.Handler());
  ASSERT_TRUE(Append(*log, "a").ok());
  EXPECT_EQ(collector.WaitFor(1).size(), 1u);
  ASSERT_TRUE(Append(*log, "b").ok());
  EXPECT_THAT(Ids(collector.WaitFor(2)), ElementsAre("a", "b"));
  EXPECT_GE(loses->calls, 2);
}

TEST_F(RemoteEventLogTest, AMuteStreamIsGivenUp) {
  class Mute final : public Spoiled {
   public:
    using Spoiled::Spoiled;
    Task<Status> Subscribe(CallContext& context, const v1::SubscribeRequest& request,
                           rpc::Stream<v1::SubscribeResponse>& out) override {
      if (calls++ > 0) co_return co_await real_->Subscribe(context, request, out);
      while (!context.Cancelled()) co_await SleepFor(std::chrono::milliseconds(5));
      co_return Cancelled("given up");
    }
    std::atomic<int> calls{0};
  };
  const auto mute = std::make_shared<Mute>(owner_->Client());
  const auto log = MakeRemoteEventLog(mute, runtime_,
                                      {.answer_limit = std::chrono::milliseconds(1),
                                       .quiet_limit = std::chrono::milliseconds(100)});
  Collector collector;
  auto subscription = Subscribe(*log, collector.Handler());
  ASSERT_TRUE(Append(*log, "a").ok());
  EXPECT_EQ(collector.WaitFor(1).size(), 1u);
}

TEST_F(RemoteEventLogTest, AFrozenConsumersGroupGoesToTheNextOne) {
  owner_.reset();
  owner_ = std::make_unique<EventsOwner>(
      folder_, messaging::EmbeddedEventLogOptions{}, runtime_, telemetry_, 0,
      EventsService::Options{.keep_alive = std::chrono::milliseconds(50),
                             .gone_after = std::chrono::seconds(1)});
  // Its stream stays as it is, and nothing is said: as a process that was stopped.
  class Frozen final : public Spoiled {
   public:
    using Spoiled::Spoiled;
    Task<StatusOr<v1::AcceptResponse>> Accept(CallContext& context,
                                              const v1::AcceptRequest& request) override {
      while (frozen) co_await SleepFor(std::chrono::milliseconds(5));
      co_return co_await real_->Accept(context, request);
    }
    std::atomic<bool> frozen{true};
  };
  const auto frozen = std::make_shared<Frozen>(owner_->Client());
  const auto one = MakeRemoteEventLog(frozen, runtime_, {});
  const auto two = MakeRemoteEventLog(owner_->Client(), runtime_,
                                      {.quiet_limit = std::chrono::milliseconds(400)});
  Collector first, second;
  auto active = Subscribe(*one, first.Handler());
  ASSERT_TRUE(Append(*two, "a").ok());
  EXPECT_EQ(first.WaitFor(1).size(), 1u);
  auto standby = Subscribe(*two, second.Handler());
  EXPECT_THAT(Ids(second.WaitFor(1)), ElementsAre("a"));
  ASSERT_TRUE(Append(*two, "b").ok());
  EXPECT_THAT(Ids(second.WaitFor(2)), ElementsAre("a", "b"));
  // What it says once it goes on is too late, and takes nothing from the other.
  frozen->frozen = false;
  ASSERT_TRUE(Append(*two, "c").ok());
  EXPECT_THAT(Ids(second.WaitFor(3)), ElementsAre("a", "b", "c"));
  EXPECT_EQ(first.seen().size(), 1u);
}

TEST_F(RemoteEventLogTest, AnOwnerThatStopsEndsItsStreamsAtOnceAndTakesNoNew) {
  class Quiet final : public rpc::Stream<v1::SubscribeResponse> {
   public:
    explicit Quiet(EventsService& service) : service_(service) {}
    Task<Status> Write(const v1::SubscribeResponse&) override {
      service_.Drain();
      co_return OkStatus();
    }

   private:
    EventsService& service_;
  } quiet(owner_->service());
  v1::SubscribeRequest request;
  request.set_topic("t");
  request.set_group("g");
  request.set_max_batch(10);
  request.set_max_attempts(1);
  request.mutable_first_pause()->set_nanos(1);
  request.mutable_longest_pause()->set_nanos(1);
  const auto client = owner_->Client();
  for (int twice = 0; twice < 2; ++twice) {
    auto context = CallContext::ForService("test", std::chrono::seconds(60));
    const Status status = runtime_.Block(client->Subscribe(context, request, quiet));
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("the process that serves events stops"));
  }
}

}  // namespace
}  // namespace starling::events

// What the service says to its callers, and the batch that waits for an outcome.
#include "services/events/events_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/host/service_test.h"
#include "services/events/event_codec.h"

namespace starling::events {
namespace {

using testing::HasSubstr;

class Sink final : public rpc::Stream<v1::SubscribeResponse> {
 public:
  Task<Status> Write(const v1::SubscribeResponse& part) override {
    parts.push_back(part);
    co_return OkStatus();
  }
  std::vector<v1::SubscribeResponse> parts;
};

class EventsServiceTest : public host::ServiceTest<EventsService> {
 protected:
  static v1::SubscribeRequest Request() {
    v1::SubscribeRequest request;
    request.set_topic("t");
    request.set_group("g");
    request.set_max_batch(10);
    request.set_max_attempts(3);
    request.mutable_first_pause()->set_nanos(1'000);
    request.mutable_longest_pause()->set_seconds(1);
    return request;
  }
};

TEST_F(EventsServiceTest, RefusesASubscriptionThatMakesNoSense) {
  struct Row {
    std::string says;
    std::function<void(v1::SubscribeRequest&)> spoil;
  };
  const Row rows[] = {
      {"max_batch: 0", [](auto& r) { r.set_max_batch(0); }},
      {"max_batch: 10001", [](auto& r) { r.set_max_batch(10'001); }},
      {"max_attempts: 0", [](auto& r) { r.set_max_attempts(0); }},
      {"first_pause", [](auto& r) { r.mutable_first_pause()->set_nanos(0); }},
      {"longest_pause", [](auto& r) { r.mutable_longest_pause()->set_seconds(-1); }},
      {"'a/b' is no name", [](auto& r) { r.set_group("a/b"); }},
      {"'../t' is no name", [](auto& r) { r.set_topic("../t"); }},
  };
  for (const Row& row : rows) {
    v1::SubscribeRequest request = Request();
    row.spoil(request);
    Sink sink;
    const Status status = Block(service_->Subscribe(context_, request, sink));
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << row.says;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.says));
    EXPECT_TRUE(sink.parts.empty()) << row.says;
  }
}

TEST_F(EventsServiceTest, IsForServicesOfTheClusterAlone) {
  const auto bound =
      environment_.registry().AddLocal<v1::Events>(service_, environment_.telemetry(), nullptr, {});
  auto admin = host::TestEnvironment::Call(std::make_shared<security::Identity>(security::Identity{
      .kind = security::Identity::kKey, .subject = "k", .scopes = security::ScopeSet::Admin()}));
  Sink sink;
  EXPECT_EQ(Block(bound->AppendBatch(admin, {})).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Block(bound->Subscribe(admin, Request(), sink)).code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Block(bound->Accept(admin, {})).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Block(bound->Unsubscribe(admin, {})).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Block(bound->Lag(admin, {})).status().code(), StatusCode::kPermissionDenied);
}

TEST_F(EventsServiceTest, AStreamEndsBeforeItsDeadlineWouldCutABatch) {
  auto context = CallContext::ForService("test", EventsService::Options().keep_alive);
  Sink sink;
  const Status status = Block(service_->Subscribe(context, Request(), sink));
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(sink.parts.size(), 1u);
  EXPECT_FALSE(sink.parts[0].subscription_id().empty());
}

TEST_F(EventsServiceTest, BytesThatAreNoEventAreRefused) {
  v1::AppendBatchRequest request;
  request.set_topic("t");
  request.add_events("\x07 no event");
  EXPECT_EQ(Block(service_->AppendBatch(context_, request)).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(EventsServiceTest, AnOutcomeOfNobodysBatchIsNotFoundAndAnEndedSubscriptionIsLeft) {
  v1::AcceptRequest accept;
  accept.set_subscription_id("nobody");
  accept.set_delivery_id(1);
  EXPECT_EQ(Block(service_->Accept(context_, accept)).status().code(), StatusCode::kNotFound);
  v1::UnsubscribeRequest leave;
  leave.set_subscription_id("nobody");
  EXPECT_TRUE(Block(service_->Unsubscribe(context_, leave)).ok());
}

// A batch of one event that a subscriber is offered; its outcome, once there is one.
class Offered {
 public:
  Offered(Runtime& runtime, Subscriber& subscriber) {
    Spawn(runtime.NextExecutor(),
          [](Subscriber& subscriber, std::promise<Status>& outcome) -> Task<void> {
            const messaging::Delivered delivered{.event = {.id = "a", .source = "/s", .type = "t"}};
            const Status status = co_await subscriber.Offer(std::span(&delivered, 1));
            outcome.set_value(status);
          }(subscriber, outcome_));
  }
  Status outcome() { return outcome_.get_future().get(); }

 private:
  std::promise<Status> outcome_;
};

TEST(Subscriber, AnOutcomeThatIsToldTwiceCountsOnce) {
  Runtime runtime({.io_threads = 1});
  Subscriber subscriber("s");
  Offered first(runtime, subscriber);
  auto parts = runtime.Block(subscriber.Next());
  ASSERT_TRUE(parts.has_value());
  ASSERT_EQ(parts->size(), 1u);
  EXPECT_EQ(parts->at(0).delivery_id(), 1u);
  EXPECT_TRUE(subscriber.Busy());
  EXPECT_EQ(subscriber.Accept(2, OkStatus()).code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(subscriber.Accept(1, NotFound("x")).ok());
  EXPECT_EQ(first.outcome().code(), StatusCode::kNotFound);
  EXPECT_TRUE(subscriber.Accept(1, OkStatus()).ok());
  Offered second(runtime, subscriber);
  parts = runtime.Block(subscriber.Next());
  ASSERT_TRUE(parts.has_value());
  EXPECT_TRUE(subscriber.Accept(1, InvalidArgument("of the batch before")).ok());
  EXPECT_TRUE(subscriber.Busy());
  EXPECT_TRUE(subscriber.Accept(2, OkStatus()).ok());
  EXPECT_TRUE(second.outcome().ok());
}

TEST(Subscriber, GivesItsBatchBackWhenItIsClosed) {
  Runtime runtime({.io_threads = 1});
  Subscriber subscriber("s");
  Offered offered(runtime, subscriber);
  ASSERT_TRUE(runtime.Block(subscriber.Next()).has_value());
  subscriber.Close();
  EXPECT_EQ(offered.outcome().code(), StatusCode::kCancelled);
  EXPECT_EQ(subscriber.Accept(1, OkStatus()).code(), StatusCode::kFailedPrecondition);
  Offered late(runtime, subscriber);
  EXPECT_EQ(late.outcome().code(), StatusCode::kCancelled);
  EXPECT_FALSE(runtime.Block(subscriber.Next()).has_value());
}

TEST(EventCodec, SplitsWhatOneMessageCannotCarry) {
  std::vector<messaging::Delivered> batch(7);
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].event = {.id = std::to_string(i), .source = "/s", .type = "t"};
    batch[i].event.data = std::string(1 << 20, 'x');
    batch[i].position = {static_cast<uint16_t>(i), i + 100};
    batch[i].attempt = static_cast<int>(i) + 1;
  }
  const auto parts = Split<v1::ReadResponse>(batch);
  EXPECT_EQ(parts.size(), 4u);
  size_t at = 0;
  for (const v1::ReadResponse& part : parts) {
    EXPECT_LE(part.ByteSizeLong(), kMaxPartBytes + 1'000);
    for (const v1::Delivered& message : part.events()) {
      const auto delivered = FromMessage(message);
      ASSERT_TRUE(delivered.ok()) << delivered.status();
      EXPECT_EQ(delivered->event, batch[at].event);
      EXPECT_EQ(delivered->position, batch[at].position);
      EXPECT_EQ(delivered->attempt, batch[at].attempt);
      ++at;
    }
  }
  EXPECT_EQ(at, batch.size());
  EXPECT_EQ(Split<v1::ReadResponse>({}).size(), 1u);
}

}  // namespace
}  // namespace starling::events

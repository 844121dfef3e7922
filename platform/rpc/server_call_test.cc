#include "platform/rpc/server_call.h"

#include <gtest/gtest.h>

#include <google/protobuf/wrappers.pb.h>

#include "platform/telemetry/telemetry.h"

namespace starling::rpc {
namespace {

constexpr MethodDescriptor kMethods[] = {{.name = "Get",
                                          .full_name = "test.Shop/Get",
                                          .access = {.anyone = true},
                                          .deadline = std::chrono::seconds(1),
                                          .max_in_flight = 1},
                                         {.name = "List",
                                          .full_name = "test.Shop/List",
                                          .access = {.anyone = true},
                                          .idempotency = Idempotency::kNoSideEffects,
                                          .deadline = std::chrono::seconds(1)},
                                         {.name = "Export",
                                          .full_name = "test.Shop/Export",
                                          .access = {.anyone = true},
                                          .idempotency = Idempotency::kNoSideEffects,
                                          .deadline = std::chrono::seconds(1),
                                          .priority = resilience::Priority::kSheddable,
                                          .server_streaming = true}};
constexpr ServiceDescriptor kShop{.name = "shop", .full_name = "test.Shop", .methods = kMethods};

class ServerCallTest : public ::testing::Test {
 protected:
  // Whether it is counted once, and an event of a span.
  void ExpectTold(const std::string& counter, const std::string& event) {
    const std::string metrics = telemetry_.metrics().Expose();
    EXPECT_NE(metrics.find("starling_rpc_" + counter + "_total{service=\"shop\",method=\"Get\"} 1"),
              std::string::npos)
        << metrics;
    const std::string spans = telemetry::OtlpJson(telemetry_.tracer().Recent(), "test", "1");
    EXPECT_NE(spans.find("\"name\":\"" + event + "\""), std::string::npos) << spans;
  }

  using Text = google::protobuf::StringValue;
  static CallContext Context() { return CallContext::ForService("test", std::chrono::seconds(1)); }
  bool Admitted(int method, std::optional<resilience::Priority> priority = std::nullopt) {
    CallContext context = Context();
    context.priority = priority;
    return ServerCall(runtime_.method(method), context, "").admitted();
  }
  // A call of List with the request `of` that ends so; what the caller gets.
  StatusOr<std::string> List(const std::string& of, StatusOr<std::string> says,
                             std::string* degraded = nullptr) {
    CallContext context = Context();
    ServerCall call(runtime_.method(1), context, "");
    Text request;
    request.set_value(of);
    StatusOr<Text> response = Text();
    if (says.ok()) {
      response->set_value(*says);
    } else {
      response = says.status();
    }
    call.Finish(response, request);
    if (degraded != nullptr) *degraded = context.degraded;
    if (!response.ok()) return response.status();
    return response->value();
  }

  telemetry::Telemetry telemetry_{{.sampling_ratio = 1}};
  LastGoodAnswers answers_{1'000'000};
  ServiceRuntime runtime_{kShop, telemetry_, nullptr, {}};
};

TEST_F(ServerCallTest, WhatIsShedIsCountedAndShown) {
  CallContext context = CallContext::ForService("test", std::chrono::seconds(1));
  ServerCall first(runtime_.method(0), context, "");
  ASSERT_TRUE(first.admitted());
  ServerCall second(runtime_.method(0), context, "");
  ASSERT_FALSE(second.admitted());
  EXPECT_EQ(Reason(second.refusal()), reason::kOverloaded);
  first.Finish(OkStatus());
  ExpectTold("shed", "shed");
}

TEST_F(ServerCallTest, WhatTheDeadlineCutsIsCountedAndShown) {
  CallContext context = CallContext::ForService("test", std::chrono::seconds(-1));
  ServerCall late(runtime_.method(0), context, "");
  ASSERT_FALSE(late.admitted());
  EXPECT_EQ(late.refusal().code(), StatusCode::kDeadlineExceeded);
  ExpectTold("deadline_cut", "deadline cut");
}

TEST_F(ServerCallTest, EventsAreOfTheCallAndNotOfACopyOfItsContext) {
  {
    CallContext context = CallContext::ForService("test", std::chrono::seconds(1));
    ServerCall call(runtime_.method(0), context, "");
    CallContext copy = call.context();
    copy.AddEvent("of the copy");
    call.context().AddEvent("of the call");
    call.Finish(OkStatus());
  }
  const std::string spans = telemetry::OtlpJson(telemetry_.tracer().Recent(), "test", "1");
  EXPECT_NE(spans.find("of the call"), std::string::npos);
  EXPECT_EQ(spans.find("of the copy"), std::string::npos);
}

TEST_F(ServerCallTest, TheLeastImportantIsRefusedFirst) {
  using resilience::Priority;
  runtime_.SetConcurrency({.initial = 10, .least = 10, .most = 10});
  std::vector<std::unique_ptr<ServerCall>> running;
  CallContext context = Context();
  const auto run = [&](int calls) {
    for (int i = 0; i < calls; ++i)
      running.push_back(std::make_unique<ServerCall>(runtime_.method(1), context, ""));
  };
  run(7);
  EXPECT_FALSE(Admitted(1, Priority::kSheddable));
  EXPECT_FALSE(Admitted(2)) << "as its contract says";
  EXPECT_TRUE(Admitted(1));
  run(2);
  EXPECT_FALSE(Admitted(1));
  EXPECT_TRUE(Admitted(2, Priority::kCritical)) << "as the call says that it is part of";
  ASSERT_TRUE(runtime_.SetPriority("List", Priority::kCritical).ok());
  EXPECT_TRUE(Admitted(1)) << "as configured";
  ASSERT_TRUE(runtime_.SetPriority("List", std::nullopt).ok());
  EXPECT_FALSE(Admitted(1));
  for (const auto& call : running) EXPECT_TRUE(call->admitted());
  running.clear();
  EXPECT_TRUE(Admitted(2));
  EXPECT_EQ(runtime_.limiter().in_flight(), 0);
}

TEST_F(ServerCallTest, AStreamTakesNoPlace) {
  CallContext context = Context();
  const ServerCall stream(runtime_.method(2), context, "");
  ASSERT_TRUE(stream.admitted());
  EXPECT_EQ(runtime_.limiter().in_flight(), 0);
}

TEST_F(ServerCallTest, TheCallsOfACallHaveItsPriority) {
  CallContext context = Context();
  context.priority = resilience::Priority::kSheddable;
  ServerCall call(runtime_.method(1), context, "");
  EXPECT_EQ(call.context().priority, resilience::Priority::kSheddable);
}

TEST_F(ServerCallTest, TheLastGoodAnswerToTheSameRequestIsGivenWhileTheMethodFails) {
  ASSERT_TRUE(runtime_.SetFallback("List", {.kind = Fallback::kLastGood}, answers_).ok());
  EXPECT_EQ(*List("a", "apples"), "apples");
  EXPECT_EQ(*List("b", "bread"), "bread");
  std::string degraded;
  EXPECT_EQ(*List("a", Unavailable("gone"), &degraded), "apples");
  EXPECT_EQ(degraded, "shop.List");
  EXPECT_EQ(List("a", NotFound("no such thing")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(List("c", Unavailable("gone")).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(*List("a", "avocados", &degraded), "avocados");
  EXPECT_EQ(degraded, "");
  const std::string metrics = telemetry_.metrics().Expose();
  EXPECT_NE(metrics.find(
                "starling_fallbacks_total{service=\"shop\",method=\"List\",kind=\"last_good\"} 1"),
            std::string::npos)
      << metrics;
  const std::string spans = telemetry::OtlpJson(telemetry_.tracer().Recent(), "test", "1");
  EXPECT_NE(spans.find("fallback: last good"), std::string::npos);
}

TEST_F(ServerCallTest, ARefusedCallFallsBackToo) {
  runtime_.SetConcurrency({.adaptive = false, .most = 1});
  ASSERT_TRUE(runtime_.SetFallback("List", {.kind = Fallback::kDefault}, answers_).ok());
  CallContext context = Context();
  const ServerCall running(runtime_.method(1), context, "");
  CallContext other = Context();
  ServerCall refused(runtime_.method(1), other, "");
  ASSERT_FALSE(refused.admitted());
  const StatusOr<Text> answer = refused.Refuse<Text>(Text());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->value(), "");
  EXPECT_EQ(other.degraded, "shop.List");
}

TEST_F(ServerCallTest, WhatChangesSomethingOrStreamsHasNoFallback) {
  for (const char* method : {"Get", "Export"}) {
    EXPECT_EQ(runtime_.SetFallback(method, {.kind = Fallback::kDefault}, answers_).code(),
              StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace starling::rpc

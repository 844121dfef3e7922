#include "platform/rpc/server_call.h"

#include <gtest/gtest.h>

#include "platform/telemetry/telemetry.h"

namespace starling::rpc {
namespace {

constexpr MethodDescriptor kMethods[] = {{.name = "Get",
                                          .full_name = "test.Shop/Get",
                                          .access = {.anyone = true},
                                          .deadline = std::chrono::seconds(1),
                                          .max_in_flight = 1}};
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

  telemetry::Telemetry telemetry_{{.sampling_ratio = 1}};
  ServiceRuntime runtime_{kShop, telemetry_, nullptr, {}};
};

TEST_F(ServerCallTest, WhatIsShedIsCountedAndShown) {
  const CallContext context = CallContext::ForService("test", std::chrono::seconds(1));
  ServerCall first(runtime_.method(0), context, "");
  ASSERT_TRUE(first.admitted());
  ServerCall second(runtime_.method(0), context, "");
  ASSERT_FALSE(second.admitted());
  EXPECT_EQ(Reason(second.refusal()), reason::kOverloaded);
  first.Finish(OkStatus());
  ExpectTold("shed", "shed");
}

TEST_F(ServerCallTest, WhatTheDeadlineCutsIsCountedAndShown) {
  const CallContext context = CallContext::ForService("test", std::chrono::seconds(-1));
  ServerCall late(runtime_.method(0), context, "");
  ASSERT_FALSE(late.admitted());
  EXPECT_EQ(late.refusal().code(), StatusCode::kDeadlineExceeded);
  ExpectTold("deadline_cut", "deadline cut");
}

TEST_F(ServerCallTest, EventsAreOfTheCallAndNotOfACopyOfItsContext) {
  {
    const CallContext context = CallContext::ForService("test", std::chrono::seconds(1));
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

}  // namespace
}  // namespace starling::rpc

#include "platform/rpc/service_channel.h"

#include <gmock/gmock.h>

#include <boost/asio/io_context.hpp>
#include <deque>

#include "platform/discovery/resolver.h"
#include "platform/security/identity.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr MethodDescriptor kRead{.name = "Read",
                                 .full_name = "test.Shop/Read",
                                 .grpc_path = "/test.Shop/Read",
                                 .idempotency = Idempotency::kNoSideEffects};
constexpr MethodDescriptor kWrite{
    .name = "Write", .full_name = "test.Shop/Write", .grpc_path = "/test.Shop/Write"};

// An endpoint that does as it is told.
struct Place {
  bool usable = true;
  Duration takes{0};
  std::deque<Status> says;  // then OK
  int calls = 0;
  int cancelled = 0;
};

class PlaceChannel final : public Channel {
 public:
  PlaceChannel(Place& place, std::string address) : place_(place), address_(std::move(address)) {}
  Task<StatusOr<std::string>> Call(const MethodDescriptor&, CallContext& context,
                                   std::string request) override {
    ++place_.calls;
    const Instant end = std::chrono::steady_clock::now() + place_.takes;
    Status status;
    if (!place_.says.empty()) {
      status = place_.says.front();
      place_.says.pop_front();
    }
    while (std::chrono::steady_clock::now() < end) {
      if (context.Cancelled()) {
        ++place_.cancelled;
        co_return Cancelled("cancelled");
      }
      if (context.Remaining() == Duration(0)) co_return DeadlineExceeded("too late");
      co_await SleepFor(milliseconds(1));
    }
    if (!status.ok()) co_return status;
    co_return address_ + " got " + request;
  }
  Task<Status> CallStream(const MethodDescriptor&, CallContext&, std::string, ByteSink&) override {
    co_return OkStatus();
  }
  bool Usable() override { return place_.usable; }
  std::string_view target() const override { return address_; }

 private:
  Place& place_;
  const std::string address_;
};

class FixedResolver final : public discovery::Resolver {
 public:
  explicit FixedResolver(std::vector<discovery::Endpoint> endpoints)
      : endpoints_(std::move(endpoints)) {}
  StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string, OnChange on_change) override {
    on_change(endpoints_);
    return std::make_unique<discovery::Watch>();
  }

 private:
  const std::vector<discovery::Endpoint> endpoints_;
};

class ServiceChannelTest : public ::testing::Test {
 protected:
  std::shared_ptr<ServiceChannel> Open(std::vector<std::string> addresses,
                                       ServiceChannelOptions options = {}) {
    std::vector<discovery::Endpoint> endpoints;
    for (const std::string& address : addresses) endpoints.push_back({.address = address});
    FixedResolver resolver(endpoints);
    options.service = "shop";
    options.open = [this](const discovery::Endpoint& endpoint) -> std::shared_ptr<Channel> {
      return std::make_shared<PlaceChannel>(places_[endpoint.address], endpoint.address);
    };
    options.connect_patience = milliseconds(50);
    auto channel = ServiceChannel::Open(std::move(options), resolver, telemetry_);
    EXPECT_TRUE(channel.ok());
    return *channel;
  }
  StatusOr<std::string> Call(ServiceChannel& channel, const MethodDescriptor& method,
                             Duration timeout = seconds(2), std::string key = "") {
    return RunSync([](ServiceChannel& to, const MethodDescriptor& which, Duration limit,
                      std::string idempotency_key) -> Task<StatusOr<std::string>> {
      CallContext context = CallContext::ForService("test", limit);
      context.idempotency_key = std::move(idempotency_key);
      StatusOr<std::string> answer = co_await to.Call(which, context, "hello");
      co_return answer;
    }(channel, method, timeout, std::move(key)));
  }
  double Count(std::string_view what) {
    const std::string text = telemetry_.metrics().Expose();
    const std::string name = fmt::format("starling_client_{}_total{{service=\"shop\"}} ", what);
    const size_t at = text.find(name);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size()));
  }

  // Whether an event of that name is in the spans of what was called, as they are exported.
  bool Shown(std::string_view event) {
    const std::string json = telemetry::OtlpJson(telemetry_.tracer().Recent(), "test", "1");
    return json.find(fmt::format("\"name\":\"{}\"", event)) != std::string::npos;
  }
  // Whether a decision is counted that often, and shown.
  void ExpectTold(std::string_view counter, double times, std::string_view event) {
    EXPECT_EQ(Count(counter), times) << counter;
    EXPECT_TRUE(Shown(event)) << event;
  }

  std::map<std::string, Place> places_;
  telemetry::Telemetry telemetry_{{.sampling_ratio = 1, .recent_limit = 100'000}};
};

TEST_F(ServiceChannelTest, ARefusalIsTriedElsewhere) {
  const auto channel = Open({"a", "b"});
  for (Place* place : {&places_["a"], &places_["b"]}) place->says = {Unavailable("gone")};
  const auto answer = Call(*channel, kRead);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(places_["a"].calls + places_["b"].calls, 3);
  EXPECT_GE(places_["a"].calls, 1);
  EXPECT_GE(places_["b"].calls, 1);
  ExpectTold("retries", 2, "retry");
}

TEST_F(ServiceChannelTest, WhatMayHaveActedIsNotDoneTwice) {
  const auto channel = Open({"a", "b"});
  for (Place* place : {&places_["a"], &places_["b"]}) place->says = {Unavailable("gone")};
  EXPECT_EQ(Call(*channel, kWrite).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(places_["a"].calls + places_["b"].calls, 1);
}

TEST_F(ServiceChannelTest, AnIdempotencyKeyMakesAWriteHarmless) {
  const auto channel = Open({"a", "b"});
  for (Place* place : {&places_["a"], &places_["b"]}) place->says = {Unavailable("gone")};
  EXPECT_TRUE(Call(*channel, kWrite, seconds(2), "key").ok());
}

TEST_F(ServiceChannelTest, AnOverloadedPlaceHasNotActed) {
  const auto channel = Open({"a", "b"});
  for (Place* place : {&places_["a"], &places_["b"]})
    place->says = {Overloaded("full", milliseconds(1))};
  EXPECT_TRUE(Call(*channel, kWrite).ok());
}

TEST_F(ServiceChannelTest, WhatTheServiceDecidesIsNotRetried) {
  const auto channel = Open({"a"});
  places_["a"].says = {NotFound("no such product")};
  EXPECT_EQ(Call(*channel, kRead).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(places_["a"].calls, 1);
}

TEST_F(ServiceChannelTest, RetriesEndWithTheirBudget) {
  const auto channel =
      Open({"a"}, {.retries = {.ratio = 0.1, .reserve = 5}, .breaker = {.least_calls = 1'000'000}});
  places_["a"].says.assign(1'000, Unavailable("gone"));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Call(*channel, kRead).ok());
  EXPECT_LE(places_["a"].calls, 115);
  EXPECT_GE(Count("retries_refused"), 80);
  EXPECT_TRUE(Shown("retry refused by the budget"));
}

TEST_F(ServiceChannelTest, OnlyConnectedPlacesAreCalled) {
  const auto channel = Open({"a", "b", "c"});
  places_["a"].usable = places_["c"].usable = false;
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Call(*channel, kWrite).ok());
  EXPECT_EQ(places_["b"].calls, 20);
}

TEST_F(ServiceChannelTest, ACallWaitsForAShortAbsence) {
  const auto channel = Open({"a"});
  places_["a"].usable = false;
  const Instant back = std::chrono::steady_clock::now() + milliseconds(20);
  const auto answer =
      RunSync([](ServiceChannel& to, Place& place, Instant when) -> Task<StatusOr<std::string>> {
        Spawn(co_await CurrentExecutor(), [](Place& gone, Instant until) -> Task<void> {
          co_await SleepFor(until - std::chrono::steady_clock::now());
          gone.usable = true;
        }(place, when));
        CallContext context = CallContext::ForService("test", seconds(2));
        StatusOr<std::string> given = co_await to.Call(kWrite, context, "hello");
        co_return given;
      }(*channel, places_["a"], back));
  EXPECT_TRUE(answer.ok()) << answer.status();
}

TEST_F(ServiceChannelTest, ALongAbsenceIsToldAtOnce) {
  const auto channel = Open({"a"}, {.policy = {.attempts = 1}});
  places_["a"].usable = false;
  (void)Call(*channel, kRead);  // waits out the patience
  const Instant start = std::chrono::steady_clock::now();
  const auto answer = Call(*channel, kRead);
  EXPECT_THAT(std::string(answer.status().message()), HasSubstr("shop: no process"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(40));
  ExpectTold("unreachable", 2, "nobody connected");
}

TEST_F(ServiceChannelTest, TheBreakerRefusesAndLetsProbesThrough) {
  const auto channel =
      Open({"a"}, {.policy = {.attempts = 1},
                   .breaker = {.least_calls = 10, .first_open = milliseconds(30), .probes = 1}});
  places_["a"].says.assign(10, Unavailable("gone"));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Call(*channel, kRead).ok());
  const auto refused = Call(*channel, kRead);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("none is made for a while"));
  EXPECT_TRUE(RetryAfter(refused.status()).has_value());
  EXPECT_EQ(places_["a"].calls, 10);
  const Instant until = std::chrono::steady_clock::now() + seconds(5);
  while (!Call(*channel, kRead).ok() && std::chrono::steady_clock::now() < until) {
  }
  EXPECT_TRUE(Call(*channel, kRead).ok());
  ExpectTold("breaker_opened", 1, "circuit breaker opened");
  ExpectTold("breaker_closed", 1, "circuit breaker closed");
  ExpectTold("breaker_probes", 1, "circuit breaker probe");
  EXPECT_GE(Count("breaker_refused"), 1);
  EXPECT_TRUE(Shown("refused by the circuit breaker"));
}

TEST_F(ServiceChannelTest, ASlowPlaceIsHedged) {
  const auto channel = Open({"a", "b"}, {.policy = {.hedge_after = milliseconds(20)}});
  // Whichever is asked first is slow.
  places_["a"].takes = seconds(1);
  const Instant start = std::chrono::steady_clock::now();
  int slow = 0;
  for (int i = 0; i < 5; ++i) {
    const auto answer = Call(*channel, kRead);
    ASSERT_TRUE(answer.ok()) << answer.status();
    if (*answer == "a got hello") ++slow;
  }
  EXPECT_EQ(slow, 0) << "b answers first";
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(900));
  ExpectTold("hedges_won", places_["a"].calls, "hedge won");
  ExpectTold("hedges", places_["a"].calls, "hedge");
}

TEST_F(ServiceChannelTest, WritesAreNotHedged) {
  const auto channel = Open({"a", "b"}, {.policy = {.hedge_after = milliseconds(5)}});
  places_["a"].takes = places_["b"].takes = milliseconds(30);
  EXPECT_TRUE(Call(*channel, kWrite).ok());
  EXPECT_EQ(places_["a"].calls + places_["b"].calls, 1);
}

TEST_F(ServiceChannelTest, ATryHasItsOwnTimeout) {
  const auto channel = Open({"a", "b"}, {.policy = {.try_timeout = milliseconds(20)}});
  places_["a"].takes = seconds(5);
  for (int i = 0; i < 3; ++i) {
    const auto answer = Call(*channel, kRead);
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(*answer, "b got hello");
  }
  ExpectTold("deadline_cut", places_["a"].calls, "deadline cut");
}

// The contract gives a method a second.
constexpr MethodDescriptor kTimed{.name = "Timed",
                                  .full_name = "test.Shop/Timed",
                                  .grpc_path = "/test.Shop/Timed",
                                  .idempotency = Idempotency::kNoSideEffects,
                                  .deadline = seconds(1)};

TEST_F(ServiceChannelTest, ACallerInAHurryDoesNotOpenTheBreaker) {
  const auto channel = Open({"a"}, {.policy = {.attempts = 1},
                                    .balancer = {.consecutive_failures = 3, .max_ejected = 1},
                                    .breaker = {.least_calls = 5}});
  places_["a"].takes = milliseconds(40);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(Call(*channel, kTimed, milliseconds(3)).status().code(),
              StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Call(*channel, kTimed).ok());
  for (int i = 0; i < 20; ++i) (void)Call(*channel, kTimed, milliseconds(3));
  EXPECT_TRUE(Call(*channel, kTimed).ok());
  EXPECT_EQ(Count("breaker_opened"), 0);
  EXPECT_EQ(Count("ejections"), 0);
  ExpectTold("deadline_cut", 40, "deadline cut");
}

TEST_F(ServiceChannelTest, ACalleeSlowerThanUsualOpensTheBreaker) {
  const auto channel = Open(
      {"a"}, {.policy = {.attempts = 1}, .breaker = {.least_calls = 5, .first_open = seconds(9)}});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(Call(*channel, kTimed).ok());
  places_["a"].takes = seconds(2);
  // Less than the contract's second, and more than it ever took.
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Call(*channel, kTimed, milliseconds(60)).ok());
  EXPECT_EQ(Count("breaker_opened"), 1);
}

TEST_F(ServiceChannelTest, AnEndpointThatKeepsFailingIsEjectedAndToldOf) {
  const auto channel = Open({"a", "b"}, {.policy = {.attempts = 1},
                                         .balancer = {.consecutive_failures = 3},
                                         .breaker = {.least_calls = 1'000}});
  places_["a"].says.assign(100, Unavailable("gone"));
  for (int i = 0; i < 40; ++i) (void)Call(*channel, kRead);
  EXPECT_EQ(places_["a"].calls, 3);
  ExpectTold("ejections", 1, "endpoint ejected");
}

TEST_F(ServiceChannelTest, TheBulkheadIsABound) {
  const auto channel = Open({"a"}, {.max_in_flight = 2});
  places_["a"].takes = milliseconds(50);
  const int refused = RunSync([](std::shared_ptr<ServiceChannel> to) -> Task<int> {
    const Executor here = co_await CurrentExecutor();
    struct Outcome {
      int refused = 0, ended = 0;
    };
    const auto outcome = std::make_shared<Outcome>();
    for (int i = 0; i < 5; ++i) {
      Spawn(
          here,
          [](std::shared_ptr<ServiceChannel> channel, std::shared_ptr<Outcome> out) -> Task<void> {
            CallContext context = CallContext::ForService("test", seconds(2));
            const StatusOr<std::string> answer = co_await channel->Call(kRead, context, "x");
            if (Reason(answer.status()) == reason::kOverloaded) ++out->refused;
            ++out->ended;
          }(to, outcome));
    }
    while (outcome->ended < 5) co_await SleepFor(milliseconds(1));
    co_return outcome->refused;
  }(channel));
  EXPECT_EQ(refused, 3);
  ExpectTold("bulkhead_refused", 3, "bulkhead refused");
  EXPECT_TRUE(Call(*channel, kRead).ok());
}

TEST_F(ServiceChannelTest, PoliciesChangeWhileItServes) {
  const auto channel = Open({"a"});
  channel->SetPolicies({{"Read", {.attempts = 1}}});
  places_["a"].says = {Unavailable("gone")};
  EXPECT_FALSE(Call(*channel, kRead).ok());
  EXPECT_EQ(places_["a"].calls, 1);
}

TEST_F(ServiceChannelTest, WhoHasTooMuchToDoIsNotBroken) {
  ServiceChannelOptions options{.policy = {.attempts = 1}};
  options.balancer.consecutive_failures = 3;
  const auto channel = Open({"a"}, options);
  for (int i = 0; i < 200; ++i) places_["a"].says.push_back(Overloaded("busy", seconds(1)));
  for (int i = 0; i < 200; ++i)
    EXPECT_EQ(Reason(Call(*channel, kRead).status()), reason::kOverloaded);
  EXPECT_EQ(places_["a"].calls, 200) << "the breaker is closed";
  EXPECT_EQ(Count("breaker_opened"), 0);
  EXPECT_EQ(Count("ejections"), 0);
  ExpectTold("overloaded", 200, "overloaded");
  EXPECT_TRUE(Call(*channel, kRead).ok());
}

TEST_F(ServiceChannelTest, TheOthersAreAskedAtOnceAndMore) {
  const auto channel = Open({"a", "b"});
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Call(*channel, kRead).ok());
  places_["a"].calls = places_["b"].calls = 0;
  for (int i = 0; i < 1'000; ++i) places_["a"].says.push_back(Overloaded("busy", seconds(30)));
  // A pause of the thirty seconds that "a" asks for would end in an error.
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(Call(*channel, kRead).ok());
  EXPECT_EQ(places_["b"].calls, 100);
  EXPECT_LT(places_["a"].calls, 10);
}

TEST_F(ServiceChannelTest, ASheddableCallIsNotTriedAgain) {
  const auto channel = Open({"a", "b"});
  for (Place* place : {&places_["a"], &places_["b"]})
    place->says = {Overloaded("busy", seconds(0))};
  const Status status = RunSync([](ServiceChannel& to) -> Task<Status> {
    CallContext context = CallContext::ForService("test", seconds(2));
    context.priority = resilience::Priority::kSheddable;
    StatusOr<std::string> answer = co_await to.Call(kRead, context, "hello");
    co_return answer.status();
  }(*channel));
  EXPECT_EQ(Reason(status), reason::kOverloaded);
  EXPECT_EQ(places_["a"].calls + places_["b"].calls, 1);
}

TEST_F(ServiceChannelTest, TheLastGoodAnswerIsGivenWhileTheServiceFails) {
  LastGoodAnswers answers(100'000);
  ServiceChannelOptions options{.policy = {.attempts = 1}, .answers = &answers};
  const auto channel = Open({"a"}, options);
  channel->SetPolicies({{"Read", {.attempts = 1, .fallback = {.kind = Fallback::kLastGood}}},
                        {"Write", {.attempts = 1, .fallback = {.kind = Fallback::kDefault}}}});
  EXPECT_EQ(*Call(*channel, kRead), "a got hello");
  places_["a"].says = {Unavailable("gone"), Unavailable("gone")};
  EXPECT_EQ(*Call(*channel, kRead), "a got hello");
  EXPECT_EQ(Call(*channel, kWrite).status().code(), StatusCode::kUnavailable)
      << "it does not only read";
  EXPECT_TRUE(Shown("fallback: last good"));
  places_["a"].takes = seconds(5);
  EXPECT_EQ(*Call(*channel, kRead, milliseconds(200)), "a got hello") << "before its time is over";
}

TEST_F(ServiceChannelTest, TheDefaultAnswerIsEmptyAndNamedInTheContext) {
  const auto channel = Open({"a"});
  channel->SetPolicies({{"Read", {.attempts = 1, .fallback = {.kind = Fallback::kDefault}}}});
  places_["a"].says = {Unavailable("gone")};
  const Status status = RunSync([](ServiceChannel& to) -> Task<Status> {
    CallContext context = CallContext::ForService("test", seconds(2));
    StatusOr<std::string> answer = co_await to.Call(kRead, context, "hello");
    EXPECT_EQ(answer.value_or("an error"), "");
    EXPECT_EQ(context.degraded, "shop.Read");
    answer = co_await to.Call(kRead, context, "hello");
    EXPECT_EQ(answer.value_or("an error"), "a got hello");
    co_return OkStatus();
  }(*channel));
  EXPECT_TRUE(status.ok());
}

}  // namespace
}  // namespace starling::rpc

#include "platform/discovery/balancer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "platform/discovery/balancer_simulation.h"

namespace starling::discovery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Duration LatencyOf(const Balancer& balancer, std::string_view address) {
  for (const EndpointHealth& health : balancer.Health()) {
    if (health.endpoint.address == address) return health.latency;
  }
  return Duration(-1);
}

TEST(BalancerTest, NobodyIsThereSaysSo) {
  FakeClock clock{TimePoint()};
  Balancer balancer({}, clock, 1);
  EXPECT_EQ(balancer.Choose().status().code(), StatusCode::kUnavailable);
  balancer.SetEndpoints(EndpointsIn({{"a:1", ""}}));
  EXPECT_TRUE(balancer.Choose().ok());
  balancer.SetEndpoints({});
  EXPECT_EQ(balancer.Choose().status().code(), StatusCode::kUnavailable);
}

TEST(BalancerTest, EqualEndpointsGetEqualShares) {
  Simulation simulation;
  simulation.balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}}));
  simulation.Run(seconds(20), 1000);
  for (const auto& [address, server] : simulation.servers)
    EXPECT_NEAR(server.calls, 5000, 500) << address;
}

TEST(BalancerTest, ASlowEndpointGetsFewerCalls) {
  Simulation simulation;
  simulation.balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}, {"slow", ""}}));
  simulation.servers["slow"].latency = milliseconds(20);
  simulation.Run(seconds(20), 3000);
  // Two draws of three meet it in two of three calls; the better of two is seldom it.
  EXPECT_LT(simulation.servers["slow"].calls, 60'000 / 3 / 10);
  EXPECT_GT(simulation.servers["slow"].calls, 0);
}

TEST(BalancerTest, OneThatWasSlowIsTriedAgain) {
  Simulation simulation;
  simulation.balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}}));
  simulation.servers["c"].latency = milliseconds(50);
  simulation.Run(seconds(10), 1000);
  simulation.servers["c"].latency = milliseconds(1);
  simulation.Run(seconds(90), 1000);
  simulation.ForgetCalls();
  simulation.Run(seconds(10), 1000);
  EXPECT_NEAR(simulation.servers["c"].calls, 3333, 800);
}

TEST(BalancerTest, LatencyJumpsUpAtOnceAndDecaysSlowly) {
  FakeClock clock{TimePoint()};
  Balancer balancer({.latency_decay = seconds(10)}, clock, 1);
  balancer.SetEndpoints(EndpointsIn({{"a", ""}}));
  const auto call = [&](Duration takes) {
    StatusOr<Pick> pick = balancer.Choose();
    clock.Advance(takes);
    pick->Succeeded();
  };
  call(milliseconds(1));
  EXPECT_EQ(LatencyOf(balancer, "a"), milliseconds(1));
  call(milliseconds(100));
  EXPECT_EQ(LatencyOf(balancer, "a"), milliseconds(100));
  call(milliseconds(1));
  EXPECT_GT(LatencyOf(balancer, "a"), milliseconds(99));
  clock.Advance(seconds(10));
  // e^-1 of it.
  EXPECT_NEAR(static_cast<double>(LatencyOf(balancer, "a").count()), 36.8e6, 1e6);
}

TEST(BalancerTest, ANewEndpointGetsOneCallUntilItHasAnswered) {
  FakeClock clock{TimePoint()};
  Balancer balancer({}, clock, 1);
  balancer.SetEndpoints(EndpointsIn({{"a", ""}}));
  StatusOr<Pick> first = balancer.Choose();
  clock.Advance(milliseconds(1));
  first->Succeeded();
  balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"new", ""}}));
  std::vector<Pick> picks;
  std::map<std::string, int> calls;
  for (int i = 0; i < 10; ++i) {
    picks.push_back(*balancer.Choose());
    ++calls[picks.back().endpoint().address];
  }
  EXPECT_EQ(calls["new"], 1);
  EXPECT_EQ(calls["a"], 9);
}

TEST(BalancerTest, SharesFollowWeights) {
  Simulation simulation;
  std::vector<Endpoint> endpoints = EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}});
  endpoints[3].weight = 3;
  simulation.balancer.SetEndpoints(endpoints);
  simulation.Run(seconds(20), 100);
  simulation.ForgetCalls();
  simulation.Run(seconds(100), 100);
  // Roughly, since the better of two gets the call: by weights alone it would be 5,000 and 1,667.
  EXPECT_NEAR(simulation.servers["d"].calls, 4300, 800);
  EXPECT_NEAR(simulation.servers["a"].calls, 1900, 500);
}

TEST(BalancerTest, ASmallWeightBesideALargeOneGetsFewCalls) {
  Simulation simulation;
  std::vector<Endpoint> endpoints = EndpointsIn({{"canary", ""}, {"stable", ""}});
  endpoints[1].weight = 99;
  simulation.balancer.SetEndpoints(endpoints);
  simulation.Run(seconds(100), 1000);
  EXPECT_NEAR(simulation.servers["canary"].calls, 1000, 1000);
  EXPECT_GT(simulation.servers["canary"].calls, 100);
}

TEST(BalancerTest, WhoRefusesSinceItHasTooMuchToDoGetsFewerCallsAndIsNotEjected) {
  FakeClock clock{TimePoint()};
  Balancer balancer({.consecutive_failures = 2}, clock, 1);
  balancer.SetEndpoints(EndpointsIn({{"busy", ""}, {"idle", ""}}));
  int busy = 0;
  for (int i = 0; i < 1'000; ++i) {
    auto pick = balancer.Choose();
    clock.Advance(std::chrono::milliseconds(1));
    if (pick->endpoint().address == "busy" && i >= 20) {
      ++busy;
      pick->Overloaded();
    } else {
      pick->Succeeded();
    }
  }
  EXPECT_GE(busy, 1);
  EXPECT_LT(busy, 20);
  for (const EndpointHealth& health : balancer.Health()) {
    EXPECT_FALSE(health.ejected) << health.endpoint.address;
    EXPECT_LT(health.latency, seconds(1)) << "refusals do not add up";
  }
  // Soon it has its share again: of two calls at a time one.
  clock.Advance(seconds(60));
  busy = 0;
  for (int i = 0; i < 100; ++i) {
    auto one = balancer.Choose();
    auto other = balancer.Choose();
    for (auto* pick : {&one, &other}) busy += (*pick)->endpoint().address == "busy" ? 1 : 0;
    clock.Advance(std::chrono::milliseconds(1));
    one->Succeeded();
    other->Succeeded();
  }
  EXPECT_GT(busy, 60);
}

TEST(BalancerTest, AvoidsWhatWasTriedUnlessNothingElseIsThere) {
  FakeClock clock{TimePoint()};
  Balancer balancer({}, clock, 1);
  balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}}));
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(balancer.Choose(std::vector<std::string_view>{"a", "c"})->endpoint().address, "b");
  EXPECT_TRUE(balancer.Choose(std::vector<std::string_view>{"a", "b", "c"}).ok());
}

TEST(BalancerTest, AvoidingAnEndpointMayLeaveTheZone) {
  FakeClock clock{TimePoint()};
  Balancer balancer({.zone = "x", .min_zone_endpoints = 1}, clock, 1);
  balancer.SetEndpoints(EndpointsIn({{"near", "x"}, {"far", "y"}}));
  EXPECT_EQ(balancer.Choose()->endpoint().address, "near");
  EXPECT_EQ(balancer.Choose(std::vector<std::string_view>{"near"})->endpoint().address, "far");
}

TEST(BalancerTest, CallsStayInTheirZone) {
  Simulation simulation({.zone = "x"});
  simulation.balancer.SetEndpoints(
      EndpointsIn({{"x1", "x"}, {"x2", "x"}, {"y1", "y"}, {"y2", "y"}, {"z1", "z"}}));
  simulation.Run(seconds(10), 1000);
  EXPECT_EQ(simulation.servers["x1"].calls + simulation.servers["x2"].calls, 10'000);
}

TEST(BalancerTest, AnOverloadedZoneSpillsOver) {
  Simulation simulation({.zone = "x", .zone_outstanding = 8});
  simulation.balancer.SetEndpoints(
      EndpointsIn({{"x1", "x"}, {"x2", "x"}, {"y1", "y"}, {"y2", "y"}}));
  for (const char* address : {"x1", "x2", "y1", "y2"})
    simulation.servers[address].latency = milliseconds(10);
  simulation.Run(seconds(5), 1000);  // 10 calls at once: the zone takes 16
  EXPECT_EQ(simulation.servers["y1"].calls + simulation.servers["y2"].calls, 0);
  simulation.ForgetCalls();
  simulation.Run(seconds(5), 3000);  // 30
  const int near = simulation.servers["x1"].calls + simulation.servers["x2"].calls;
  const int far = simulation.servers["y1"].calls + simulation.servers["y2"].calls;
  EXPECT_GT(far, 4000);
  EXPECT_GT(near, far);
}

TEST(BalancerTest, AZoneWithTooFewIsNoZone) {
  Simulation simulation({.zone = "x", .min_zone_endpoints = 2});
  simulation.balancer.SetEndpoints(EndpointsIn({{"x1", "x"}, {"y1", "y"}, {"y2", "y"}}));
  simulation.Run(seconds(10), 1000);
  for (const auto& [address, server] : simulation.servers)
    EXPECT_NEAR(server.calls, 3333, 500) << address;
}

TEST(BalancerTest, OneThatLeavesGetsNoNewCallsAndItsCallsEnd) {
  FakeClock clock{TimePoint()};
  std::weak_ptr<void> connection;
  Balancer balancer({}, clock, 1, [&](const Endpoint& endpoint) {
    auto opened = std::make_shared<std::string>("to " + endpoint.address);
    connection = opened;
    return opened;
  });
  balancer.SetEndpoints(EndpointsIn({{"a", ""}}));
  StatusOr<Pick> pick = balancer.Choose();
  EXPECT_EQ(pick->connection<std::string>(), "to a");
  balancer.SetEndpoints({});
  EXPECT_FALSE(balancer.Choose().ok());
  EXPECT_EQ(pick->connection<std::string>(), "to a");
  pick->Succeeded();
  EXPECT_FALSE(connection.expired());  // until the Pick goes
  pick = absl::CancelledError();
  EXPECT_TRUE(connection.expired());
}

TEST(BalancerTest, KeepsWhatItKnowsOfThoseThatStay) {
  FakeClock clock{TimePoint()};
  int opened = 0;
  Balancer balancer({}, clock, 1, [&](const Endpoint&) {
    ++opened;
    return std::make_shared<int>(0);
  });
  std::vector<Endpoint> endpoints = EndpointsIn({{"a", "x"}});
  endpoints[0].instance = "1";
  balancer.SetEndpoints(endpoints);
  StatusOr<Pick> pick = balancer.Choose();
  clock.Advance(milliseconds(5));
  pick->Succeeded();
  endpoints[0].weight = 2;
  endpoints.push_back({.address = "b", .zone = {}, .instance = {}, .contract = {}});
  balancer.SetEndpoints(endpoints);
  EXPECT_EQ(LatencyOf(balancer, "a"), milliseconds(5));
  EXPECT_EQ(opened, 2);
  endpoints[0].instance = "2";  // a new process at the old address
  balancer.SetEndpoints(endpoints);
  EXPECT_EQ(LatencyOf(balancer, "a"), Duration(0));
  EXPECT_EQ(opened, 3);
}

TEST(BalancerTest, APickOutlivesItsBalancer) {
  FakeClock clock{TimePoint()};
  auto balancer = std::make_unique<Balancer>(BalancerOptions{}, clock, 1);
  balancer->SetEndpoints(EndpointsIn({{"a", ""}}));
  StatusOr<Pick> pick = balancer->Choose();
  balancer.reset();
  pick->Failed();
  EXPECT_EQ(pick->endpoint().address, "a");
}

TEST(BalancerTest, APickThatIsMovedOrDroppedEndsOnce) {
  FakeClock clock{TimePoint()};
  Balancer balancer({}, clock, 1);
  balancer.SetEndpoints(EndpointsIn({{"a", ""}}));
  {
    Pick first = *balancer.Choose();
    Pick second = std::move(first);
    second = *balancer.Choose();
    EXPECT_EQ(balancer.Health()[0].outstanding, 1);
    second.Succeeded();
    second.Failed();  // it has ended
  }
  EXPECT_EQ(balancer.Health()[0].outstanding, 0);
}

TEST(BalancerTest, TheSameSeedMakesTheSameChoices) {
  const auto run = [] {
    Simulation simulation;
    simulation.balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}}));
    simulation.servers["b"].latency = milliseconds(3);
    simulation.Run(seconds(1), 1000);
    return std::vector<int>{simulation.servers["a"].calls, simulation.servers["b"].calls,
                            simulation.servers["c"].calls};
  };
  EXPECT_EQ(run(), run());
}

TEST(BalancerTest, ManyThreadsChooseWhileEndpointsChange) {
  Balancer balancer({.interval = milliseconds(1), .ejection = milliseconds(1)}, SystemClock(), 1);
  balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}}));
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20'000; ++i) {
        StatusOr<Pick> pick = balancer.Choose();
        ASSERT_TRUE(pick.ok());
        if ((i + t) % 3 == 0) {
          pick->Failed();
        } else {
          pick->Succeeded();
        }
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    balancer.SetEndpoints(i % 2 == 0 ? EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}})
                                     : EndpointsIn({{"b", ""}, {"d", ""}}));
    std::this_thread::yield();
  }
  for (std::thread& thread : threads) thread.join();
  for (const EndpointHealth& health : balancer.Health()) EXPECT_EQ(health.outstanding, 0);
}

}  // namespace
}  // namespace starling::discovery

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "platform/discovery/balancer_simulation.h"

namespace starling::discovery {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Ejected(const Balancer& balancer) {
  std::vector<std::string> ejected;
  for (const EndpointHealth& health : balancer.Health()) {
    if (health.ejected) ejected.push_back(health.endpoint.address);
  }
  return ejected;
}

void Prepare(Simulation& simulation) {
  simulation.balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}}));
  simulation.Run(seconds(1), 1000);
  simulation.ForgetCalls();
}

TEST(EjectionTest, OneThatFailsGetsNoCallsAndComesBack) {
  Simulation simulation;
  Prepare(simulation);
  simulation.servers["a"].fails = true;
  simulation.Run(seconds(20), 1000);
  EXPECT_THAT(Ejected(simulation.balancer), ElementsAre("a"));
  EXPECT_LT(simulation.servers["a"].calls, 20);
  simulation.servers["a"].fails = false;
  simulation.Run(seconds(15), 1000);  // 30 s after the ejection
  EXPECT_THAT(Ejected(simulation.balancer), IsEmpty());
  simulation.ForgetCalls();
  simulation.Run(seconds(10), 1000);
  EXPECT_NEAR(simulation.servers["a"].calls, 2500, 500);
}

TEST(EjectionTest, EachTimeInARowTakesLongerAndCostsOneCall) {
  Simulation simulation({.ejection = seconds(10), .max_ejection = seconds(35)});
  Prepare(simulation);
  simulation.servers["a"].fails = true;
  simulation.Run(seconds(1), 1000);
  const int at_first = simulation.servers["a"].calls;
  EXPECT_GE(at_first, 5);
  std::vector<Duration> out;
  Instant since = simulation.clock.MonotonicNow();
  for (int calls = at_first; out.size() < 5;) {
    simulation.Run(milliseconds(100), 1000);
    if (simulation.servers["a"].calls == calls) continue;
    EXPECT_EQ(simulation.servers["a"].calls, calls + 1) << "one call tests it";
    calls = simulation.servers["a"].calls;
    out.push_back(simulation.clock.MonotonicNow() - since);
    since = simulation.clock.MonotonicNow();
  }
  const std::vector<int> expected = {10, 20, 30, 35, 35};
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT_NEAR(static_cast<double>(out[i].count()) / 1e9, expected[i], 1.1) << i;
}

TEST(EjectionTest, FailuresWithSuccessesBetweenThemAreNotInARow) {
  Simulation simulation({.success_rate_calls = 1'000'000});
  Prepare(simulation);
  simulation.servers["a"].fails_each = 2;
  simulation.Run(seconds(60), 1000);
  EXPECT_THAT(Ejected(simulation.balancer), IsEmpty());
}

TEST(EjectionTest, ALowSuccessRateBesideTheOthersEjects) {
  Simulation simulation;
  Prepare(simulation);
  simulation.servers["a"].fails_each = 3;
  simulation.Run(seconds(15), 1000);
  EXPECT_THAT(Ejected(simulation.balancer), ElementsAre("a"));
}

TEST(EjectionTest, AFailureThatAllShareEjectsNobody) {
  Simulation simulation;
  Prepare(simulation);
  for (auto& [address, server] : simulation.servers) server.fails_each = 3;
  simulation.Run(seconds(30), 1000);
  EXPECT_THAT(Ejected(simulation.balancer), IsEmpty());
}

TEST(EjectionTest, FewCallsSayNothingOfASuccessRate) {
  Simulation simulation;
  Prepare(simulation);
  simulation.Run(seconds(10), 10);
  simulation.ForgetCalls();
  simulation.servers["a"].fails_each = 2;
  simulation.Run(seconds(60), 10);  // 25 of 10 s: half of what is wanted
  EXPECT_THAT(Ejected(simulation.balancer), IsEmpty());
}

TEST(EjectionTest, AtMostAPartIsOut) {
  Simulation simulation({.max_ejected = 0.5});
  Prepare(simulation);
  for (auto& [address, server] : simulation.servers) server.fails = true;
  simulation.Run(seconds(10), 1000);
  EXPECT_EQ(Ejected(simulation.balancer).size(), 2u);
}

TEST(EjectionTest, TheOnlyEndpointStays) {
  Simulation simulation;
  simulation.balancer.SetEndpoints(EndpointsIn({{"a", ""}}));
  simulation.servers["a"].fails = true;
  simulation.Run(seconds(10), 1000);
  EXPECT_THAT(Ejected(simulation.balancer), IsEmpty());
  EXPECT_EQ(simulation.servers["a"].calls, 10'000);
}

TEST(EjectionTest, WhenTooFewAreHealthyAllGetCalls) {
  Simulation simulation({.max_ejected = 0.5, .panic = 0.4});
  Prepare(simulation);
  simulation.servers["a"].fails = simulation.servers["b"].fails = true;
  simulation.Run(seconds(5), 1000);
  ASSERT_THAT(Ejected(simulation.balancer), ElementsAre("a", "b"));
  simulation.servers["a"].fails = simulation.servers["b"].fails = false;
  simulation.balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}, {"c", ""}}));
  simulation.ForgetCalls();
  simulation.Run(seconds(5), 1000);
  EXPECT_GT(simulation.servers["a"].calls, 500);
  EXPECT_GT(simulation.servers["b"].calls, 500);
}

TEST(EjectionTest, AZoneWhoseEndpointsAreOutSpillsOver) {
  Simulation simulation({.zone = "x"});
  simulation.balancer.SetEndpoints(
      EndpointsIn({{"x1", "x"}, {"x2", "x"}, {"y1", "y"}, {"y2", "y"}}));
  simulation.servers["x1"].fails = true;
  simulation.Run(seconds(5), 1000);
  EXPECT_THAT(Ejected(simulation.balancer), ElementsAre("x1"));
  EXPECT_GT(simulation.servers["y1"].calls, 1000);
  EXPECT_GT(simulation.servers["x2"].calls, 1000);
}

TEST(EjectionTest, CancelledCallsAreNobodysFault) {
  FakeClock clock{TimePoint()};
  Balancer balancer({}, clock, 1);
  balancer.SetEndpoints(EndpointsIn({{"a", ""}, {"b", ""}}));
  for (int i = 0; i < 1000; ++i) balancer.Choose()->Cancelled();
  EXPECT_THAT(Ejected(balancer), IsEmpty());
}

}  // namespace
}  // namespace starling::discovery

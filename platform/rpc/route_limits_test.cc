// The limits of one route; what is announced of several limits; who is nearest to them.
#include "platform/rpc/route_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/http/problem.h"
#include "platform/rpc/structured_fields.h"

namespace starling::rpc {
namespace {

using security::Identity;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Per = GatewayLimits::Per;

constexpr RateLimiter::Limit kThree{.per_second = 1, .burst = 3};

http::Request From(std::string address) {
  http::Request request;
  request.remote_address = std::move(address);
  return request;
}
Identity Key(const std::string& id) { return {.kind = Identity::kKey, .subject = id}; }
Identity User(const std::string& id) { return {.kind = Identity::kUser, .subject = id}; }

class RouteLimitsTest : public testing::Test {
 protected:
  std::shared_ptr<RouteLimits> Limits(RouteLimits::Options options) {
    if (options.key.empty()) options.key = "route " + options.name;
    return std::make_shared<RouteLimits>(std::move(options), &all_);
  }
  // How many of ten requests, one after the other, get through.
  static int Admitted(RouteLimits& limits, const Identity& caller,
                      const std::string& address = "192.0.2.1") {
    int admitted = 0;
    for (int i = 0; i < 10; ++i) {
      RouteLimits::Place place;
      const http::Request request = From(address);
      admitted += RunSync(limits.Admit(request, caller, place)).allowed() ? 1 : 0;
    }
    return admitted;
  }
  static std::vector<std::string> Names(const SfList& list) {
    std::vector<std::string> names;
    for (const SfItem& item : list) names.push_back(item.value);
    return names;
  }

  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
  telemetry::Metrics metrics_;
  GatewayLimits all_{
      {.requests = RateLimiter::Limit{.per_second = 10, .burst = 20}}, metrics_, clock_};
  const Identity nobody_;
};

TEST_F(RouteLimitsTest, PerCallerEachKeyUserAndAddressHasItsOwnBucket) {
  const auto limits = Limits({.name = "/a", .requests = kThree, .per = Per::kCaller});
  EXPECT_EQ(Admitted(*limits, Key("k")), 3);
  EXPECT_EQ(Admitted(*limits, User("k")), 3);
  EXPECT_EQ(Admitted(*limits, User("ada")), 3);
  EXPECT_EQ(Admitted(*limits, User("ada"), "192.0.2.9"), 0) << "wherever it calls from";
  EXPECT_EQ(Admitted(*limits, nobody_), 3);
  EXPECT_EQ(Admitted(*limits, nobody_, "192.0.2.9"), 3);
  clock_.Advance(seconds(2));
  EXPECT_EQ(Admitted(*limits, Key("k")), 2);
}

TEST_F(RouteLimitsTest, PerAddressItDoesNotMatterWhoCalls) {
  const auto limits = Limits({.name = "/a", .requests = kThree, .per = Per::kAddress});
  EXPECT_EQ(Admitted(*limits, Key("k")), 3);
  EXPECT_EQ(Admitted(*limits, User("ada")), 0);
  EXPECT_EQ(Admitted(*limits, nobody_, "192.0.2.9"), 3);
}

TEST_F(RouteLimitsTest, PerRouteAllShareOneBucketAndOtherRoutesHaveTheirOwn) {
  const auto limits = Limits({.name = "/a", .requests = kThree, .per = Per::kAll});
  const auto other = Limits({.name = "/b", .requests = kThree, .per = Per::kAll});
  EXPECT_EQ(Admitted(*limits, Key("k")), 3);
  EXPECT_EQ(Admitted(*limits, nobody_, "192.0.2.9"), 0);
  EXPECT_EQ(Admitted(*other, Key("k")), 3);
}

TEST_F(RouteLimitsTest, AsManyRunAtOnceAsMayAndARefusalCostsNoToken) {
  const auto limits = Limits({.name = "/a", .requests = kThree, .max_concurrent = 2});
  const http::Request request = From("192.0.2.1");
  RouteLimits::Place first, second, third;
  EXPECT_TRUE(RunSync(limits->Admit(request, Key("k"), first)).allowed());
  EXPECT_TRUE(RunSync(limits->Admit(request, Key("k"), second)).allowed());
  EXPECT_EQ(limits->running(), 2);
  const auto refused = RunSync(limits->Admit(request, Key("k"), third));
  EXPECT_EQ(http::HttpStatus(refused.status()), 503);
  EXPECT_EQ(Reason(refused.status()), reason::kOverloaded);
  EXPECT_EQ(refused.policy(), "/a at once");
  EXPECT_TRUE(RetryAfter(refused.status()).has_value());
  EXPECT_EQ(limits->running(), 2);
  first = {};
  EXPECT_EQ(limits->running(), 1);
  EXPECT_TRUE(RunSync(limits->Admit(request, Key("k"), third)).allowed()) << "the third token";
  second = {};
  EXPECT_FALSE(RunSync(limits->Admit(request, Key("k"), second)).allowed()) << "no token is left";
  EXPECT_EQ(limits->running(), 1) << "who got no token holds no place";
}

TEST_F(RouteLimitsTest, AllPoliciesAreNamedInListsByTheRulesOfStructuredFields) {
  const auto limits = Limits(
      {.name = R"(/caf\"é/{id})", .requests = kThree, .per = Per::kAll, .max_concurrent = 5});
  const http::Request request = From("192.0.2.1");
  const StatusOr<std::shared_ptr<const Identity>> caller = security::UserIdentity("ada");
  GatewayLimits::Verdict verdict = RunSync(all_.Admit(request, caller));
  RouteLimits::Place place;
  verdict.Add(RunSync(limits->Admit(request, **caller, place)));
  EXPECT_TRUE(verdict.allowed());
  http::Headers headers;
  verdict.Announce(headers);
  const auto policies = ParseSfList(headers.Joined("RateLimit-Policy"));
  const auto now = ParseSfList(headers.Joined("RateLimit"));
  ASSERT_TRUE(policies && now) << headers.Joined("RateLimit-Policy");
  const auto names =
      ElementsAre(R"("requests")", R"("/caf\\\"%C3%A9/{id} at once")", R"("/caf\\\"%C3%A9/{id}")");
  EXPECT_THAT(Names(*policies), names);
  EXPECT_THAT(Names(*now), names);
  using Parameters = std::map<std::string, std::string>;
  EXPECT_EQ(policies->at(0).parameters, (Parameters{{"q", "20"}, {"w", "2"}}));
  EXPECT_EQ(policies->at(1).parameters,
            (Parameters{{"q", "5"}, {"qu", "\"concurrent-requests\""}}));
  EXPECT_EQ(policies->at(2).parameters, (Parameters{{"q", "3"}, {"w", "3"}}));
  EXPECT_EQ(now->at(0).parameters, (Parameters{{"r", "19"}, {"t", "1"}}));
  EXPECT_EQ(now->at(1).parameters, (Parameters{{"r", "4"}}));
  EXPECT_EQ(now->at(2).parameters, (Parameters{{"r", "2"}, {"t", "1"}}));
}

TEST_F(RouteLimitsTest, WhatAnUpstreamAnnouncesStays) {
  http::Headers headers;
  headers.Add("RateLimit-Policy", R"("theirs";q=7;w=60)");
  headers.Add("RateLimit", R"("theirs";r=6;t=60)");
  RunSync(all_.Admit(From("192.0.2.1"), security::Anonymous())).Announce(headers);
  const auto policies = ParseSfList(headers.Joined("RateLimit-Policy"));
  ASSERT_TRUE(policies);
  EXPECT_THAT(Names(*policies), ElementsAre("\"theirs\"", "\"requests\""));
}

TEST_F(RouteLimitsTest, WhoSendsABadTokenIsToldOfBothPolicies) {
  GatewayLimits both(
      {.requests = kThree, .failed_credentials = RateLimiter::Limit{.per_second = 0.1, .burst = 2}},
      metrics_, clock_);
  const StatusOr<std::shared_ptr<const Identity>> bad = Unauthenticated("not known");
  http::Headers headers;
  RunSync(both.Admit(From("192.0.2.1"), bad)).Announce(headers);
  const auto now = ParseSfList(headers.Joined("RateLimit"));
  ASSERT_TRUE(now);
  EXPECT_THAT(Names(*now), ElementsAre("\"requests\"", "\"failed-credentials\""));
}

TEST_F(RouteLimitsTest, WhoIsNearToALimitIsKnownUntilItsBucketIsFull) {
  const auto limits =
      Limits({.name = "/a", .requests = RateLimiter::Limit{.per_second = 1, .burst = 10}});
  (void)Admitted(*limits, Key("k"));
  (void)Admitted(*limits, nobody_, "2001:db8:1:2:3::4");
  (void)Admitted(*limits, nobody_, "2001:db8:1:2:3::4");
  RouteLimits::Place place;
  (void)RunSync(limits->Admit(From("192.0.2.7"), User("far"), place));
  std::vector<NearLimits::Caller> near = all_.Nearest(10);
  ASSERT_EQ(near.size(), 2u) << "one with nine of ten left is not near";
  EXPECT_EQ(near[0].caller, "address:2001:db8:1:2::/64");
  EXPECT_EQ(near[0].policy, "/a");
  EXPECT_EQ(near[0].refused, 10u);
  EXPECT_EQ(near[1].caller, "key:k");
  EXPECT_EQ(near[1].remaining, 0);
  EXPECT_EQ(all_.Nearest(1).size(), 1u);
  clock_.Advance(seconds(4));
  EXPECT_EQ(all_.Nearest(10)[0].remaining, 4);
  clock_.Advance(seconds(6));
  EXPECT_TRUE(all_.Nearest(10).empty());
}

TEST(NearLimits, KeepsTheNearestWithinItsBound) {
  FakeClock clock(ParseRfc3339("2026-01-02T03:04:05Z").value());
  NearLimits near(clock);
  const RateLimiter::Limit limit{.per_second = 0.001, .burst = 1'000'000};
  near.Note("p", "refused", limit, {.allowed = false});
  for (int i = 1; i <= 1000; ++i)
    near.Note("p", "caller" + std::to_string(i), limit, {.allowed = true, .remaining = i});
  const auto listed = near.List(2000);
  EXPECT_EQ(listed.size(), NearLimits::kCallers);
  EXPECT_EQ(listed[0].caller, "refused");
}

TEST(StructuredFields, WhatBreaksARuleIsNoList) {
  for (const char* bad : {"\"a", "\"a\\n\"", "a;Q=1", "a;q=1.5", "a,", ",a", "a b", "\"é\"",
                          "a;q=", "1234567890123456"}) {
    EXPECT_FALSE(ParseSfList(bad).has_value()) << bad;
  }
  EXPECT_TRUE(ParseSfList("").has_value());
  EXPECT_EQ(ParseSfList("\"a\\\"b\";x ,  c;q=-1")->size(), 2u);
}

}  // namespace
}  // namespace starling::rpc

// One limit for several gateways, on a real Redis; and without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "platform/base/id.h"
#include "platform/rpc/gateway_limits.h"
#include "platform/rpc/route_limits.h"
#include "platform/storage/kv/redis/test_server.h"

namespace starling::rpc {
namespace {

using kv::TestRedis;
using security::Identity;
using testing::HasSubstr;
using Caller = StatusOr<std::shared_ptr<const Identity>>;

constexpr double kSlow = 0.001;  // a token in 1000 s: none comes back while a test runs

// What a gateway process has.
struct Gateway {
  Gateway(const std::string& prefix, GatewayLimits::Options options,
          Duration patience = std::chrono::seconds(20))
      : shared({.url = TestRedis::Get().url(), .prefix = prefix, .patience = patience}, runtime),
        limits(options, metrics, SystemClock(), &shared) {}
  GatewayLimits::Verdict Admit(const Caller& caller) {
    return runtime.Block(limits.Admit(request, caller));
  }
  Runtime runtime{{.io_threads = 2}};
  telemetry::Metrics metrics;
  SharedRateLimiter shared;
  GatewayLimits limits;
  http::Request request = [] {
    http::Request from;
    from.remote_address = "192.0.2.1";
    return from;
  }();
};

class SharedLimitsTest : public testing::Test {
 protected:
  static GatewayLimits::Options Requests(double per_second, int64_t burst) {
    return {.requests = RateLimiter::Limit{.per_second = per_second, .burst = burst}};
  }
  static Caller User(const std::string& id) { return security::UserIdentity(id); }
  static Caller Key(const std::string& id) {
    return std::make_shared<const Identity>(Identity{.kind = Identity::kKey, .subject = id});
  }
  // How many of `calls` at once, on all gateways in turn, are let through.
  static int AtOnce(std::initializer_list<Gateway*> gateways, int calls, const Caller& caller) {
    std::atomic<int> admitted = 0;
    std::latch done(calls);
    for (int i = 0; i < calls; ++i) {
      Gateway& gateway = **(gateways.begin() + i % gateways.size());
      Spawn(gateway.runtime.NextExecutor(),
            [](Gateway& gateway, const Caller& caller, auto& admitted, auto& done) -> Task<void> {
              const auto verdict = co_await gateway.limits.Admit(gateway.request, caller);
              if (verdict.allowed()) ++admitted;
              done.count_down();
            }(gateway, caller, admitted, done));
    }
    done.wait();
    return admitted;
  }

  TestRedis& server_ = TestRedis::Get();
  const std::string prefix_ = "test-" + NewId();
};

TEST_F(SharedLimitsTest, TwoGatewaysShareALimitExactlyHoweverManyAskAtOnce) {
  Gateway a(prefix_, Requests(kSlow, 100)), b(prefix_, Requests(kSlow, 100));
  EXPECT_EQ(AtOnce({&a, &b}, 600, User("ada")), 100);
  EXPECT_EQ(AtOnce({&a, &b}, 600, User("bob")), 100) << "each caller has a bucket of its own";
  EXPECT_EQ(AtOnce({&a, &b}, 50, Key("ada")), 50) << "a user who is called as a key is another";
  EXPECT_EQ(AtOnce({&a, &b}, 50, User("ada")), 0);
}

TEST_F(SharedLimitsTest, ARouteIsLimitedByAllGatewaysTogether) {
  Gateway a(prefix_, {}), b(prefix_, {});
  const auto options = [](const std::string& name, GatewayLimits::Per per) {
    return RouteLimits::Options{.key = "route " + name,
                                .name = name,
                                .requests = RateLimiter::Limit{.per_second = kSlow, .burst = 7},
                                .per = per};
  };
  struct OfOne {
    Gateway& gateway;
    RouteLimits limits;
    int Admitted(const std::string& user) {
      int admitted = 0;
      for (int i = 0; i < 10; ++i) {
        RouteLimits::Place place;
        const Identity caller{.kind = Identity::kUser, .subject = user};
        const auto verdict = gateway.runtime.Block(limits.Admit(gateway.request, caller, place));
        admitted += verdict.allowed() ? 1 : 0;
      }
      return admitted;
    }
  };
  const auto all = options("/all", GatewayLimits::Per::kAll);
  OfOne one{a, {all, &a.limits}}, other{b, {all, &b.limits}};
  EXPECT_EQ(one.Admitted("ada"), 7);
  EXPECT_EQ(other.Admitted("bob"), 0);
  const auto each = options("/each", GatewayLimits::Per::kCaller);
  OfOne third{a, {each, &a.limits}}, fourth{b, {each, &b.limits}};
  EXPECT_EQ(third.Admitted("ada"), 7);
  EXPECT_EQ(fourth.Admitted("ada"), 0);
  EXPECT_EQ(fourth.Admitted("bob"), 7);
}

TEST_F(SharedLimitsTest, InstallationsDoNotShare) {
  Gateway a(prefix_, Requests(kSlow, 2)), b(prefix_ + "b", Requests(kSlow, 2));
  EXPECT_EQ(AtOnce({&a}, 5, User("ada")), 2);
  EXPECT_EQ(AtOnce({&b}, 5, User("ada")), 2);
}

TEST_F(SharedLimitsTest, TokensComeBackAndWhatIsLeftIsAnnouncedAsByOneGateway) {
  Gateway a(prefix_, Requests(0.5, 3)), b(prefix_, Requests(0.5, 3));
  struct Row {
    Gateway* gateway;
    bool allowed;
    std::string limit;
  };
  const Row rows[] = {{&a, true, R"("requests";r=2;t=2)"},
                      {&b, true, R"("requests";r=1;t=4)"},
                      {&a, true, R"("requests";r=0;t=2)"},
                      {&b, false, R"("requests";r=0;t=2)"}};
  for (const Row& row : rows) {
    const auto verdict = row.gateway->Admit(User("ada"));
    http::Headers headers;
    verdict.Announce(headers);
    EXPECT_EQ(verdict.allowed(), row.allowed);
    EXPECT_EQ(headers.Find("ratelimit-policy"), R"("requests";q=3;w=6)");
    EXPECT_EQ(headers.Find("ratelimit"), row.limit);
  }
  const auto retry = RetryAfter(a.Admit(User("ada")).status());
  ASSERT_TRUE(retry.has_value());
  std::this_thread::sleep_for(*retry);  // the server's clock decides
  EXPECT_TRUE(b.Admit(User("ada")).allowed());
  EXPECT_FALSE(a.Admit(User("ada")).allowed());
}

TEST_F(SharedLimitsTest, FailedCredentialsAreCountedTogetherAndRightOnesGivenBack) {
  const GatewayLimits::Options two = {.failed_credentials =
                                          RateLimiter::Limit{.per_second = kSlow, .burst = 2}};
  Gateway a(prefix_, two), b(prefix_, two);
  const auto try_password = [](Gateway& gateway) {
    const auto nobody = security::Anonymous();
    return gateway.runtime.Block(gateway.limits.TryPassword(gateway.request, *nobody));
  };
  for (int i = 0; i < 5; ++i) {
    const auto attempt = try_password(a);
    ASSERT_TRUE(attempt.allowed());
    a.runtime.Block(a.limits.GiveBack(attempt));
  }
  EXPECT_TRUE(try_password(a).allowed());
  EXPECT_TRUE(try_password(b).allowed());
  EXPECT_FALSE(try_password(a).allowed());
  EXPECT_FALSE(try_password(b).allowed());
  EXPECT_EQ(AtOnce({&a, &b}, 10, Unauthenticated("not known")), 2);
}

TEST_F(SharedLimitsTest, AnotherLimitStartsWithFullBuckets) {
  Gateway a(prefix_, Requests(kSlow, 2));
  EXPECT_EQ(AtOnce({&a}, 5, User("ada")), 2);
  a.limits.Set(Requests(kSlow, 3));
  EXPECT_EQ(AtOnce({&a}, 5, User("ada")), 3);
}

TEST_F(SharedLimitsTest, WhileRedisIsGoneEachGatewayCountsForItselfAndNoRequestFails) {
  Gateway a(prefix_, Requests(kSlow, 10)), b(prefix_, Requests(kSlow, 10));
  EXPECT_EQ(AtOnce({&a, &b}, 40, User("ada")), 10);
  ASSERT_TRUE(server_.Kill().ok());
  EXPECT_EQ(AtOnce({&a}, 40, User("ada")), 10);
  EXPECT_EQ(AtOnce({&b}, 40, User("ada")), 10);
  EXPECT_THAT(a.metrics.Expose(), HasSubstr("starling_gateway_limits_degraded 1"));
  EXPECT_THAT(a.metrics.Expose(), HasSubstr("starling_gateway_limits_degraded_total 40"));
  ASSERT_TRUE(server_.StartAgain().ok());
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto is_whole = [](Gateway& gateway) {
    // On each io thread.
    for (int i = 0; i < 2; ++i) gateway.Admit(User("somebody"));
    return gateway.metrics.Expose().find("starling_gateway_limits_degraded 0") != std::string::npos;
  };
  int whole = 0;
  while (whole < 5 && std::chrono::steady_clock::now() < until) {
    whole = is_whole(a) && is_whole(b) ? whole + 1 : 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(whole, 5);
  EXPECT_EQ(AtOnce({&a, &b}, 40, User("ada")), 0) << "Redis has kept what was taken";
  EXPECT_EQ(AtOnce({&a, &b}, 40, User("bob")), 10);
}

TEST_F(SharedLimitsTest, AServerThatHangsDelaysARequestByNoMoreThanThePatience) {
  Gateway a(prefix_, Requests(kSlow, 10), std::chrono::milliseconds(200));
  ASSERT_TRUE(server_.Pause().ok());
  EXPECT_EQ(AtOnce({&a}, 40, User("ada")), 10);  // ends, and with buckets of its own
  EXPECT_THAT(a.metrics.Expose(), HasSubstr("starling_gateway_limits_degraded_total 40"));
  ASSERT_TRUE(server_.Resume().ok());
}

}  // namespace
}  // namespace starling::rpc

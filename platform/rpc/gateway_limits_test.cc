// Who is limited together with whom, and what is announced.
#include "platform/rpc/gateway_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::rpc {
namespace {

using security::Identity;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class GatewayLimitsTest : public testing::Test {
 protected:
  using Caller = StatusOr<std::shared_ptr<const Identity>>;

  void Limit(std::optional<RateLimiter::Limit> requests, std::optional<RateLimiter::Limit> failures,
             std::vector<std::string> proxies = {}) {
    limits_.emplace(GatewayLimits::Options{requests, failures, std::move(proxies)}, metrics_,
                    clock_);
  }
  static http::Request From(std::string address, const std::string& forwarded = "") {
    http::Request request;
    request.remote_address = std::move(address);
    if (!forwarded.empty()) request.headers.Set("X-Forwarded-For", forwarded);
    return request;
  }
  static Caller Key(const std::string& id) {
    return std::make_shared<const Identity>(Identity{.kind = Identity::kKey, .subject = id});
  }
  static Caller User(const std::string& id) { return security::UserIdentity(id); }
  static Caller Nobody() { return security::Anonymous(); }
  static Caller BadToken() { return Unauthenticated("the API key is not known here"); }

  GatewayLimits::Verdict Admit(const http::Request& request, const Caller& caller) {
    return RunSync(limits_->Admit(request, caller));
  }
  GatewayLimits::Verdict TryPassword(const http::Request& request, const Identity& caller) {
    return RunSync(limits_->TryPassword(request, caller));
  }
  // How many of ten requests get through.
  int Admitted(const Caller& caller, const http::Request& request = From("192.0.2.1")) {
    int admitted = 0;
    for (int i = 0; i < 10; ++i) admitted += Admit(request, caller).allowed() ? 1 : 0;
    return admitted;
  }
  int Tried(const http::Request& request, const Identity& caller = *security::Anonymous()) {
    int tried = 0;
    for (int i = 0; i < 10; ++i) tried += TryPassword(request, caller).allowed() ? 1 : 0;
    return tried;
  }

  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
  telemetry::Metrics metrics_;
  std::optional<GatewayLimits> limits_;
};

constexpr RateLimiter::Limit kThree{.per_second = 1, .burst = 3};
constexpr RateLimiter::Limit kTwo{.per_second = 0.1, .burst = 2};

TEST_F(GatewayLimitsTest, WithoutALimitEverybodyIsServedAndNothingIsAnnounced) {
  Limit(std::nullopt, std::nullopt);
  EXPECT_EQ(Admitted(Key("a")), 10);
  EXPECT_EQ(Admitted(BadToken()), 10);
  EXPECT_EQ(Tried(From("192.0.2.1")), 10);
  http::Headers headers;
  Admit(From("192.0.2.1"), Nobody()).Announce(headers);
  EXPECT_TRUE(headers.empty());
}

TEST_F(GatewayLimitsTest, EachKeyEachUserAndEachAddressHasABucketOfItsOwn) {
  Limit(kThree, std::nullopt);
  EXPECT_EQ(Admitted(Key("ada")), 3);
  EXPECT_EQ(Admitted(Key("bob")), 3);
  EXPECT_EQ(Admitted(User("ada")), 3) << "a user who is called as a key is another";
  EXPECT_EQ(Admitted(User("ada"), From("192.0.2.2")), 0) << "wherever it calls from";
  EXPECT_EQ(Admitted(Nobody()), 3);
  EXPECT_EQ(Admitted(BadToken()), 0) << "a bad token makes nobody another caller";
  EXPECT_EQ(Admitted(Nobody(), From("192.0.2.2")), 3);
}

TEST_F(GatewayLimitsTest, BadTokensAreRefusedByAddressAndGoodOnesAreNot) {
  Limit(std::nullopt, kTwo);
  EXPECT_EQ(Admitted(BadToken()), 2);
  EXPECT_EQ(Admitted(Key("a")), 10);
  EXPECT_EQ(Admitted(Nobody()), 10);
  EXPECT_EQ(Admitted(BadToken(), From("192.0.2.2")), 2);
  EXPECT_EQ(Admitted(Unavailable("nobody could be asked"), From("192.0.2.3")), 10)
      << "the token may be good";
  clock_.Advance(seconds(10));
  EXPECT_EQ(Admitted(BadToken()), 1);
}

TEST_F(GatewayLimitsTest, PasswordsAreTriedOnlySoOftenAndRightOnesCostNothing) {
  Limit(std::nullopt, kTwo);
  for (int i = 0; i < 10; ++i) {
    const auto attempt = TryPassword(From("192.0.2.1"), **Nobody());
    ASSERT_TRUE(attempt.allowed());
    RunSync(limits_->GiveBack(attempt));
  }
  EXPECT_EQ(Admitted(BadToken()), 2) << "and bad tokens do not lock out who signs in";
  EXPECT_EQ(Tried(From("192.0.2.1")), 2);
  EXPECT_EQ(Tried(From("192.0.2.1"), **User("ada")), 0) << "who has one session guesses no other";
  EXPECT_EQ(Tried(From("192.0.2.1"), **Key("shop")), 10) << "a shop's server signs in many";
  EXPECT_EQ(Tried(From("192.0.2.1"), {.kind = Identity::kKey, .subject = "k", .on_behalf_of = "u"}),
            0);
}

TEST_F(GatewayLimitsTest, AnAddressIsWhatOneCustomerHas) {
  struct Row {
    std::string a, b;
    bool same;
  };
  const Row rows[] = {
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.2", false},
      {"192.0.2.1", "::ffff:192.0.2.1", true},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
      {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
      {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
      {"unknown", "unknown", true},
      {"unknown", "_hidden", false},
  };
  for (const Row& row : rows)
    EXPECT_EQ(CustomerOf(row.a) == CustomerOf(row.b), row.same) << row.a << " " << row.b;
}

TEST_F(GatewayLimitsTest, OnlyATrustedProxySaysWhoseARequestIs) {
  Limit(kThree, std::nullopt, {"10.0.0.1", "10.0.0.2"});
  EXPECT_EQ(Admitted(Nobody(), From("10.0.0.1", "192.0.2.1")), 3);
  EXPECT_EQ(Admitted(Nobody(), From("10.0.0.1", "192.0.2.2")), 3);
  EXPECT_EQ(Admitted(Nobody(), From("10.0.0.2", "192.0.2.1")), 0);
  EXPECT_EQ(Admitted(Nobody(), From("::ffff:10.0.0.1", "192.0.2.1, 10.0.0.2")), 0)
      << "through two of ours";
  EXPECT_EQ(Admitted(Nobody(), From("10.0.0.1", "198.51.100.7 ,192.0.2.1")), 0)
      << "what the caller itself wrote before does not count";
  EXPECT_EQ(Admitted(Nobody(), From("192.0.2.1")), 0);
  EXPECT_EQ(Admitted(Nobody(), From("192.0.2.9", "192.0.2.10")), 3);
  EXPECT_EQ(Admitted(Nobody(), From("192.0.2.9", "192.0.2.11")), 0) << "a stranger's word";
  EXPECT_EQ(Admitted(Nobody(), From("10.0.0.1")), 3) << "a proxy that calls for itself";
}

TEST_F(GatewayLimitsTest, WhatIsLeftIsAnnounced) {
  Limit(RateLimiter::Limit{.per_second = 0.5, .burst = 3}, kTwo);
  struct Row {
    bool allowed;
    std::string limit;
  };
  const Row rows[] = {{true, R"("requests";r=2;t=2)"},
                      {true, R"("requests";r=1;t=4)"},
                      {true, R"("requests";r=0;t=2)"},
                      {false, R"("requests";r=0;t=2)"}};
  for (const Row& row : rows) {
    const auto verdict = Admit(From("192.0.2.1"), Key("a"));
    http::Headers headers;
    verdict.Announce(headers);
    EXPECT_EQ(verdict.allowed(), row.allowed);
    EXPECT_EQ(headers.Find("ratelimit-policy"), R"("requests";q=3;w=6)");
    EXPECT_EQ(headers.Find("ratelimit"), row.limit);
  }
  EXPECT_EQ(Admitted(BadToken()), 2);
  const auto verdict = Admit(From("192.0.2.2"), BadToken());
  EXPECT_EQ(verdict.policy(), "requests") << "what is not refused";
}

TEST_F(GatewayLimitsTest, ARefusalSaysWhoseTheLimitIsAndWhenToComeBack) {
  Limit(kThree, kTwo);
  EXPECT_EQ(Admitted(Key("a")), 3);
  clock_.Advance(milliseconds(250));
  const Status status = Admit(From("192.0.2.1"), Key("a")).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Reason(status), reason::kQuotaExceeded);
  EXPECT_EQ(RetryAfter(status), milliseconds(750));
  EXPECT_EQ(std::string(status.message()),
            "the requests of this API key are above the limit of 1 a second, 3 at once; try again "
            "in 1 s");
  EXPECT_EQ(Admitted(BadToken()), 2);
  clock_.Advance(seconds(3));
  const auto failed = Admit(From("192.0.2.1"), BadToken());
  EXPECT_EQ(failed.policy(), "failed-credentials");
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("the limit of 6 a minute, 2"));
  EXPECT_THAT(metrics_.Expose(), HasSubstr("starling_gateway_refused_total{kind=\"key\"} 8"));
}

TEST_F(GatewayLimitsTest, AChangeOfOneLimitForgetsNothingOfTheOther) {
  Limit(kThree, kTwo);
  EXPECT_EQ(Admitted(Key("a")), 3);
  EXPECT_EQ(Tried(From("192.0.2.1")), 2);
  limits_->Set(
      {.requests = RateLimiter::Limit{.per_second = 1, .burst = 5}, .failed_credentials = kTwo});
  EXPECT_EQ(Admitted(Key("a")), 5);
  EXPECT_EQ(Tried(From("192.0.2.1")), 0);
  limits_->Set({});
  EXPECT_EQ(Admitted(Key("a")), 10);
  EXPECT_EQ(Tried(From("192.0.2.1")), 10);
}

}  // namespace
}  // namespace starling::rpc

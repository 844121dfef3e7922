// Keys fetched from real issuers on loopback: rotated, flooded with unknown keys, gone, slow, huge,
// malformed, mixed up.
#include "platform/identity/issuer_keys.h"

#include <gmock/gmock.h>

#include <thread>

#include "platform/identity/jwt_issuers.h"
#include "platform/identity/test_issuer.h"

namespace starling::identity {
namespace {

using security::Identity;
using std::chrono::milliseconds;
using testing::HasSubstr;

using Caller = StatusOr<std::shared_ptr<const Identity>>;

class IssuerKeysTest : public testing::Test {
 protected:
  ~IssuerKeysTest() override { runtime_.Stop(); }

  IssuerKeys::Options OptionsFor(const TestIssuer& issuer) {
    IssuerKeys::Options options;
    options.jwt = {.issuer = issuer.url,
                   .audience = "starling",
                   .algorithms = {security::JwtAlgorithm::kEs256, security::JwtAlgorithm::kRs256}};
    options.jwks_url = issuer.url + "/keys";
    options.interval = std::chrono::hours(1);
    options.timeout = std::chrono::seconds(2);
    return options;
  }
  IssuerKeys& Make(IssuerKeys::Options options) {
    return *(keys_ =
                 std::make_unique<IssuerKeys>(std::move(options), runtime_, client_, telemetry_));
  }
  std::string Payload(const std::string& issuer, const std::string& more = "") {
    const auto now = SystemClock().Now().time_since_epoch() / std::chrono::seconds(1);
    return fmt::format(R"({{"iss":"{}","aud":"starling","sub":"ada","exp":{}{}}})", issuer,
                       now + 60, more);
  }
  Status Verify(IssuerKeys& keys, const std::string& token) {
    return runtime_.Block(keys.Verify(token)).status();
  }

  Runtime runtime_{{.io_threads = 2, .blocking_threads = 1}};
  http::Client client_{runtime_, {.max_response_bytes = IssuerKeys::kMaxAnswer}};
  telemetry::Metrics telemetry_;
  TestIssuer issuer_{runtime_};
  TestKey first_{"first"};
  TestKey second_{"second"};
  std::unique_ptr<IssuerKeys> keys_;
};

TEST_F(IssuerKeysTest, FetchesForTheFirstTokenAndThenNoMore) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys& keys = Make(OptionsFor(issuer_));
  const std::string token = first_.Sign(Payload(issuer_.url));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Verify(keys, token), OkStatus());
  EXPECT_EQ(issuer_.keys_asked, 1);
}

TEST_F(IssuerKeysTest, ARotatedKeyIsFetchedForItsFirstTokenAndTheOldOneIsGone) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.interval = Duration(0);
  IssuerKeys& keys = Make(std::move(options));
  EXPECT_EQ(Verify(keys, first_.Sign(Payload(issuer_.url))), OkStatus());
  issuer_.SetKeys({.body = JwksOf({&second_})});
  EXPECT_EQ(Verify(keys, second_.Sign(Payload(issuer_.url))), OkStatus());
  EXPECT_EQ(issuer_.keys_asked, 2);
  EXPECT_EQ(Reason(Verify(keys, first_.Sign(Payload(issuer_.url)))), "JWT_UNKNOWN_KEY");
}

TEST_F(IssuerKeysTest, AFloodOfRandomKeysCostsOneFetchAnInterval) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys& keys = Make(OptionsFor(issuer_));
  for (int i = 0; i < 3000; ++i) {
    const std::string token =
        first_.Sign(Payload(issuer_.url), "ES256", fmt::format("random-{}", i));
    EXPECT_EQ(Reason(Verify(keys, token)), "JWT_UNKNOWN_KEY");
  }
  EXPECT_EQ(issuer_.keys_asked, 1);
  EXPECT_EQ(Verify(keys, first_.Sign(Payload(issuer_.url))), OkStatus());
}

TEST_F(IssuerKeysTest, AKeyThatAFetchDidNotBringIsNotAskedForAgain) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.interval = Duration(0);
  IssuerKeys& keys = Make(std::move(options));
  const std::string token = first_.Sign(Payload(issuer_.url), "ES256", "nobody's");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Reason(Verify(keys, token)), "JWT_UNKNOWN_KEY");
  EXPECT_EQ(issuer_.keys_asked, 1);
}

TEST_F(IssuerKeysTest, AllWhoWaitShareOneFetch) {
  issuer_.SetKeys({.body = JwksOf({&first_}), .delay = milliseconds(100)});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.interval = Duration(0);
  IssuerKeys& keys = Make(std::move(options));
  const std::string token = first_.Sign(Payload(issuer_.url));
  std::vector<std::thread> threads;
  threads.reserve(16);
  std::atomic<int> good{0};
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&] { good += Verify(keys, token).ok() ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 16);
  EXPECT_EQ(issuer_.keys_asked, 1);
}

TEST_F(IssuerKeysTest, NobodyWaitsLongerThanItsPatience) {
  issuer_.SetKeys({.body = JwksOf({&first_}), .delay = std::chrono::seconds(2)});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.patience = milliseconds(20);
  IssuerKeys& keys = Make(std::move(options));
  // The fetch has not ended: nobody can know whether the token is good.
  const Status status = Verify(keys, first_.Sign(Payload(issuer_.url)));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
}

TEST_F(IssuerKeysTest, WhatFailsLeavesTheKeysThatThereAre) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.interval = Duration(0);
  options.timeout = milliseconds(100);
  IssuerKeys& keys = Make(std::move(options));
  const std::string good = first_.Sign(Payload(issuer_.url));
  ASSERT_EQ(Verify(keys, good), OkStatus());
  const TestIssuer::Answer bad[] = {
      {.status = 500, .body = JwksOf({&second_})},
      {.status = 302, .body = "", .location = issuer_.url + "/elsewhere"},
      {.body = "no JSON"},
      {.body = R"({"keys":[]})"},
      {.body = R"({"keys":[{"kty":"oct","k":"c2hvcnQ"}]})"},
      {.body = JwksOf({&second_}) + std::string(IssuerKeys::kMaxAnswer, ' ')},
      {.body = JwksOf({&second_}), .delay = milliseconds(400)},
  };
  int asked = 1;
  for (const TestIssuer::Answer& answer : bad) {
    issuer_.SetKeys(answer);
    const std::string other =
        second_.Sign(Payload(issuer_.url), "ES256", fmt::format("second-{}", asked));
    EXPECT_EQ(Reason(Verify(keys, other)), "JWT_UNKNOWN_KEY") << answer.body.substr(0, 40);
    EXPECT_EQ(issuer_.keys_asked, ++asked);
    EXPECT_EQ(Verify(keys, good), OkStatus());
  }
}

TEST_F(IssuerKeysTest, WithoutTheIssuerTheyAreTrustedOnlySoLong) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.interval = Duration(0);
  options.keep_for = milliseconds(200);
  IssuerKeys& keys = Make(std::move(options));
  const std::string token = first_.Sign(Payload(issuer_.url));
  ASSERT_EQ(Verify(keys, token), OkStatus());
  issuer_.SetKeys({.status = 500});
  std::this_thread::sleep_for(milliseconds(250));
  const Status old = Verify(keys, token);
  EXPECT_EQ(old.code(), StatusCode::kUnavailable) << old;
  EXPECT_THAT(std::string(old.message()), HasSubstr("keys_max_age"));
  issuer_.SetKeys({.body = JwksOf({&first_})});
  EXPECT_EQ(Verify(keys, token), OkStatus());
}

TEST_F(IssuerKeysTest, AnIssuerThatIsGoneIsUnavailableAndNotTheTokensFault) {
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.jwks_url = "http://127.0.0.1:1/keys";
  IssuerKeys& keys = Make(std::move(options));
  EXPECT_EQ(Verify(keys, first_.Sign(Payload(issuer_.url))).code(), StatusCode::kUnavailable);
}

TEST_F(IssuerKeysTest, KeepsThemFreshAsLongAsTheAnswerSaysWithinItsBounds) {
  issuer_.SetKeys({.body = JwksOf({&first_}), .cache_control = "max-age=0"});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.shortest = milliseconds(5);
  IssuerKeys& keys = Make(std::move(options));
  Spawn(runtime_.NextExecutor(), keys.KeepFresh());
  while (issuer_.keys_asked < 3) std::this_thread::yield();
  // Rotated without any token asking.
  issuer_.SetKeys({.body = JwksOf({&second_}), .cache_control = "public, max-age=3600"});
  while (!keys.verifier().Verify(second_.Sign(Payload(issuer_.url))).ok())
    std::this_thread::yield();
}

TEST(MaxAge, IsReadOffCacheControl) {
  const auto of = [](std::string_view value) {
    http::Headers headers;
    headers.Add("Cache-Control", value);
    return MaxAgeOf(headers);
  };
  EXPECT_EQ(of("public, max-age=60"), std::chrono::seconds(60));
  EXPECT_EQ(of("MAX-AGE=\"5\""), std::chrono::seconds(5));
  EXPECT_EQ(of("no-store, max-age=60"), Duration(0));
  EXPECT_EQ(of("max-age=99999999999999999999999"), std::chrono::hours(24 * 365));
  EXPECT_EQ(of("max-age=x"), std::nullopt);
  EXPECT_EQ(of("private"), std::nullopt);
}

TEST_F(IssuerKeysTest, DiscoveryMustNameTheIssuerItself) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys::Options options = OptionsFor(issuer_);
  options.jwks_url.clear();
  options.discovery_url = issuer_.url + "/.well-known/openid-configuration";
  IssuerKeys& keys = Make(options);
  EXPECT_EQ(Verify(keys, first_.Sign(Payload(issuer_.url))), OkStatus());
  issuer_.SetDiscovery(
      {.body = fmt::format(R"({{"issuer":"https://evil.example","jwks_uri":"{}/keys"}})",
                           issuer_.url)});
  telemetry::Metrics metrics;
  IssuerKeys other(options, runtime_, client_, metrics);
  EXPECT_EQ(Verify(other, first_.Sign(Payload(issuer_.url))).code(), StatusCode::kUnavailable);
  runtime_.Stop();
}

TEST(Discovery, RefusesPlainHttpOfAnHttpsIssuer) {
  const char* document = R"({"issuer":"https://id.example","jwks_uri":"http://id.example/keys"})";
  EXPECT_FALSE(ParseIssuerMetadata(document, "https://id.example").ok());
  EXPECT_FALSE(ParseIssuerMetadata("[]", "https://id.example").ok());
  EXPECT_FALSE(ParseIssuerMetadata(R"({"issuer":"i","jwks_uri":"file:///etc/passwd"})", "i").ok());
}

TEST_F(IssuerKeysTest, NeitherNoneNorASecretMadeOfAPublicKeyIsTaken) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  IssuerKeys& keys = Make(OptionsFor(issuer_));
  for (const char* algorithm : {"none", "HS256", "EdDSA"}) {
    const std::string token = first_.Sign(Payload(issuer_.url), algorithm);
    EXPECT_EQ(Reason(Verify(keys, token)), "JWT_ALGORITHM") << algorithm;
  }
  // A key of another algorithm than the token says.
  ASSERT_EQ(Verify(keys, first_.Sign(Payload(issuer_.url))), OkStatus());
  EXPECT_EQ(Reason(Verify(keys, first_.Sign(Payload(issuer_.url), "RS256"))), "JWT_ALGORITHM");
}

class JwtIssuersTest : public IssuerKeysTest {
 protected:
  JwtIssuerConfig ConfigOf(const TestIssuer& issuer) {
    JwtIssuerConfig config;
    config.issuer = issuer.url;
    config.audience = "starling";
    config.jwks_url = issuer.url + "/keys";
    return config;
  }
  Caller Ask(JwtIssuers& issuers, const std::string& token) {
    return runtime_.Block(issuers.Authenticate(token));
  }
  TestIssuer other_{runtime_};
};

TEST_F(JwtIssuersTest, AKeyOfOneIssuerIsWorthNothingInTheNameOfAnother) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  other_.SetKeys({.body = JwksOf({&second_})});
  JwtIssuers issuers({ConfigOf(issuer_), ConfigOf(other_)}, runtime_, client_, telemetry_,
                     SystemClock(), nullptr);
  EXPECT_TRUE(Ask(issuers, first_.Sign(Payload(issuer_.url))).ok());
  EXPECT_TRUE(Ask(issuers, second_.Sign(Payload(other_.url))).ok());
  EXPECT_EQ(Reason(Ask(issuers, first_.Sign(Payload(other_.url))).status()), "JWT_UNKNOWN_KEY");
  // Also with the other's key id.
  EXPECT_EQ(Reason(Ask(issuers, first_.Sign(Payload(other_.url), "ES256", "second")).status()),
            "JWT_SIGNATURE");
  EXPECT_EQ(Reason(Ask(issuers, first_.Sign(Payload("https://evil.example"))).status()),
            "JWT_CLAIM");
  runtime_.Stop();
}

TEST_F(JwtIssuersTest, SaysWhoTheUserIsAndWhatItMayByTheMapping) {
  issuer_.SetKeys({.body = JwksOf({&first_})});
  JwtIssuerConfig config = ConfigOf(issuer_);
  config.user_claim = "preferred_username";
  config.user_prefix = "corp-";
  config.scope_claim = "roles";
  config.scopes = {{"shop-reader", "catalog.read"}};
  JwtIssuers issuers({config}, runtime_, client_, telemetry_, SystemClock(), nullptr);
  const Caller caller = Ask(
      issuers,
      first_.Sign(Payload(
          issuer_.url, R"(,"preferred_username":"grace","roles":["shop-reader","users.write"])")));
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->subject, "corp-grace");
  EXPECT_TRUE((*caller)->scopes.Holds("catalog.read"));
  EXPECT_FALSE((*caller)->scopes.Holds("users.write"));
  EXPECT_EQ(Reason(Ask(issuers, first_.Sign(Payload(issuer_.url))).status()), "JWT_CLAIM");
  runtime_.Stop();
}

}  // namespace
}  // namespace starling::identity

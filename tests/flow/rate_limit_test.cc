// Who is answered 429 over HTTP, what the answer says, and who is not touched by it. The limits
// refill so slowly that nothing comes back while a test runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "tests/flow/running_process.h"

namespace starling {
namespace {

using http::Verb;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing_support::RunningProcess;

constexpr char kBadKey[] = "sk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

class RateLimit : public testing::Test {
 protected:
  void Run(config::Sources::Pairs settings, std::string file = "") {
    running_ = std::make_unique<RunningProcess>(std::move(settings), std::move(file));
    ASSERT_TRUE(running_->status().ok()) << running_->status();
  }

  // `address` is told as a proxy on this machine would.
  http::ClientResponse Send(Verb verb, const std::string& path, const std::string& token = "",
                            const std::string& body = "", const std::string& address = "",
                            int port = 0) {
    http::ClientRequest request{.verb = verb,
                                .url = port == 0
                                           ? running_->url() + path
                                           : "http://127.0.0.1:" + std::to_string(port) + path,
                                .headers = {},
                                .body = body};
    if (!token.empty()) request.headers.Set("authorization", "Bearer " + token);
    if (!address.empty()) request.headers.Set("x-forwarded-for", address);
    auto response = running_->process().runtime().Block(running_->client().Send(request));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::ClientResponse();
  }
  int Read(const std::string& token, const std::string& address = "") {
    return Send(Verb::kGet, "/v1/products", token, "", address).status;
  }
  http::ClientResponse SignIn(const std::string& password, const std::string& address = "",
                              const std::string& token = "") {
    return Send(Verb::kPost, "/v1/sessions", token,
                fmt::format(R"({{"user_id":"ada","password":"{}"}})", password), address);
  }
  void AddAda() {
    const std::string& admin = running_->admin_key();
    ASSERT_EQ(Send(Verb::kPatch, "/v1/users/ada", admin, R"({"display_name":"Ada"})").status, 200);
    ASSERT_LT(
        Send(Verb::kPost, "/v1/users/ada:setPassword", admin, R"({"password":"correct horse"})")
            .status,
        300);
  }
  // Retry-After, which is at most `most` and, as no test takes a minute, hardly less.
  static std::string WaitOf(const http::ClientResponse& refused, int most) {
    std::string wait = Text(refused.headers.Find("retry-after"));
    EXPECT_LE(std::atoi(wait.c_str()), most);
    EXPECT_GE(std::atoi(wait.c_str()), most - 60);
    return wait;
  }
  static std::string Text(std::optional<std::string_view> header) {
    return std::string(header.value_or(""));
  }
  std::string Metrics() {
    return Send(Verb::kGet, "/metrics", "", "", "", running_->process().admin_port()).body;
  }

  std::unique_ptr<RunningProcess> running_;
};

TEST_F(RateLimit, ACallerAboveItsLimitIsToldWhenToComeBackAndOthersGoOn) {
  Run({{"gateway.rate_limit.requests_per_second", "0.01"}, {"gateway.rate_limit.burst", "5"}});
  AddAda();
  const std::string session = SignIn("correct horse").body;
  const std::string mark = R"("access_token":")";
  const size_t begin = session.find(mark) + mark.size();
  const std::string ada = session.substr(begin, session.find('"', begin) - begin);

  const std::string& admin = running_->admin_key();
  const auto good = Send(Verb::kGet, "/v1/products", admin);
  EXPECT_EQ(good.status, 200);
  EXPECT_EQ(good.headers.Find("ratelimit-policy"), R"("requests";q=5;w=500)");
  EXPECT_THAT(Text(good.headers.Find("ratelimit")), StartsWith(R"("requests";r=2;t=)"));
  const auto missing = Send(Verb::kGet, "/v1/products/none", admin);
  EXPECT_EQ(missing.status, 404);
  EXPECT_THAT(Text(missing.headers.Find("ratelimit")), StartsWith(R"("requests";r=1;t=)"))
      << "also on an error";
  const auto stream = Send(Verb::kGet, "/v1/products:export", admin);
  EXPECT_EQ(stream.status, 200);
  EXPECT_THAT(Text(stream.headers.Find("ratelimit")), StartsWith(R"("requests";r=0;t=)"))
      << "and on a stream";

  const auto refused = Send(Verb::kGet, "/v1/products", admin);
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.Find("content-type"), "application/problem+json");
  const std::string wait = WaitOf(refused, 100);
  EXPECT_EQ(refused.headers.Find("ratelimit-policy"), R"("requests";q=5;w=500)");
  EXPECT_EQ(refused.headers.Find("ratelimit"), R"("requests";r=0;t=)" + wait);
  EXPECT_THAT(
      refused.body,
      HasSubstr(R"("type":"https://iana.org/assignments/http-problem-types#quota-exceeded")"));
  EXPECT_THAT(refused.body, HasSubstr(R"("status":429)"));
  EXPECT_THAT(refused.body, HasSubstr(R"("violated-policies":["requests"])"));
  EXPECT_THAT(refused.body,
              HasSubstr("the limit of 0.6 a minute, 5 at once; try again in " + wait + " s"));

  EXPECT_EQ(Send(Verb::kGet, "/v1/users/ada", ada).status, 200) << "another caller";
  EXPECT_EQ(SignIn("correct horse").status, 201) << "nobody, from the same address";
  EXPECT_THAT(Metrics(), HasSubstr("starling_gateway_refused_total{kind=\"key\"} 1"));
}

TEST_F(RateLimit, WhatIsNoCallOfAServiceIsFree) {
  Run({{"gateway.rate_limit.requests_per_second", "0.01"}, {"gateway.rate_limit.burst", "1"}});
  EXPECT_EQ(Read(""), 401);
  EXPECT_EQ(Read(""), 429) << "who brings nothing is limited by address";
  EXPECT_EQ(Read("nonsense"), 429) << "so is who brings anything";
  EXPECT_EQ(Read(running_->admin_key()), 200);
  for (int i = 0; i < 20; ++i) {
    for (const std::string path : {"/healthz", "/readyz", "/", "/openapi.json"})
      EXPECT_EQ(Send(Verb::kGet, path).status, 200) << path;
    for (const std::string path : {"/healthz", "/metrics"}) {
      EXPECT_EQ(Send(Verb::kGet, path, "", "", "", running_->process().admin_port()).status, 200)
          << path;
    }
  }
}

TEST_F(RateLimit, KeysThatFailAreThrottledByAddressAndAGoodOneFromThereStillWorks) {
  Run({{"gateway.failed_credentials.per_minute", "0.1"},
       {"gateway.failed_credentials.burst", "3"},
       {"gateway.trusted_proxies", "[127.0.0.1]"}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Read(kBadKey, "192.0.2.1"), 401);
  const auto refused = Send(Verb::kGet, "/v1/products", kBadKey, "", "192.0.2.1");
  EXPECT_EQ(refused.status, 429);
  const std::string wait = WaitOf(refused, 600);
  EXPECT_EQ(refused.headers.Find("ratelimit-policy"), R"("failed-credentials";q=3;w=1800)");
  EXPECT_EQ(refused.headers.Find("ratelimit"), R"("failed-credentials";r=0;t=)" + wait);
  EXPECT_THAT(refused.body, HasSubstr(R"("violated-policies":["failed-credentials"])"));
  EXPECT_THAT(refused.body, Not(HasSubstr(kBadKey)));
  EXPECT_EQ(Read("no token at all", "192.0.2.1"), 429) << "of whatever form";
  EXPECT_EQ(Read(running_->admin_key(), "192.0.2.1"), 200);
  EXPECT_EQ(Read("", "192.0.2.1"), 401) << "nothing is no guess";
  EXPECT_EQ(Read(kBadKey, "192.0.2.2"), 401) << "another address";
  EXPECT_THAT(Metrics(), HasSubstr("starling_gateway_refused_total{kind=\"failed_token\"} 2"));
}

TEST_F(RateLimit, APasswordIsGuessedOnlySoOftenFromOneAddress) {
  Run({{"gateway.failed_credentials.per_minute", "0.1"},
       {"gateway.failed_credentials.burst", "3"},
       {"gateway.trusted_proxies", "[127.0.0.1]"}});
  AddAda();
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(SignIn("correct horse", "192.0.2.1").status, 201) << "a right one costs nothing";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Read(kBadKey, "192.0.2.1"), i < 3 ? 401 : 429);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(SignIn("a wrong horse", "192.0.2.1").status, 401);
  EXPECT_EQ(SignIn("a wrong horse", "192.0.2.1").status, 429);
  const auto refused = SignIn("correct horse", "192.0.2.1");
  EXPECT_EQ(refused.status, 429) << "a guess that is right is not told from others";
  WaitOf(refused, 600);
  EXPECT_THAT(refused.body, HasSubstr("wrong password"));
  EXPECT_EQ(SignIn("correct horse", "192.0.2.2").status, 201);
  EXPECT_EQ(SignIn("correct horse", "192.0.2.1", running_->admin_key()).status, 201)
      << "the shop's own server";
  EXPECT_THAT(Metrics(), HasSubstr("starling_gateway_refused_total{kind=\"failed_password\"} 2"));
}

TEST_F(RateLimit, ManyTriesAtOnceAreNoMoreThanOneAfterTheOther) {
  Run({{"gateway.failed_credentials.per_minute", "0.1"},
       {"gateway.failed_credentials.burst", "3"}});
  AddAda();
  std::vector<std::future<int>> tries;
  tries.reserve(12);
  for (int i = 0; i < 12; ++i)
    tries.push_back(std::async(std::launch::async, [&] { return SignIn("a wrong horse").status; }));
  int wrong = 0, refused = 0;
  for (auto& one : tries) {
    const int status = one.get();
    wrong += status == 401 ? 1 : 0;
    refused += status == 429 ? 1 : 0;
  }
  EXPECT_EQ(wrong, 3);
  EXPECT_EQ(refused, 9);
}

TEST_F(RateLimit, ALimitIsTakenAndLiftedWhileRunning) {
  const std::string folder = std::filesystem::temp_directory_path() / ("limits-" + NewId());
  std::filesystem::create_directories(folder);
  const std::string file = folder + "/starling.yaml";
  const auto configure = [&](const std::string& gateway) {
    std::ofstream(file) << "gateway:\n  " << gateway << '\n';
  };
  configure("failed_credentials: {burst: 20}");
  Run({}, file);
  const auto open = Send(Verb::kGet, "/v1/products", running_->admin_key());
  EXPECT_EQ(open.status, 200);
  EXPECT_FALSE(open.headers.Has("ratelimit")) << "off unless asked for";

  configure("rate_limit: {requests_per_second: 0.01, burst: 1}");
  ASSERT_TRUE(running_->registry().Reload().ok());
  EXPECT_EQ(Read(running_->admin_key()), 200);
  EXPECT_EQ(Read(running_->admin_key()), 429);

  configure("rate_limit: {requests_per_second: -1}");
  EXPECT_FALSE(running_->registry().Reload().ok()) << "a wrong one is refused whole";
  EXPECT_EQ(Read(running_->admin_key()), 429);

  configure("rate_limit: {requests_per_second: 0}");
  ASSERT_TRUE(running_->registry().Reload().ok());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Read(running_->admin_key()), 200);
  std::filesystem::remove_all(folder);
}

TEST(RateLimitConfig, AProxyThatIsNoAddressIsRefusedAndNamed) {
  RunningProcess running(config::Sources::Pairs{{"gateway.trusted_proxies", "[127.0.0.1, proxy]"}});
  EXPECT_THAT(std::string(running.status().message()), HasSubstr("gateway.trusted_proxies"));
  EXPECT_THAT(std::string(running.status().message()), HasSubstr("'proxy'"));
}

TEST_F(RateLimit, IdempotencyKeysOfNobodyAreThoseOfAnAddress) {
  Run({{"gateway.trusted_proxies", "127.0.0.1"}});
  AddAda();
  const auto sign_in = [&](const std::string& address) {
    http::ClientRequest request{.verb = Verb::kPost,
                                .url = running_->url() + "/v1/sessions",
                                .headers = {},
                                .body = R"({"user_id":"ada","password":"correct horse"})"};
    request.headers.Set("x-forwarded-for", address);
    request.headers.Set("idempotency-key", "monday");
    const auto response = running_->process().runtime().Block(running_->client().Send(request));
    EXPECT_EQ(response->status, 201);
    return response->body;
  };
  const std::string first = sign_in("192.0.2.1");
  EXPECT_EQ(sign_in("192.0.2.1"), first);
  EXPECT_NE(sign_in("192.0.2.2"), first) << "another's session is nobody else's";
}

}  // namespace
}  // namespace starling

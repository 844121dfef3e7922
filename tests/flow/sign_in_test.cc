// People who sign in at an OpenID provider: a real one on loopback, a browser's cookies, and what
// is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "platform/http/raw_socket.h"
#include "platform/identity/test_issuer.h"
#include "platform/security/token.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using identity::TestIssuer;
using identity::TestKey;
using testing::HasSubstr;
using testing::Not;
using testing_support::RunningProcess;

constexpr char kSite[] = "http://shop.test";

std::map<std::string, std::string> Parameters(std::string_view query) {
  std::map<std::string, std::string> found;
  const StatusOr<http::QueryParameters> parsed = http::ParseQuery(query);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  if (!parsed.ok()) return found;
  for (const auto& [name, value] : *parsed) found[name] = value;
  return found;
}

// An OpenID provider: authorize, token, keys. What it does wrong is said by its members.
class Provider {
 public:
  explicit Provider(Runtime& runtime)
      : issuer(runtime, [this](http::Router& router) {
          EXPECT_TRUE(router
                          .Add(http::Verb::kPost, "/token",
                               [this](http::Exchange& exchange) { return Token(exchange); })
                          .ok());
        }) {
    issuer.SetKeys({.body = identity::JwksOf({&key})});
  }

  // What the provider's page does when `subject` has signed in there: gives a code.
  std::string Authorize(const std::string& location, const std::string& subject) {
    const auto asked = Parameters(location.substr(location.find('?') + 1));
    EXPECT_EQ(location.substr(0, location.find('?')), issuer.url + "/authorize");
    EXPECT_EQ(asked.at("response_type"), "code");
    EXPECT_EQ(asked.at("client_id"), "shop");
    EXPECT_EQ(asked.at("redirect_uri"), std::string(kSite) + "/auth/callback");
    EXPECT_EQ(asked.at("code_challenge_method"), "S256");
    EXPECT_EQ(asked.at("scope"), "openid");
    EXPECT_GE(asked.at("state").size(), 43u);
    EXPECT_GE(asked.at("nonce").size(), 43u);
    std::string code = RandomToken(16);
    codes_[code] = {subject, asked.at("nonce"), asked.at("code_challenge")};
    return code;
  }

  TestIssuer issuer;
  TestKey key{"k1"};
  TestKey stranger{"k1"};
  bool takes_a_code_twice = false;
  bool checks_the_verifier = true;
  bool signs_with_another_key = false;
  int64_t seconds_left = 60;
  int64_t issued_ago = 0;
  std::map<std::string, std::string> claims;  // instead of, or beside, the usual ones, as JSON
  std::string algorithm = "ES256";
  int tokens_asked = 0;

 private:
  struct Code {
    std::string subject, nonce, challenge;
  };
  Task<void> Token(http::Exchange& exchange) {
    ++tokens_asked;
    const auto asked = Parameters(exchange.request.body);
    const auto found = codes_.find(asked.at("code"));
    const bool good = found != codes_.end() && asked.at("grant_type") == "authorization_code" &&
                      asked.at("redirect_uri") == std::string(kSite) + "/auth/callback" &&
                      exchange.request.headers.Find("authorization") == "Basic c2hvcDpzZWNyZXQ=" &&
                      (!checks_the_verifier ||
                       found->second.challenge ==
                           Base64UrlEncode(security::Sha256(asked.at("code_verifier")).view()));
    if (!good) {
      exchange.response.status = 400;
      exchange.response.SetBody("application/json", R"({"error":"invalid_grant"})");
      co_return;
    }
    const Code code = found->second;
    if (!takes_a_code_twice) codes_.erase(found);
    const int64_t now = SystemClock().Now().time_since_epoch() / std::chrono::seconds(1);
    const std::string access = "an-access-token";
    std::map<std::string, std::string> all{
        {"iss", "\"" + issuer.url + "\""},
        {"sub", "\"" + code.subject + "\""},
        {"aud", "\"shop\""},
        {"name", "\"Ada L.\""},
        {"nonce", "\"" + code.nonce + "\""},
        {"exp", std::to_string(now + seconds_left)},
        {"iat", std::to_string(now - issued_ago)},
        {"at_hash", "\"" + Base64UrlEncode(security::Sha256(access).view().substr(0, 16)) + "\""}};
    for (const auto& [name, value] : claims) all[name] = value;
    std::string payload;
    for (const auto& [name, value] : all) {
      if (!value.empty())
        payload += fmt::format("{}\"{}\":{}", payload.empty() ? "" : ",", name, value);
    }
    const TestKey& signer = signs_with_another_key ? stranger : key;
    exchange.response.SetBody(
        "application/json",
        fmt::format(R"({{"access_token":"{}","token_type":"Bearer","id_token":"{}"}})", access,
                    signer.Sign("{" + payload + "}", algorithm)));
  }
  std::map<std::string, Code> codes_;
};

struct Answer {
  int status = 0;
  std::string head, body, location;
};

// A browser: keeps cookies as it is told to.
class Browser {
 public:
  explicit Browser(int port) : port_(static_cast<uint16_t>(port)) {}

  Answer Ask(const std::string& verb, const std::string& target, const std::string& fields = "") {
    http::RawSocket socket(port_);
    std::string cookie;
    for (const auto& [name, value] : cookies)
      cookie += fmt::format("{}{}={}", cookie.empty() ? "Cookie: " : "; ", name, value);
    if (!cookie.empty()) cookie += "\r\n";
    socket.Send(fmt::format("{} {} HTTP/1.1\r\nHost: shop.test\r\n{}{}{}\r\n", verb, target, cookie,
                            fields, verb == "GET" ? "" : "Content-Length: 0\r\n"));
    Answer answer;
    const std::string all = socket.ReadResponse();
    answer.head = all.substr(0, all.find("\r\n\r\n") + 2);
    answer.body = all.substr(std::min(all.size(), answer.head.size() + 2));
    answer.status = std::atoi(all.c_str() + 9);
    for (size_t at = 0; at < answer.head.size();) {
      const size_t end = answer.head.find("\r\n", at);
      const std::string line = answer.head.substr(at, end - at);
      at = end + 2;
      const auto is = [&](std::string_view name) {
        return http::EqualsIgnoreCase(line.substr(0, name.size()), name);
      };
      if (is("location: ")) answer.location = line.substr(10);
      if (!is("set-cookie: ")) continue;
      set_cookies.push_back(line.substr(12));
      const std::string pair = line.substr(12, line.find(';') - 12);
      const std::string name = pair.substr(0, pair.find('='));
      if (line.find("Max-Age=0") != std::string::npos) {
        cookies.erase(name);
      } else {
        cookies[name] = pair.substr(pair.find('=') + 1);
      }
    }
    return answer;
  }
  Answer Get(const std::string& target, const std::string& fields = "") {
    return Ask("GET", target, fields);
  }

  std::map<std::string, std::string> cookies;
  std::vector<std::string> set_cookies;

 private:
  const uint16_t port_;
};

class SignInTest : public testing::Test {
 protected:
  SignInTest()
      : running_({{"security.oidc.issuer", provider_.issuer.url},
                  {"security.oidc.client_id", "shop"},
                  {"security.oidc.client_secret", "secret"},
                  {"security.oidc.public_url", kSite},
                  {"gateway.failed_credentials.burst", "1000"},
                  {"storefront.enabled", "false"}}) {
    EXPECT_TRUE(running_.status().ok()) << running_.status();
  }
  Browser NewBrowser() { return Browser(running_.process().http_port()); }

  // Begins, signs in at the provider as `subject`; where that sends the browser to.
  std::string Begin(Browser& browser, const std::string& subject,
                    const std::string& login = "/auth/login?return_to=/cart") {
    const Answer answer = browser.Get(login);
    EXPECT_EQ(answer.status, 303) << answer.head << answer.body;
    const auto asked = Parameters(answer.location.substr(answer.location.find('?') + 1));
    state_ = asked.at("state");
    code_ = provider_.Authorize(answer.location, subject);
    return Callback(code_, state_);
  }
  static std::string Callback(const std::string& code, const std::string& state) {
    return "/auth/callback?code=" + code + "&state=" + state;
  }
  // Refused with a page, and nobody is signed in.
  void ExpectRefused(Browser& browser, const std::string& callback, const std::string& why) {
    const Answer answer = browser.Get(callback);
    EXPECT_EQ(answer.status, 400) << answer.head;
    EXPECT_THAT(answer.head, HasSubstr("text/html"));
    EXPECT_THAT(answer.head, HasSubstr("default-src 'none'"));
    EXPECT_THAT(answer.body, HasSubstr("You are not signed in"));
    EXPECT_THAT(answer.body, HasSubstr(why));
    EXPECT_EQ(browser.cookies.count("starling_session"), 0u);
  }
  static std::string Me(const std::string& issuer, const std::string& subject) {
    return identity::UserIdOf(issuer, subject);
  }

  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  Provider provider_{runtime_};
  RunningProcess running_;
  std::string state_, code_;
};

TEST_F(SignInTest, GivesASessionInACookieAndAUserOfItsOwn) {
  Browser browser = NewBrowser();
  const Answer back = browser.Get(Begin(browser, "sub-1"));
  ASSERT_EQ(back.status, 303) << back.body;
  EXPECT_EQ(back.location, "/cart");
  EXPECT_EQ(browser.cookies.count("starling_login"), 0u);
  ASSERT_TRUE(security::IsSessionToken(browser.cookies["starling_session"]));
  for (const std::string& set : browser.set_cookies) {
    EXPECT_THAT(set, HasSubstr("; HttpOnly"));
    EXPECT_THAT(set, HasSubstr("; SameSite=Lax"));
  }
  const std::string me = Me(provider_.issuer.url, "sub-1");
  const Answer user = browser.Get("/v1/users/" + me);
  EXPECT_EQ(user.status, 200) << user.body;
  EXPECT_THAT(user.body, HasSubstr("Ada L."));
  EXPECT_EQ(browser.Get("/v1/users/" + Me(provider_.issuer.url, "sub-2")).status, 404);
  // The same subject of another issuer is another user.
  EXPECT_EQ(browser.Get("/v1/users/" + Me("https://other.example", "sub-1")).status, 404);
  EXPECT_EQ(NewBrowser().Get("/v1/users/" + me).status, 401);

  // A second sign-in is the same user, with another session; that of before has ended.
  Browser old = NewBrowser();
  old.cookies = browser.cookies;
  ASSERT_EQ(browser.Get(Begin(browser, "sub-1")).status, 303);
  EXPECT_EQ(browser.Get("/v1/users/" + me).status, 200);
  EXPECT_NE(browser.cookies["starling_session"], old.cookies["starling_session"]);
  EXPECT_EQ(old.Get("/v1/users/" + me).status, 401);
}

TEST_F(SignInTest, AChangeByTheCookieMustComeFromOurPages) {
  Browser browser = NewBrowser();
  ASSERT_EQ(browser.Get(Begin(browser, "sub-1")).status, 303);
  const std::string me = "/v1/sessions/current";
  EXPECT_EQ(browser.Ask("DELETE", me).status, 403);
  EXPECT_EQ(browser.Ask("DELETE", me, "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(browser.Ask("DELETE", me, "Sec-Fetch-Site: cross-site\r\n").status, 403);
  EXPECT_EQ(browser.Ask("DELETE", me, "Sec-Fetch-Site: same-origin\r\n").status, 204);
  EXPECT_EQ(browser.Get("/v1/users/" + Me(provider_.issuer.url, "sub-1")).status, 401);
}

TEST_F(SignInTest, SigningOutEndsTheSessionAndIsNotForOtherSites) {
  Browser browser = NewBrowser();
  ASSERT_EQ(browser.Get(Begin(browser, "sub-1")).status, 303);
  Browser copy = NewBrowser();
  copy.cookies = browser.cookies;
  const std::string me = "/v1/users/" + Me(provider_.issuer.url, "sub-1");
  EXPECT_THAT(browser.Get("/auth/logout").body, HasSubstr("<form method=\"post\""));
  EXPECT_EQ(browser.Ask("POST", "/auth/logout", "Origin: http://evil.example\r\n").status, 403);
  EXPECT_EQ(copy.Get(me).status, 200);
  EXPECT_EQ(browser.Ask("POST", "/auth/logout", "Origin: http://shop.test\r\n").status, 303);
  EXPECT_EQ(browser.cookies.count("starling_session"), 0u);
  EXPECT_EQ(copy.Get(me).status, 401);
}

TEST_F(SignInTest, IsSeenAsOtherRequestsAre) {
  Browser browser = NewBrowser();
  const Answer answer = browser.Get(
      "/auth/login",
      "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Request-Id: "
      "r1\r\n");
  EXPECT_EQ(answer.status, 303);
  EXPECT_THAT(answer.head, HasSubstr("traceparent: 00-0af7651916cd43dd8448eb211c80319c-"));
  EXPECT_THAT(answer.head, HasSubstr("x-request-id: r1\r\n"));
  EXPECT_EQ(browser.Get("/auth/callback?code=c&state=s").status, 400);
  http::ClientRequest request{
      .verb = http::Verb::kGet,
      .url = fmt::format("http://127.0.0.1:{}/metrics", running_.process().admin_port()),
      .headers = {},
      .body = ""};
  const auto metrics =
      running_.process().runtime().Block(running_.client().Send(std::move(request)));
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_THAT(metrics->body, HasSubstr(R"(method="/auth/login")"));
  EXPECT_THAT(metrics->body, HasSubstr(R"(method="/auth/callback")"));
}

TEST_F(SignInTest, AReturnToAnotherSiteIsRefused) {
  Browser browser = NewBrowser();
  for (const char* to : {"https://evil.example", "//evil.example", "/%5Cevil.example",
                         "/%09/evil.example", "%2F%2Fevil.example", "javascript:alert(1)"}) {
    const Answer answer = browser.Get("/auth/login?return_to=" + std::string(to));
    EXPECT_EQ(answer.status, 400) << to;
    EXPECT_EQ(answer.location, "") << to;
  }
  EXPECT_EQ(browser.Get("/auth/login?return_to=/a&return_to=//evil.example").status, 400);
  ASSERT_EQ(browser.Get(Begin(browser, "sub-1", "/auth/login")).location, "/");
}

TEST_F(SignInTest, ACallbackCountsOnceEvenIfTheProviderTakesItTwice) {
  provider_.takes_a_code_twice = true;
  Browser browser = NewBrowser();
  const std::string callback = Begin(browser, "sub-1");
  Browser thief = NewBrowser();
  thief.cookies = browser.cookies;
  ASSERT_EQ(browser.Get(callback).status, 303);
  ExpectRefused(thief, callback, "has been used");
  EXPECT_EQ(provider_.tokens_asked, 1);
}

TEST_F(SignInTest, AReplayedCodeIsRefused) {
  Browser browser = NewBrowser();
  ASSERT_EQ(browser.Get(Begin(browser, "sub-1")).status, 303);
  const std::string used = code_;
  Browser other = NewBrowser();
  Begin(other, "sub-1");
  ExpectRefused(other, Callback(used, state_), "did not take the code");
}

TEST_F(SignInTest, AWrongOrMissingStateIsRefused) {
  for (const char* state : {"", "wrong", "&state=twice"}) {
    Browser browser = NewBrowser();
    Begin(browser, "sub-1");
    ExpectRefused(browser, Callback(code_, state), "");
  }
  EXPECT_EQ(provider_.tokens_asked, 0);
}

TEST_F(SignInTest, NobodyIsSignedInAsWhoBeganInAnotherBrowser) {
  Browser attacker = NewBrowser();
  const std::string callback = Begin(attacker, "attacker");
  Browser victim = NewBrowser();
  ExpectRefused(victim, callback, "not begun in this browser");
  // Nor when the victim is about to sign in itself.
  Begin(victim, "sub-1");
  ExpectRefused(victim, callback, "not begun in this browser");
  // A cookie that nobody here has sealed is none.
  victim.cookies["starling_login"] = Base64UrlEncode("9999999999999999999\nstate\nn\nv\n/");
  ExpectRefused(victim, Callback("c", "state"), "not begun in this browser");
  EXPECT_EQ(provider_.tokens_asked, 0);
}

TEST_F(SignInTest, AnotherOnesCodeIsRefusedByTheVerifierAndByTheNonce) {
  for (const bool provider_checks : {true, false}) {
    provider_.checks_the_verifier = provider_checks;
    Browser attacker = NewBrowser();
    Begin(attacker, "attacker");
    const std::string injected = code_;
    Browser victim = NewBrowser();
    Begin(victim, "sub-1");
    ExpectRefused(victim, Callback(injected, state_),
                  provider_checks ? "did not take the code" : "not made for this sign-in");
  }
}

TEST_F(SignInTest, AnAnswerInTheNameOfAnotherProviderIsRefused) {
  Browser browser = NewBrowser();
  ExpectRefused(browser, Begin(browser, "sub-1") + "&iss=https%3A%2F%2Fevil.example",
                "another provider");
  EXPECT_EQ(provider_.tokens_asked, 0);
  Browser good = NewBrowser();
  EXPECT_EQ(
      good.Get(Begin(good, "sub-1") + "&iss=" + http::PercentEncode(provider_.issuer.url)).status,
      303);
}

TEST_F(SignInTest, WhatTheProviderRefusesIsRefused) {
  Browser browser = NewBrowser();
  Begin(browser, "sub-1");
  const std::string callback =
      "/auth/callback?error=access_denied&error_description=%3Cscript%3E&state=" + state_;
  ExpectRefused(browser, callback, "did not sign you in");
  EXPECT_THAT(browser.Get(callback).body, Not(HasSubstr("script")));
}

TEST_F(SignInTest, AnIdTokenThatIsNotGoodIsRefused) {
  struct Row {
    const char* name;
    std::function<void(Provider&)> broken;
  };
  const auto claim = [](const char* name, const char* value) {
    return [name, value](Provider& provider) { provider.claims[name] = value; };
  };
  const Row rows[] = {
      {"expired", [](Provider& p) { p.seconds_left = -31; }},
      {"of the future", [](Provider& p) { p.issued_ago = -60; }},
      {"signed by another key", [](Provider& p) { p.signs_with_another_key = true; }},
      {"without a signature", [](Provider& p) { p.algorithm = "none"; }},
      {"a public key as a secret", [](Provider& p) { p.algorithm = "HS256"; }},
      {"another issuer", claim("iss", R"("https://evil.example")")},
      {"another audience", claim("aud", R"("other")")},
      {"two audiences and no azp", claim("aud", R"(["shop","other"])")},
      {"another azp", claim("azp", R"("other")")},
      {"another nonce", claim("nonce", R"("other")")},
      {"no nonce", claim("nonce", "")},
      {"no subject", claim("sub", "")},
      {"no exp", claim("exp", "")},
      {"no iat", claim("iat", "")},
      {"of another access token", claim("at_hash", R"("AAAA")")},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    provider_.seconds_left = 60;
    provider_.issued_ago = 0;
    provider_.signs_with_another_key = false;
    provider_.algorithm = "ES256";
    provider_.claims.clear();
    row.broken(provider_);
    Browser browser = NewBrowser();
    ExpectRefused(browser, Begin(browser, "sub-1"), "ID token is not good");
  }
  // Within the bound that clocks may differ.
  provider_.claims = {{"azp", R"("shop")"}, {"aud", R"(["other","shop"])"}};
  provider_.seconds_left = -5;
  provider_.issued_ago = -5;
  Browser browser = NewBrowser();
  EXPECT_EQ(browser.Get(Begin(browser, "sub-1")).status, 303);
}

TEST_F(SignInTest, ASessionThatSomebodyPlantedIsNotTheOneThatIsUsed) {
  Browser attacker = NewBrowser();
  ASSERT_EQ(attacker.Get(Begin(attacker, "attacker")).status, 303);
  Browser victim = NewBrowser();
  victim.cookies["starling_session"] = attacker.cookies["starling_session"];
  ASSERT_EQ(victim.Get(Begin(victim, "sub-1")).status, 303);
  EXPECT_NE(victim.cookies["starling_session"], attacker.cookies["starling_session"]);
  EXPECT_EQ(victim.Get("/v1/users/" + Me(provider_.issuer.url, "sub-1")).status, 200);
  EXPECT_EQ(attacker.Get("/v1/users/" + Me(provider_.issuer.url, "sub-1")).status, 401);
}

TEST(SignIn, IsLimitedForWhoComesBackWithWhatIsNotGood) {
  Runtime runtime({.io_threads = 1, .blocking_threads = 1});
  Provider provider(runtime);
  RunningProcess running({{"security.oidc.issuer", provider.issuer.url},
                          {"security.oidc.client_id", "shop"},
                          {"security.oidc.client_secret", "secret"},
                          {"security.oidc.public_url", kSite},
                          {"gateway.failed_credentials.burst", "3"}});
  ASSERT_TRUE(running.status().ok()) << running.status();
  Browser browser(running.process().http_port());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(browser.Get("/auth/callback?code=x&state=y").status, 400);
  EXPECT_EQ(browser.Get("/auth/callback?code=x&state=y").status, 429);
}

}  // namespace
}  // namespace starling

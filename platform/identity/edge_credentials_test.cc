#include "platform/identity/edge_credentials.h"

#include <gtest/gtest.h>

#include "platform/security/token.h"

namespace starling::identity {
namespace {

using security::Identity;

// Sessions and keys by their text.
class Known final : public security::Authenticator {
 public:
  Task<StatusOr<std::shared_ptr<const Identity>>> Authenticate(std::string_view token) override {
    if (token == ada) co_return security::UserIdentity("ada");
    if (token == down) co_return Unavailable("the sessions are not there");
    if (token == "key") {
      co_return std::make_shared<const Identity>(Identity{.kind = Identity::kKey, .subject = "k1"});
    }
    co_return Unauthenticated("unknown");
  }
  bool Recognises(std::string_view) const override { return true; }
  const std::string ada = security::NewSessionToken().text;
  const std::string down = security::NewSessionToken().text;
};

class EdgeCredentialsTest : public testing::Test {
 protected:
  EdgeCredentialsTest() {
    credentials_.TakeCookies(
        {.name = "session", .login_name = "login", .origin = "https://shop.example"});
  }
  StatusOr<std::string> Caller() {
    auto caller = RunSync(credentials_.CallerOf(request_));
    if (!caller.ok()) return caller.status();
    return security::IdentityName(**caller);
  }
  void Request(http::Verb verb, std::vector<std::pair<std::string, std::string>> fields) {
    request_ = {};
    request_.verb = verb;
    for (const auto& [name, value] : fields) request_.headers.Add(name, value);
  }

  Known known_;
  EdgeCredentials credentials_{&known_};
  http::Request request_;
};

TEST_F(EdgeCredentialsTest, ACookieIsASessionAndEndsHere) {
  Request(http::Verb::kGet, {{"Cookie", "a=1; session=" + known_.ada + "; login=x"}});
  EXPECT_EQ(*Caller(), "user:ada");
  EXPECT_EQ(request_.headers.Joined("cookie"), "a=1");
  EXPECT_EQ(request_.headers.Find("authorization"), "Bearer " + known_.ada);
}

TEST_F(EdgeCredentialsTest, WhatIsNoSessionInACookieIsNobody) {
  for (const std::string& token : {std::string("key"), security::NewSessionToken().text}) {
    Request(http::Verb::kPost, {{"Cookie", "session=" + token}});
    EXPECT_EQ(*Caller(), "anonymous") << token;
    EXPECT_FALSE(request_.headers.Has("authorization"));
  }
  Request(http::Verb::kGet, {{"Cookie", "session=" + known_.ada + "; session=other"}});
  EXPECT_EQ(Caller().status().code(), StatusCode::kInvalidArgument);
  Request(http::Verb::kGet, {{"Cookie", "session=" + known_.down}});
  EXPECT_EQ(Caller().status().code(), StatusCode::kUnavailable);
}

TEST_F(EdgeCredentialsTest, AChangeByACookieMustComeFromOurOwnPages) {
  struct Row {
    std::vector<std::pair<std::string, std::string>> fields;
    bool good;
  };
  const Row rows[] = {
      {{}, false},
      {{{"Sec-Fetch-Site", "same-origin"}}, true},
      {{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "https://shop.example"}}, true},
      {{{"Sec-Fetch-Site", "same-origin"}, {"Origin", "https://evil.example"}}, false},
      {{{"Sec-Fetch-Site", "same-site"}, {"Origin", "https://shop.example"}}, false},
      {{{"Sec-Fetch-Site", "cross-site"}}, false},
      {{{"Sec-Fetch-Site", "none"}}, false},
      {{{"Origin", "https://shop.example"}}, true},
      {{{"Origin", "http://shop.example"}}, false},
      {{{"Origin", "https://shop.example.evil.example"}}, false},
      {{{"Origin", "null"}}, false},
  };
  for (const http::Verb verb : {http::Verb::kPost, http::Verb::kPut, http::Verb::kPatch,
                                http::Verb::kDelete, http::Verb::kOther}) {
    for (const Row& row : rows) {
      auto fields = row.fields;
      fields.emplace_back("Cookie", "session=" + known_.ada);
      Request(verb, fields);
      const auto caller = Caller();
      EXPECT_EQ(caller.ok(), row.good) << testing::PrintToString(row.fields);
      if (!row.good) {
        EXPECT_EQ(Reason(caller.status()), "CROSS_SITE");
      }
    }
  }
  // A WebSocket begins with GET.
  Request(http::Verb::kGet, {{"Cookie", "session=" + known_.ada},
                             {"Upgrade", "websocket"},
                             {"Origin", "https://evil.example"}});
  EXPECT_EQ(Reason(Caller().status()), "CROSS_SITE");
  // A token in Authorization is nothing that another site's page can send.
  Request(http::Verb::kPost,
          {{"Authorization", "Bearer " + known_.ada}, {"Origin", "https://evil.example"}});
  EXPECT_EQ(*Caller(), "user:ada");
}

TEST_F(EdgeCredentialsTest, ATokenCountsBeforeACookieWhichDoesNotGoOn) {
  Request(http::Verb::kPost,
          {{"Authorization", "Bearer key"}, {"Cookie", "session=" + known_.ada}});
  EXPECT_EQ(*Caller(), "key:k1");
  EXPECT_FALSE(request_.headers.Has("cookie"));
}

TEST_F(EdgeCredentialsTest, ACertificateIsACredentialAndNoHeaderIs) {
  using Kind = CertificateRuleConfig::Kind;
  credentials_.Set(std::make_shared<const CertificateRules>(std::vector<CertificateRuleConfig>{
      {.subject = "CN=till", .name = "till"},
      {.subject = "CN=ada", .identity = Kind::kUser, .name = "ada"},
      {.subject = "CN=eve", .identity = Kind::kUser, .name = "eve"}}));
  const auto with = [&](const char* subject, std::string token) -> StatusOr<std::string> {
    Request(http::Verb::kPost, {});
    if (!token.empty()) request_.headers.Add("authorization", "Bearer " + token);
    request_.client_certificate = std::make_shared<const http::ClientCertificate>(
        http::ClientCertificate{.subject = subject});
    return Caller();
  };
  EXPECT_EQ(*with("CN=till", ""), "key:certificate:till");
  EXPECT_EQ(*with("CN=ada", ""), "user:ada");
  EXPECT_EQ(*with("CN=unknown", ""), "anonymous");
  EXPECT_EQ(*with("CN=till", known_.ada), "user:ada");  // acts for her
  EXPECT_EQ(*with("CN=ada", known_.ada), "user:ada");
  EXPECT_EQ(*with("CN=eve", "key"), "key:k1");
  EXPECT_EQ(with("CN=eve", known_.ada).status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(with("CN=ada", "bad").status().code(), StatusCode::kUnauthenticated);

  Request(http::Verb::kGet, {{"X-Client-Cert", "CN=ada"},
                             {"X-SSL-Client-S-DN", "CN=ada"},
                             {"X-Forwarded-Client-Cert", "Subject=\"CN=ada\""},
                             {"Client-Cert", ":Q049YWRh:"}});
  EXPECT_EQ(*Caller(), "anonymous");
}

}  // namespace
}  // namespace starling::identity

// The storefront over HTTP: pages, their headers, and who may sign in without a password.
#include "apps/starling/storefront.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/starling/demo_sign_in.h"
#include "platform/http/raw_socket.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using http::Verb;
using testing::HasSubstr;
using testing::Not;
using testing_support::RunningProcess;

class Storefront : public testing::Test {
 protected:
  void Run(config::Sources::Pairs settings) {
    running_ = std::make_unique<RunningProcess>(std::move(settings));
    ASSERT_TRUE(running_->status().ok()) << running_->status();
  }
  void RunWithDemo() {
    Run({{"storefront.demo_sign_in", "true"}});
    ASSERT_EQ(Send(Verb::kPatch, "/v1/users/ada",
                   R"({"display_name":"Ada","attributes":{"a":"b"}})", running_->admin_key())
                  .status,
              200);
    ASSERT_EQ(
        Send(Verb::kPatch, "/v1/users/bob", R"({"display_name":"Bob"})", running_->admin_key())
            .status,
        200);
  }

  http::ClientResponse Send(Verb verb, const std::string& path, const std::string& body = "",
                            const std::string& token = "") {
    http::ClientRequest request{
        .verb = verb, .url = running_->url() + path, .headers = {}, .body = body};
    if (!token.empty()) request.headers.Set("authorization", "Bearer " + token);
    if (!body.empty()) request.headers.Set("content-type", "application/json");
    auto response =
        running_->process().runtime().Block(running_->client().Send(std::move(request)));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::ClientResponse();
  }

  std::unique_ptr<RunningProcess> running_;
};

TEST_F(Storefront, ThePageAndItsAssetsAreServedWithAPolicyThatLetsNoForeignScriptIn) {
  Run({});
  const auto page = Send(Verb::kGet, "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.headers.Find("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(page.body, HasSubstr("/assets/main.js"));
  EXPECT_THAT(page.body, Not(HasSubstr("<script>"))) << "the policy lets no inline script run";
  for (const std::string path : {"/", "/assets/main.js", "/assets/none.js"}) {
    const auto answer = Send(Verb::kGet, path);
    const std::string policy(answer.headers.Find("content-security-policy").value_or(""));
    EXPECT_THAT(policy, HasSubstr("default-src 'self'")) << path;
    EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'")) << path;
    EXPECT_THAT(policy, Not(HasSubstr("unsafe"))) << path;
    EXPECT_EQ(answer.headers.Find("x-content-type-options"), "nosniff") << path;
    EXPECT_EQ(answer.headers.Find("referrer-policy"), "no-referrer") << path;
  }
  EXPECT_EQ(Send(Verb::kGet, "/assets/main.js").headers.Find("content-type"),
            "text/javascript; charset=utf-8");
  EXPECT_EQ(Send(Verb::kGet, "/assets/none.js").status, 404);
  EXPECT_EQ(Send(Verb::kGet, "/assets/../storefront.json").status, 200) << "as the path says";
  EXPECT_EQ(Send(Verb::kPost, "/", "{}").status, 405);
}

// What index.html and the scripts name is there, and nothing names another place.
TEST_F(Storefront, EveryAssetThatIsNamedIsServedAndNoneIsElsewhere) {
  Run({});
  std::vector<std::string> waiting = {"/"};
  std::set<std::string> seen;
  while (!waiting.empty()) {
    const std::string path = waiting.back();
    waiting.pop_back();
    if (!seen.insert(path).second) continue;
    const auto answer = Send(Verb::kGet, path);
    ASSERT_EQ(answer.status, 200) << path;
    for (const std::string_view mark : {"\"/assets/", "from \"./"}) {
      for (size_t at = 0; (at = answer.body.find(mark, at)) != std::string::npos; ++at) {
        const size_t begin = at + mark.size();
        waiting.push_back("/assets/" +
                          answer.body.substr(begin, answer.body.find('"', begin) - begin));
      }
    }
    EXPECT_THAT(answer.body, Not(HasSubstr("innerHTML"))) << path;
    EXPECT_THAT(answer.body, Not(HasSubstr("url(http"))) << path;
    EXPECT_THAT(answer.body, Not(HasSubstr("src=\"http"))) << path;
  }
  EXPECT_GE(seen.size(), 10u);
}

TEST_F(Storefront, APageThatHasNotChangedIsNotSentAgain) {
  Run({});
  http::ClientRequest request{
      .url = running_->url() + "/assets/style.css", .headers = {}, .body = {}};
  request.headers.Set("if-none-match", *Send(Verb::kGet, "/assets/style.css").headers.Find("etag"));
  const auto answer = running_->process().runtime().Block(running_->client().Send(request));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 304);
  EXPECT_EQ(answer->body, "");
}

TEST_F(Storefront, WithoutItTheApiStaysAndThePageIsGone) {
  Run({{"storefront.enabled", "false"}, {"storefront.demo_sign_in", "true"}});
  for (const std::string path : {"/", "/assets/main.js", "/storefront.json", "/demo/users"}) {
    EXPECT_EQ(Send(Verb::kGet, path).status, 404) << path;
  }
  EXPECT_EQ(Send(Verb::kGet, "/v1/products", "", running_->admin_key()).status, 200);
}

TEST_F(Storefront, DemoSignInIsNotThereUnlessAskedFor) {
  Run({});
  EXPECT_EQ(Send(Verb::kGet, "/demo/users").status, 404);
  EXPECT_EQ(Send(Verb::kPost, "/demo/sessions", R"({"user_id":"ada"})").status, 404);
  EXPECT_THAT(Send(Verb::kGet, "/storefront.json").body, HasSubstr(R"("demo_sign_in":false)"));
}

TEST_F(Storefront, ADemoShopperIsChosenAndSignedIn) {
  RunWithDemo();
  EXPECT_THAT(Send(Verb::kGet, "/storefront.json").body, HasSubstr(R"("demo_sign_in":true)"));
  EXPECT_EQ(Send(Verb::kGet, "/demo/users").body,
            R"({"users":[{"user_id":"ada","display_name":"Ada"},)"
            R"({"user_id":"bob","display_name":"Bob"}]})")
      << "and nothing else of them";
  EXPECT_THAT(Send(Verb::kGet, "/demo/users?limit=1").body, Not(HasSubstr("bob")));

  const auto answer = Send(Verb::kPost, "/demo/sessions", R"({"user_id":"ada"})");
  ASSERT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(answer.headers.Find("cache-control"), "no-store");
  const std::string mark = R"("access_token":")";
  const size_t begin = answer.body.find(mark) + mark.size();
  const std::string token = answer.body.substr(begin, answer.body.find('"', begin) - begin);
  EXPECT_EQ(Send(Verb::kGet, "/v1/users/ada", "", token).status, 200);
  EXPECT_EQ(Send(Verb::kGet, "/v1/users/bob", "", token).status, 404) << "a session of one user";
  EXPECT_EQ(Send(Verb::kDelete, "/v1/sessions/current", "", token).status, 204);
  EXPECT_EQ(Send(Verb::kGet, "/v1/users/ada", "", token).status, 401);
}

TEST_F(Storefront, ABadDemoRequestIsRefusedAndNamed) {
  RunWithDemo();
  struct Row {
    Verb verb;
    std::string path, body;
    int status;
    std::string says;
  };
  const Row rows[] = {
      {Verb::kPost, "/demo/sessions", R"({"user_id":"nobody"})", 404, "nobody"},
      {Verb::kPost, "/demo/sessions", R"({"user_id":""})", 400, "user_id"},
      {Verb::kPost, "/demo/sessions", R"({"user":"ada"})", 400, "user: unknown field"},
      {Verb::kPost, "/demo/sessions", R"({"user_id":)", 400, "malformed JSON"},
      {Verb::kPost, "/demo/sessions", "", 415, "application/json"},
      {Verb::kGet, "/demo/users?limit=0", "", 400, "limit"},
      {Verb::kGet, "/demo/users?limit=101", "", 400, "1 to 100"},
      {Verb::kGet, "/demo/users?limit=many", "", 400, "many"},
      {Verb::kGet, "/demo/users?page=2", "", 400, "page"},
      {Verb::kGet, "/demo/sessions", "", 405, "POST"},
  };
  for (const Row& row : rows) {
    const auto answer = Send(row.verb, row.path, row.body);
    EXPECT_EQ(answer.status, row.status) << row.path << row.body << answer.body;
    EXPECT_THAT(answer.body, HasSubstr(row.says));
    EXPECT_EQ(answer.headers.Find("content-type"), "application/problem+json");
  }
}

// How a browser would send it, heads and all.
TEST_F(Storefront, DemoSignInIsForThisMachineAndForItsOwnPages) {
  RunWithDemo();
  const int port = running_->process().http_port();
  const std::string own = "http://localhost:" + std::to_string(port);
  struct Row {
    std::string name, host, headers;
    int status;
    std::string says;
  };
  const std::string at = ":" + std::to_string(port);
  const Row rows[] = {
      {"localhost", "localhost" + at, "", 201, ""},
      {"capitals", "LOCALHOST" + at, "", 201, ""},
      {"by number", "127.0.0.1" + at, "", 201, ""},
      {"by IPv6 number", "[::1]" + at, "", 201, ""},
      {"without a port", "localhost", "", 201, ""},
      {"its own page", "localhost" + at, "Origin: " + own, 201, ""},
      {"a name that was rebound", "shop.evil.example" + at, "", 403, "shop.evil.example"},
      {"a name that begins well", "localhost.evil.example" + at, "", 403, "localhost.evil.example"},
      {"a name that ends well", "evil-localhost" + at, "", 403, "evil-localhost"},
      {"a number that begins well", "127.0.0.1.evil.example" + at, "", 403, "evil.example"},
      {"another machine's number", "192.0.2.7" + at, "", 403, "192.0.2.7"},
      {"no name", "", "", 403, "Host ''"},
      {"another site's page", "localhost" + at, "Origin: https://evil.example", 403,
       "evil.example"},
      {"another port's page", "localhost" + at, "Origin: http://localhost:1", 403, "localhost:1"},
      {"another scheme", "localhost" + at, "Origin: https://localhost" + at, 403, "https"},
      {"another name of this machine", "localhost" + at, "Origin: http://127.0.0.1" + at, 403,
       "127.0.0.1"},
      {"a page without an origin", "localhost" + at, "Origin: null", 403, "null"},
      {"a proxy", "localhost" + at, "X-Forwarded-For: 192.0.2.7", 403, "X-Forwarded-For"},
      {"a standard proxy", "localhost" + at, "Forwarded: for=192.0.2.7", 403, "Forwarded"},
  };
  for (const Row& row : rows) {
    const std::string body = R"({"user_id":"ada"})";
    const std::string head =
        fmt::format("Host: {}\r\n{}", row.host, row.headers.empty() ? "" : row.headers + "\r\n");
    http::RawSocket socket(static_cast<uint16_t>(port));
    const std::string answer = socket.Ask(fmt::format(
        "POST /demo/sessions HTTP/1.1\r\n{}Content-Type: application/json\r\nContent-Length: "
        "{}\r\n\r\n{}",
        head, body.size(), body));
    EXPECT_EQ(http::StatusOf(answer), row.status) << row.name << '\n' << answer;
    EXPECT_THAT(answer, HasSubstr(row.says)) << row.name;
    EXPECT_EQ(answer.find("st_") == std::string::npos, row.status != 201) << row.name;
    const std::string users = socket.Ask(fmt::format("GET /demo/users HTTP/1.1\r\n{}\r\n", head));
    EXPECT_EQ(http::StatusOf(users), row.status == 201 ? 200 : 403) << row.name << '\n' << users;
  }
}

// Where the server listens and who the peer is, which a test on loopback cannot vary over sockets.
TEST(DemoSignIn, OnlyAServerAndAPeerOnLoopbackWillDo) {
  struct Row {
    std::string listens_on, peer;
    StatusCode code;
    std::string says;
  };
  const Row rows[] = {
      {"127.0.0.1", "127.0.0.1", StatusCode::kOk, ""},
      {"127.0.0.53", "127.9.9.9", StatusCode::kOk, ""},
      {"::1", "::1", StatusCode::kOk, ""},
      {"::ffff:127.0.0.1", "::ffff:127.0.0.1", StatusCode::kOk, ""},
      {"0.0.0.0", "127.0.0.1", StatusCode::kPermissionDenied, "http.address is '0.0.0.0'"},
      {"::", "::1", StatusCode::kPermissionDenied, "http.address is '::'"},
      {"192.0.2.1", "127.0.0.1", StatusCode::kPermissionDenied, "set http.address to 127.0.0.1"},
      {"", "127.0.0.1", StatusCode::kPermissionDenied, "http.address is ''"},
      {"127.0.0.1", "192.0.2.7", StatusCode::kPermissionDenied, "comes from '192.0.2.7'"},
      {"127.0.0.1", "2001:db8::7", StatusCode::kPermissionDenied, "2001:db8::7"},
      {"127.0.0.1", "::ffff:192.0.2.7", StatusCode::kPermissionDenied, "192.0.2.7"},
      {"127.0.0.1", "1.0.0.127", StatusCode::kPermissionDenied, "1.0.0.127"},
      {"127.0.0.1", "", StatusCode::kPermissionDenied, "comes from ''"},
  };
  for (const Row& row : rows) {
    http::Request request;
    request.headers.Set("Host", "localhost:8080");
    request.remote_address = row.peer;
    const Status status = CheckDemoCaller(request, row.listens_on);
    EXPECT_EQ(status.code(), row.code) << row.listens_on << " " << row.peer;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.says));
  }
}

}  // namespace
}  // namespace starling

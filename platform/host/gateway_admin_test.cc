// Who may ask the gateway's admin routes, what they show, and what they change.
#include "platform/host/gateway_admin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/config/yaml.h"
#include "platform/gateway/cache/rules/target.h"

namespace starling::host {
namespace {

using security::Identity;
using testing::HasSubstr;

// "operator" has the scope; "user" is one who signed in with it, "users_key" a key made for one.
class Credentials final : public security::Authenticator {
 public:
  Task<StatusOr<std::shared_ptr<const Identity>>> Authenticate(std::string_view token) override {
    Identity identity{.kind = Identity::kKey, .subject = std::string(token)};
    identity.scopes = *security::ScopeSet::Parse({"gateway.admin"});
    if (token == "user") identity.kind = Identity::kUser;
    if (token == "users_key") identity.on_behalf_of = "ada";
    if (token == "reader") identity.scopes = *security::ScopeSet::Parse({"gateway.read"});
    if (token == "bad") co_return Unauthenticated("it is not known");
    co_return std::make_shared<const Identity>(std::move(identity));
  }
  bool Recognises(std::string_view) const override { return true; }
};

class GatewayAdminTest : public testing::Test {
 protected:
  GatewayAdminTest() {
    gateway::UpstreamConfig config;
    config.endpoints = {"127.0.0.1:1", "127.0.0.1:2"};
    EXPECT_TRUE(upstreams_.Set({{"search", config}}).ok());
    gateway::RouteConfig route;
    route.path = "/find";
    route.access = "anyone";
    route.to = {{"search", 3}};
    route.rate_limit.requests_per_second = 5;
    http::Router ignored;
    const rpc::EdgeOptions edge{.telemetry = &telemetry_, .limits = &limits_};
    EXPECT_TRUE(gateway::AddProxyRoutes({route}, upstreams_, cache_, edge, ignored, &routes_).ok());
    const Status added = AddGatewayAdminRoutes(
        router_, {.runtime = &runtime_,
                  .authenticator = &credentials_,
                  .clock = &clock_,
                  .routes = &routes_,
                  .upstreams = &upstreams_,
                  .limits = &limits_,
                  .cache = cache_.get(),
                  .certificates =
                      [this] {
                        return std::vector<http::TlsCertificate>{
                            {.file = "a.pem",
                             .names = {"shop.example"},
                             .issuer = "CN=\"CA\"",
                             .not_after = clock_.Now() + std::chrono::hours(36)}};
                      },
                  .drain = [this](Duration grace) { drained_ = grace; }});
    EXPECT_TRUE(added.ok()) << added;
  }
  ~GatewayAdminTest() override { runtime_.Stop(); }

  struct Answer {
    int status;
    std::string body;
  };
  Answer Ask(http::Verb verb, const std::string& path, std::string_view token = "operator",
             const std::string& query = "") {
    http::DetachedExchange exchange;
    exchange.request.verb = verb;
    exchange.request.verb_text = http::VerbText(verb);
    EXPECT_TRUE(http::NormalisePath(path, exchange.request.path).ok());
    exchange.request.query = query;
    if (!token.empty())
      exchange.request.headers.Set("authorization", "Bearer " + std::string(token));
    runtime_.Block(router_.Handle(exchange));
    return {exchange.response.status, exchange.response.body};
  }
  Answer Get(const std::string& path) { return Ask(http::Verb::kGet, path); }
  Answer Post(const std::string& path, const std::string& query = "") {
    return Ask(http::Verb::kPost, path, "operator", query);
  }
  static config::Node Read(const std::string& json) {
    config::Problems problems;
    auto node = config::ParseYaml(json, "answer", problems);
    EXPECT_TRUE(node) << json;
    return node.value_or(config::Node());
  }
  // Puts an answer into the cache.
  void Keep(const std::string& host, const std::string& target, const std::string& tags) {
    http::DetachedExchange exchange;
    exchange.request.verb_text = "GET";
    exchange.request.target = target;
    exchange.request.headers.Set("host", host);
    runtime_.Block(cache_->Serve(
        exchange, "/find#1", [tags](http::Request&, http::Exchange&) -> Task<gateway::Fetched> {
          gateway::Fetched fetched;
          fetched.response.headers.Set("cache-control", "public, max-age=600");
          fetched.response.headers.Set("surrogate-key", tags);
          fetched.response.body = "x";
          co_return fetched;
        }));
  }
  std::string Purged(const std::string& query) { return Post("/gateway/cache:purge", query).body; }

  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
  telemetry::Telemetry telemetry_;
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  Credentials credentials_;
  rpc::GatewayLimits limits_{{}, telemetry_.metrics()};
  std::shared_ptr<gateway::HttpCache> cache_ =
      std::make_shared<gateway::HttpCache>(gateway::HttpCacheOptions{});
  gateway::Upstreams upstreams_{runtime_, telemetry_.metrics()};
  gateway::RouteTable routes_;
  std::optional<Duration> drained_;
  http::Router router_;
};

TEST_F(GatewayAdminTest, OnlyAKeyOfTheOperatorWithTheScopeMayAsk) {
  const std::string drain = "/gateway/upstreams/search/endpoints/127.0.0.1:1:drain";
  for (const auto& [verb, path] : std::initializer_list<std::pair<http::Verb, std::string>>{
           {http::Verb::kGet, "/gateway/routes"},
           {http::Verb::kGet, "/gateway/upstreams"},
           {http::Verb::kGet, "/gateway/certificates"},
           {http::Verb::kGet, "/gateway/limits"},
           {http::Verb::kGet, "/gateway/cache"},
           {http::Verb::kPost, "/gateway/cache:purge"},
           {http::Verb::kPost, "/gateway:drain"},
           {http::Verb::kPost, drain}}) {
    EXPECT_EQ(Ask(verb, path, "").status, 401) << path;
    EXPECT_EQ(Ask(verb, path, "bad").status, 401) << path;
    EXPECT_EQ(Ask(verb, path, "user").status, 403) << path;
    EXPECT_EQ(Ask(verb, path, "users_key").status, 403) << path;
    EXPECT_EQ(Ask(verb, path, "reader").status, 403) << path;
  }
  EXPECT_FALSE(drained_.has_value());
  EXPECT_FALSE(upstreams_.Find("search")->Endpoints()[0].drained);
}

TEST_F(GatewayAdminTest, ShowsRoutesUpstreamsCertificatesLimitsAndCache) {
  const config::Node route = Read(Get("/gateway/routes").body).Find("routes")->items.at(0);
  EXPECT_EQ(route.Find("path")->text, "/find");
  EXPECT_EQ(route.Find("to")->items.at(0).Find("weight")->text, "3");
  EXPECT_EQ(route.Find("rate_limit")->Find("burst")->text, "10");
  const config::Node upstream = Read(Get("/gateway/upstreams").body).Find("upstreams")->items.at(0);
  EXPECT_EQ(upstream.Find("endpoints")->items.size(), 2u);
  EXPECT_EQ(upstream.Find("endpoints")->items[1].Find("state")->text, "serving");
  const config::Node certificate =
      Read(Get("/gateway/certificates").body).Find("certificates")->items.at(0);
  EXPECT_EQ(certificate.Find("days_left")->text, "1.50");
  EXPECT_EQ(certificate.Find("issuer")->text, "CN=\"CA\"");
  EXPECT_EQ(Read(Get("/gateway/limits").body).Find("policies")->items.at(0).Find("policy")->text,
            "/find");
  EXPECT_EQ(Read(Get("/gateway/cache").body).Find("entries")->text, "0");
}

TEST_F(GatewayAdminTest, DrainsAnEndpointAndBringsItBack) {
  const std::string endpoint = "/gateway/upstreams/search/endpoints/127.0.0.1:2:";
  EXPECT_THAT(Post(endpoint + "drain").body, HasSubstr(R"("state":"drained")"));
  EXPECT_TRUE(upstreams_.Find("search")->Endpoints()[1].drained);
  EXPECT_FALSE(upstreams_.Find("search")->Endpoints()[0].drained);
  EXPECT_EQ(Post(endpoint + "undrain").status, 200);
  EXPECT_FALSE(upstreams_.Find("search")->Endpoints()[1].drained);
  EXPECT_EQ(Post("/gateway/upstreams/none/endpoints/127.0.0.1:2:drain").status, 404);
  EXPECT_EQ(Post("/gateway/upstreams/search/endpoints/127.0.0.1:3:drain").status, 404);
}

TEST_F(GatewayAdminTest, PurgesByUrlPrefixAndTag) {
  const auto fill = [&] {
    Keep("shop.example", "/a?x=1", "product-7 all");
    Keep("shop.example", "/a", "product-8 all");
    Keep("other.example", "/a", "all");
  };
  fill();
  EXPECT_EQ(cache_->Stats().objects, 3u);
  EXPECT_EQ(Purged("url=http%3A%2F%2FShop.example%2Fa"), R"({"purged":1})");
  EXPECT_EQ(Purged("prefix=shop.example%2Fa"), R"({"purged":1})");
  EXPECT_EQ(Purged("all=true"), R"({"purged":1})");
  fill();
  EXPECT_EQ(Purged("tag=product-7"), R"({"purged":1})");
  EXPECT_EQ(Purged("tag=product"), R"({"purged":0})");
  EXPECT_EQ(Purged("tag=all"), R"({"purged":2})");
  for (const char* bad : {"", "all=false", "all=true&tag=x", "url=", "tag=a%20b", "other=1",
                          "url=%2Fa", "tag=a&tag=b", "%zz"}) {
    EXPECT_EQ(Post("/gateway/cache:purge", bad).status, 400) << bad;
  }
}

TEST_F(GatewayAdminTest, DrainsTheGatewayAfterAGrace) {
  for (const char* bad : {"grace=x", "grace=-1s", "grace=1h", "x=1"})
    EXPECT_EQ(Post("/gateway:drain", bad).status, 400) << bad;
  EXPECT_FALSE(drained_.has_value());
  EXPECT_EQ(Post("/gateway:drain", "grace=5s").status, 200);
  EXPECT_EQ(drained_, Duration(std::chrono::seconds(5)));
}

}  // namespace
}  // namespace starling::host

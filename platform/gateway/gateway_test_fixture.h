// A gateway on a loopback port with routes to upstreams, for tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/gateway/proxy_routes.h"
#include "platform/gateway/raw_server.h"
#include "platform/http/raw_socket.h"
#include "platform/http/server.h"

namespace starling::gateway {

// Tokens of the tests: "ada" is a user, "reader" a key with the scope search.read.
class TestCredentials final : public security::Authenticator {
 public:
  Task<StatusOr<std::shared_ptr<const security::Identity>>> Authenticate(
      std::string_view token) override {
    if (token == "ada") co_return security::UserIdentity("ada");
    if (token == "reader") {
      security::Identity key;
      key.kind = security::Identity::kKey;
      key.subject = "k1";
      key.scopes = *security::ScopeSet::Parse({"search.read"});
      co_return std::make_shared<const security::Identity>(std::move(key));
    }
    co_return Unauthenticated("the token is not known");
  }
  bool Recognises(std::string_view) const override { return true; }
};

class GatewayTest : public testing::Test {
 protected:
  ~GatewayTest() override {
    // Handlers end, so that none is left waiting when its thread stops.
    if (server_ != nullptr) (void)runtime_.Block(server_->Drain(Duration(0)));
    server_.reset();
    runtime_.Stop();
  }

  static UpstreamConfig To(std::vector<std::string> endpoints) {
    UpstreamConfig config;
    config.endpoints = std::move(endpoints);
    return config;
  }
  static RouteConfig Route(std::string path, std::string to) {
    RouteConfig route;
    route.path = std::move(path);
    route.access = "anyone";
    route.to = {{std::move(to), 1}};
    return route;
  }
  // "up" is one server; "/{rest=**}" goes there.
  void StartWith(const RawServer& upstream) {
    Start({{"up", To({upstream.address()})}}, {Route("/{rest=**}", "up")});
  }
  Status Set(const std::map<std::string, UpstreamConfig>& upstreams,
             const std::vector<RouteConfig>& routes) {
    STARLING_RETURN_IF_ERROR(CheckRoutes(upstreams, routes));
    auto router = std::make_shared<http::Router>();
    STARLING_RETURN_IF_ERROR(upstreams_.Set(upstreams));
    std::shared_ptr<const AnswerFilter> answers;
    if (rules_) {
      STARLING_RETURN_IF_ERROR(CheckAnswerRules(*rules_, routes));
      STARLING_ASSIGN_OR_RETURN(answers, AnswerFilter::Make(*rules_, telemetry_.metrics()));
    }
    STARLING_RETURN_IF_ERROR(
        AddProxyRoutes(routes, upstreams_, cache_, edge_, *router, nullptr, answers));
    if (add_) STARLING_RETURN_IF_ERROR(add_(*router));
    router->SetFilter(answers);
    if (server_ == nullptr) {
      server_ = std::make_unique<http::Server>(runtime_, server_options_, router);
      STARLING_ASSIGN_OR_RETURN(port_, server_->Start());
    } else {
      server_->SetRouter(router);
    }
    return OkStatus();
  }
  void Start(const std::map<std::string, UpstreamConfig>& upstreams,
             const std::vector<RouteConfig>& routes) {
    const Status status = Set(upstreams, routes);
    ASSERT_TRUE(status.ok()) << status;
  }
  // The answer to one request on a connection of its own.
  std::string Ask(std::string_view request) {
    http::RawSocket socket(port_);
    return socket.Ask(request);
  }
  std::string Get(std::string_view path, std::string_view fields = "") {
    return Ask(fmt::format("GET {} HTTP/1.1\r\nHost: shop.example\r\n{}\r\n", path, fields));
  }

  telemetry::Telemetry telemetry_;
  resilience::ConcurrencyLimiter limiter_{{}};  // of who sets edge_.concurrency
  Runtime runtime_{{.io_threads = 2, .blocking_threads = 1}};
  TestCredentials credentials_;
  rpc::EdgeOptions edge_{.authenticator = &credentials_, .telemetry = &telemetry_};
  std::shared_ptr<HttpCache> cache_ = std::make_shared<HttpCache>(HttpCacheOptions{});
  std::optional<AnswerRules> rules_;          // what is done to answers; unset: nothing
  std::function<Status(http::Router&)> add_;  // routes beside
  http::ServerOptions server_options_{.sweep_interval = std::chrono::milliseconds(10)};
  Upstreams upstreams_{runtime_, telemetry_.metrics()};
  std::unique_ptr<http::Server> server_;
  uint16_t port_ = 0;
};

inline std::string Ok(std::string_view body, std::string_view fields = "") {
  return fmt::format("HTTP/1.1 200 OK\r\n{}Content-Length: {}\r\n\r\n{}", fields, body.size(),
                     body);
}

}  // namespace starling::gateway

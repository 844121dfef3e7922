// What a change of the configuration makes anew, and what goes on as it is.
#include "platform/gateway/gateway_test_fixture.h"
#include "platform/gateway/proxy_route.h"

namespace starling::gateway {
namespace {

class UnchangedRoutes : public GatewayTest {
 protected:
  using Upstreams = std::map<std::string, UpstreamConfig>;

  RouteTable::Routes Take(const Upstreams& upstreams, const std::vector<RouteConfig>& routes,
                          const AnswerRules& rules = {}) {
    http::Router router;
    EXPECT_TRUE(upstreams_.Set(upstreams).ok());
    const auto answers = AnswerFilter::Make(rules, telemetry_.metrics());
    EXPECT_TRUE(answers.ok());
    const Status status =
        AddProxyRoutes(routes, upstreams_, cache_, edge_, router, &table_, *answers);
    EXPECT_TRUE(status.ok()) << status;
    return *table_.List();
  }

  const Upstreams up_{{"up", To({"127.0.0.1:1"})}, {"copies", To({"127.0.0.1:2"})}};
  RouteTable table_;
};

TEST_F(UnchangedRoutes, GoOnBesideOthersThatChange) {
  const auto before = Take(up_, {Route("/a", "up"), Route("/b", "up"), Route("/gone", "up")});
  RouteConfig changed = Route("/b", "up");
  changed.retries = 3;
  const auto now = Take(up_, {Route("/new", "up"), changed, Route("/a", "up")});
  ASSERT_EQ(now.size(), 3u);
  EXPECT_EQ(now[2], before[0]);
  EXPECT_NE(now[1], before[1]);
  EXPECT_EQ(now[1]->config.retries, 3);
  EXPECT_EQ(now[0]->config.path, "/new");
}

TEST_F(UnchangedRoutes, AreMadeAnewWhereTheirUpstreamIs) {
  RouteConfig mirrored = Route("/m", "up");
  mirrored.mirror.upstream = "copies";
  RouteConfig weighted = Route("/w", "up");
  weighted.to = {{"copies", 1}, {"none", 0}, {"up", 1}};
  Upstreams upstreams = up_;
  upstreams["none"] = To({"127.0.0.1:3"});
  const std::vector<RouteConfig> routes{Route("/a", "up"), mirrored, weighted};
  const auto before = Take(upstreams, routes);
  EXPECT_EQ(Take(upstreams, routes), before);
  upstreams["none"] = To({"127.0.0.1:4"});
  EXPECT_EQ(Take(upstreams, routes), before) << "nobody is sent there";

  upstreams["copies"] = To({"127.0.0.1:5"});
  const auto now = Take(upstreams, routes);
  EXPECT_EQ(now[0], before[0]);
  EXPECT_NE(now[1], before[1]);
  EXPECT_EQ(&now[1]->mirror->upstream(), upstreams_.Find("copies").get());
  EXPECT_NE(now[2], before[2]);
  EXPECT_EQ(now[2]->to[0].first, upstreams_.Find("copies"));
}

TEST_F(UnchangedRoutes, AreMadeAnewWhereTheFormThatTheCacheKeepsChanges) {
  RouteConfig cached = Route("/c", "up");
  cached.cache = true;
  AnswerRules rules;
  rules.compression.enabled = true;
  const auto before = Take(up_, {cached, Route("/a", "up")}, rules);
  EXPECT_TRUE(before[0]->keeps_identity);
  rules.compression.enabled = false;
  const auto now = Take(up_, {cached, Route("/a", "up")}, rules);
  EXPECT_NE(now[0], before[0]);
  EXPECT_FALSE(now[0]->keeps_identity);
  EXPECT_EQ(now[1], before[1]);
}

TEST_F(UnchangedRoutes, AreTheirOwnByHeaderFields) {
  RouteConfig beta = Route("/a", "up");
  beta.headers = {{"X-Beta", "yes"}};
  const auto before = Take(up_, {beta, Route("/a", "up")});
  beta.headers = {{"X-Beta", "no"}};
  const auto now = Take(up_, {beta, Route("/a", "up")});
  EXPECT_NE(now[0], before[0]);
  EXPECT_EQ(now[1], before[1]);
}

}  // namespace
}  // namespace starling::gateway

// RFC 9211: the Cache-Status field.
#include "platform/gateway/cache/cache_test.h"

namespace starling::gateway {
namespace {

class CacheStatusTest : public CacheTest {
 protected:
  CacheStatusTest() : CacheTest({.name = "gw"}) {
    OriginSays(200, {{"Cache-Control", "max-age=60"}, {"ETag", "\"a\""}, {"Vary", "X-A"}}, "hello");
  }
  std::string StatusOf(std::string_view verb, Fields fields = {}) {
    return Of(Ask(verb, "/a", fields), "cache-status");
  }
};

TEST_F(CacheStatusTest, AHitSaysHowLongItStaysFresh) {  // 2.1, 2.4
  Get("/a");
  Wait(10);
  EXPECT_EQ(StatusOf("GET"), "gw; hit; ttl=50");
  Wait(80);
  EXPECT_EQ(StatusOf("GET", {{"Cache-Control", "max-stale"}}), "gw; hit; ttl=-30");
}

TEST_F(CacheStatusTest, AForwardedRequestSaysWhyAndWhatCameOfIt) {  // 2.2, 2.3, 2.5
  EXPECT_EQ(StatusOf("GET"), "gw; fwd=uri-miss; ttl=60; stored");
  EXPECT_EQ(StatusOf("GET", {{"X-A", "1"}}), "gw; fwd=vary-miss; ttl=60; stored");
  EXPECT_EQ(StatusOf("GET", {{"Cache-Control", "no-cache"}}), "gw; fwd=request; ttl=60; stored");
  Wait(60);
  OriginSays(304, {{"ETag", "\"a\""}});
  EXPECT_EQ(StatusOf("GET"), "gw; fwd=stale; fwd-status=304; ttl=60; stored");
  Wait(60);
  OriginSays(503, {});
  EXPECT_EQ(StatusOf("GET", {{"Cache-Control", "stale-if-error=9"}}),
            "gw; fwd=stale; fwd-status=503; ttl=0");
  EXPECT_EQ(StatusOf("GET"), "gw; fwd=stale");
}

TEST_F(CacheStatusTest, MembersOfCachesBeforeUsStayInFront) {  // 2
  OriginSays(200, {{"Cache-Control", "max-age=60"}, {"Cache-Status", "cdn; hit"}}, "hello");
  Get("/a");
  EXPECT_EQ(StatusOf("GET"), "cdn; hit, gw; hit; ttl=60");
}

// What a fetch gives whole although the cache did not want it.
TEST_F(CacheStatusTest, WhatPassesThroughSaysSo) {
  const Fetch whole = [](http::Request&, http::Exchange&) -> Task<Fetched> {
    co_return Fetched{.response = Reply(200, {})};
  };
  const auto status = [&](std::string_view verb, Fields fields) {
    http::DetachedExchange exchange;
    exchange.request = MakeRequest(verb, "/a", fields);
    RunSync(cache_.Serve(exchange, kPrefix, whole));
    return Of(exchange.response, "cache-status");
  };
  EXPECT_EQ(status("POST", {}), "gw; fwd=method");
  EXPECT_EQ(status("GET", {{"Range", "bytes=0-1"}}), "gw; fwd=bypass");
  EXPECT_EQ(status("GET", {}), "gw; fwd=uri-miss");
}

}  // namespace
}  // namespace starling::gateway

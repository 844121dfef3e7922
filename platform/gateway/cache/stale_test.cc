// RFC 5861: stale-while-revalidate and stale-if-error; RFC 9111, 4.2.4: serving stale responses.
#include "platform/gateway/cache/cache_test.h"

namespace starling::gateway {
namespace {

class StaleTest : public CacheTest {
 protected:
  explicit StaleTest(HttpCache::Options options = {}) : CacheTest(std::move(options)) {}

  void Store(std::string_view cache_control) {
    OriginSays(200, {{"Cache-Control", cache_control}, {"ETag", "\"a\""}}, "old");
    Get("/a");
  }
};

TEST_F(StaleTest, WhileRevalidatingTheStaleAnswerIsGivenAndRefreshedBehindIt) {  // RFC 5861, 3
  Store("max-age=60, stale-while-revalidate=30");
  Wait(89);
  OriginSays(200, {{"Cache-Control", "max-age=60"}, {"ETag", "\"b\""}}, "new");
  const http::Response stale = Get("/a");
  EXPECT_EQ(stale.body, "old");
  EXPECT_EQ(Of(stale, "age"), "89");
  EXPECT_EQ(asked_.size(), 2);
  EXPECT_EQ(LastAsked("if-none-match"), "\"a\"");
  EXPECT_EQ(Get("/a").body, "new");
  EXPECT_EQ(asked_.size(), 2);
  EXPECT_EQ(cache_.Stats().stale, 1);
  EXPECT_EQ(cache_.Stats().refreshed, 1);
}

TEST_F(StaleTest, ARefreshMayBeA304) {
  Store("max-age=60, stale-while-revalidate=30");
  Wait(70);
  OriginSays(304, {{"ETag", "\"a\""}});
  Get("/a");
  EXPECT_EQ(Of(Get("/a"), "age"), "0");
  EXPECT_EQ(asked_.size(), 2);
}

TEST_F(StaleTest, AHeadIsRefreshedByAGet) {
  Store("max-age=60, stale-while-revalidate=30");
  Wait(70);
  Ask("HEAD", "/a");
  EXPECT_EQ(asked_.back().verb, http::Verb::kGet);
  EXPECT_EQ(asked_.back().verb_text, "GET");
}

TEST_F(StaleTest, AfterTheWindowTheClientWaits) {
  Store("max-age=60, stale-while-revalidate=30");
  Wait(90);
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "new");
  EXPECT_EQ(Get("/a").body, "new");
}

TEST_F(StaleTest, ARefreshThatFailsLeavesTheStaleAnswerUntilTheWindowEnds) {
  Store("max-age=60, stale-while-revalidate=30");
  Wait(70);
  OriginSays(503, {}, "down");
  EXPECT_EQ(Get("/a").body, "old");
  EXPECT_EQ(Get("/a").body, "old");
  EXPECT_EQ(asked_.size(), 3);
  Wait(20);
  EXPECT_EQ(Get("/a").status, 503);
}

TEST_F(StaleTest, ARefreshWhoseFetchThrowsEndsQuietly) {
  Store("max-age=60, stale-while-revalidate=30");
  Wait(70);
  origin_ = [](const http::Request&) -> http::Response { throw std::runtime_error("broken"); };
  EXPECT_EQ(Get("/a").body, "old");
  EXPECT_EQ(Get("/a").body, "old");
  EXPECT_EQ(asked_.size(), 3);
}

TEST_F(StaleTest, ARefreshThatMayNotBeStoredEndsTheStaleOne) {
  Store("max-age=60, stale-while-revalidate=30");
  Wait(70);
  OriginSays(200, {{"Cache-Control", "private"}}, "mine");  // streamed to nobody
  EXPECT_EQ(Get("/a").body, "old");
  EXPECT_EQ(cache_.Stats().objects, 0);
  EXPECT_EQ(Get("/a").body, "mine");
}

TEST_F(StaleTest, AnErrorIsReplacedWithinItsWindow) {  // RFC 5861, 4
  for (const int status : {500, 502, 503, 504}) {
    Store("max-age=60, stale-if-error=30");
    Wait(89);
    OriginSays(status, {{"Cache-Control", "no-store"}}, "down");
    EXPECT_EQ(Get("/a").body, "old") << status;
    EXPECT_EQ(Ask("HEAD", "/a").status, status) << "a HEAD's error is streamed";
    Wait(1);
    EXPECT_EQ(Get("/a").status, status);
    cache_.PurgePrefix("");
  }
}

TEST_F(StaleTest, OtherErrorsAreTheOriginsAnswer) {
  for (const int status : {404, 501, 505}) {
    Store("max-age=60, stale-if-error=30");
    Wait(70);
    OriginSays(status, {}, "gone");
    EXPECT_EQ(Get("/a").status, status);
    cache_.PurgePrefix("");
  }
}

TEST_F(StaleTest, AClientMayTakeAStaleAnswerForAnError) {  // RFC 5861, 4: in requests
  Store("max-age=60");
  Wait(70);
  OriginSays(503, {}, "down");
  EXPECT_EQ(Get("/a", {{"Cache-Control", "stale-if-error=10"}}).status, 503);
  EXPECT_EQ(Get("/a", {{"Cache-Control", "stale-if-error=11"}}).body, "old");
}

TEST_F(StaleTest, MustRevalidateForbidsEveryStaleAnswer) {  // 4.2.4, 5.2.2.2
  for (const std::string_view must : {"must-revalidate", "proxy-revalidate", "no-cache"}) {
    Store(fmt::format("max-age=60, stale-while-revalidate=30, stale-if-error=30, {}", must));
    Wait(70);
    OriginSays(503, {}, "down");
    EXPECT_EQ(Get("/a", {{"Cache-Control", "max-stale, stale-if-error=99"}}).status, 503) << must;
    cache_.PurgePrefix("");
  }
}

TEST_F(StaleTest, SMaxageForbidsItToClientsButNotToTheOriginsOwnWindows) {  // 5.2.2.10
  Store("s-maxage=60");
  Wait(70);
  OriginSays(503, {}, "down");
  EXPECT_EQ(Get("/a", {{"Cache-Control", "max-stale, stale-if-error=99"}}).status, 503);
  Store("s-maxage=60, stale-if-error=30");
  Wait(70);
  OriginSays(503, {}, "down");
  EXPECT_EQ(Get("/a").body, "old");
}

TEST_F(StaleTest, AClientThatTakesStaleAnswersGetsThemWithoutAFetch) {  // 5.2.1.2
  Store("max-age=60");
  Wait(70);
  EXPECT_EQ(Get("/a", {{"Cache-Control", "max-stale=10"}}).body, "old");
  EXPECT_EQ(asked_.size(), 1);
  EXPECT_EQ(cache_.Stats().stale, 1);
}

class NoRefreshTest : public StaleTest {
 protected:
  NoRefreshTest() : StaleTest({.max_refreshes = 0}) {}
};

TEST_F(NoRefreshTest, AboveTheBoundOfRefreshesTheStaleAnswerIsGivenWithoutOne) {
  Store("max-age=60, stale-while-revalidate=30");
  Wait(70);
  EXPECT_EQ(Get("/a").body, "old");
  EXPECT_EQ(asked_.size(), 1);
}

}  // namespace
}  // namespace starling::gateway

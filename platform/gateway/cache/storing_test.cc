// RFC 9111, 3: storing responses in caches.
#include "platform/gateway/cache/rules/storing.h"

#include "platform/gateway/cache/cache_test.h"

namespace starling::gateway {
namespace {

struct Row {
  Fields request;
  int status;
  Fields response;
  bool stored;
};

void Check(std::initializer_list<Row> rows) {
  const TimePoint now = ParseRfc3339("2026-01-02T03:04:05Z").value();
  for (const Row& row : rows) {
    const auto why = WhyNotStored(MakeRequest("GET", "/a", row.request), row.status,
                                  MakeHeaders(row.response), now, {});
    EXPECT_EQ(!why.has_value(), row.stored)
        << row.status << " " << MakeHeaders(row.response).Joined("cache-control") << ": "
        << why.value_or("stored");
  }
}

constexpr std::pair<std::string_view, std::string_view> kMaxAge{"Cache-Control", "max-age=60"};
constexpr std::pair<std::string_view, std::string_view> kAuthorization{"Authorization", "Basic x"};

TEST(Storing, NeedsAnExplicitLifetimeOrAValidatorWithADirective) {
  Check({{{}, 200, {kMaxAge}, true},
         {{}, 200, {{"Cache-Control", "s-maxage=60"}}, true},
         {{}, 200, {{"Expires", "Fri, 02 Jan 2026 04:00:00 GMT"}}, true},
         {{}, 200, {}, false},
         {{}, 200, {{"ETag", "\"a\""}}, false},
         {{}, 200, {{"Last-Modified", "Fri, 02 Jan 2026 02:00:00 GMT"}}, false},
         {{}, 200, {{"Cache-Control", "no-cache"}, {"ETag", "\"a\""}}, true},
         {{}, 200, {{"Cache-Control", "max-age=0"}, {"ETag", "\"a\""}}, true},
         {{}, 200, {{"Cache-Control", "no-cache"}}, false},
         {{}, 200, {{"Cache-Control", "max-age=0"}}, false},
         {{}, 200, {{"Cache-Control", "max-age=0, stale-while-revalidate=9"}}, true},
         {{}, 200, {{"Cache-Control", "public"}, {"ETag", "\"a\""}}, true}});
}

TEST(Storing, NoStoreAndPrivateAreNotForASharedCache) {
  Check({{{}, 200, {{"Cache-Control", "max-age=60, no-store"}}, false},
         {{}, 200, {{"Cache-Control", "max-age=60, private"}}, false},
         {{}, 200, {{"Cache-Control", "max-age=60, private=\"x-a\""}}, false},
         {{}, 200, {kMaxAge, {"Cache-Control", "no-store"}}, false},
         {{{"Cache-Control", "no-store"}}, 200, {kMaxAge}, false},
         {{{"Cache-Control", "no-cache"}}, 200, {kMaxAge}, true}});
}

TEST(Storing, StatusesThatAreNotFinalOrNotWholeAreNotStored) {
  Check({{{}, 103, {kMaxAge}, false},
         {{}, 206, {kMaxAge}, false},
         {{}, 304, {kMaxAge}, false},
         {{}, 204, {kMaxAge}, true},
         {{}, 302, {kMaxAge}, true},
         {{}, 404, {kMaxAge}, true},
         {{}, 503, {kMaxAge}, true},
         {{}, 599, {kMaxAge}, true}});
}

TEST(Storing, MustUnderstandStoresOnlyKnownStatusesAndThenOverridesNoStore) {  // 5.2.2.3
  Check({{{}, 200, {{"Cache-Control", "must-understand, no-store, max-age=60"}}, true},
         {{}, 307, {{"Cache-Control", "must-understand, no-store, max-age=60"}}, true},
         {{}, 599, {{"Cache-Control", "must-understand, max-age=60"}}, false},
         {{}, 200, {{"Cache-Control", "must-understand, private, max-age=60"}}, false}});
}

TEST(Storing, AnswersToAuthorizationAreSharedOnlyWhenTheOriginSaysSo) {  // 3.5
  Check({{{kAuthorization}, 200, {kMaxAge}, false},
         {{kAuthorization}, 200, {{"Cache-Control", "max-age=60, public"}}, true},
         {{kAuthorization}, 200, {{"Cache-Control", "max-age=60, must-revalidate"}}, true},
         {{kAuthorization}, 200, {{"Cache-Control", "s-maxage=60"}}, true},
         {{kAuthorization}, 200, {{"Cache-Control", "max-age=60, proxy-revalidate"}}, false}});
}

TEST(Storing, AnswersForOneClientOrNoOtherRequestAreNotStored) {
  Check({{{}, 200, {{"Cache-Control", "public, max-age=60"}, {"Set-Cookie", "id=1"}}, false},
         {{}, 200, {kMaxAge, {"Vary", "*"}}, false},
         {{}, 200, {kMaxAge, {"Vary", "Accept, *"}}, false},
         {{}, 200, {kMaxAge, {"Vary", "Accept"}}, true},
         {{{"Range", "bytes=0-1"}}, 200, {kMaxAge}, false}});
}

TEST(Storing, OnlyGetIsStored) {
  const auto why = [](std::string_view verb) {
    return WhyNotStored(MakeRequest(verb, "/a", {}), 200, MakeHeaders({kMaxAge}), {}, {});
  };
  EXPECT_FALSE(why("GET"));
  for (const std::string_view verb : {"HEAD", "POST", "PUT", "OPTIONS", "PROPFIND", "get"})
    EXPECT_TRUE(why(verb)) << verb;
}

TEST(Storing, FieldsOfTheConnectionAreLeftOut) {  // 3.1
  const http::Headers stored = FieldsToStore(MakeHeaders({{"Content-Type", "text/plain"},
                                                          {"Connection", "close, X-Hop"},
                                                          {"x-hop", "1"},
                                                          {"Keep-Alive", "timeout=5"},
                                                          {"Proxy-Authenticate", "Basic"},
                                                          {"Proxy-Authentication-Info", "x"},
                                                          {"Proxy-Connection", "close"},
                                                          {"TE", "trailers"},
                                                          {"Transfer-Encoding", "chunked"},
                                                          {"Upgrade", "h2c"},
                                                          {"Age", "5"},
                                                          {"Content-Length", "3"},
                                                          {"X-Mine", "a"},
                                                          {"X-Mine", "b"},
                                                          {"ETag", "\"e\""}}));
  std::vector<std::string> names;
  for (const auto field : stored) names.emplace_back(field.name);
  EXPECT_THAT(names, testing::ElementsAre("Content-Type", "X-Mine", "X-Mine", "ETag"));
  EXPECT_EQ(stored.Joined("x-mine"), "a, b");
}

class StoringTest : public CacheTest {
 protected:
  StoringTest() : CacheTest({.max_object_bytes = 1000}) {}
};

TEST_F(StoringTest, WhatIsStoredIsGivenAgainWholeAndWithItsFields) {
  OriginSays(200, {kMaxAge, {"Content-Type", "text/plain"}, {"X-Mine", "a"}}, "hello");
  for (int i = 0; i < 3; ++i) {
    const http::Response answer = Get("/a");
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_EQ(Of(answer, "x-mine"), "a");
    EXPECT_EQ(Of(answer, "content-type"), "text/plain");
  }
  EXPECT_EQ(asked_.size(), 1);
  EXPECT_EQ(cache_.Stats().hits, 2);
  EXPECT_EQ(cache_.Stats().misses, 1);
  EXPECT_EQ(cache_.Stats().stored, 1);
}

TEST_F(StoringTest, WhatMayNotBeStoredIsStreamedAndAskedAgain) {
  OriginSays(200, {{"Cache-Control", "no-store"}}, "hello");
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(asked_.size(), 2);
  EXPECT_EQ(cache_.Stats().objects, 0);
  EXPECT_EQ(cache_.Stats().not_stored, 2);
}

TEST_F(StoringTest, ABodyAboveTheBoundIsNotStored) {
  OriginSays(200, {kMaxAge}, std::string(1001, 'x'));  // of unknown length: given whole
  EXPECT_EQ(Get("/a").body.size(), 1001);
  OriginSays(200, {kMaxAge, {"Content-Length", "1001"}}, std::string(1001, 'x'));
  EXPECT_EQ(Get("/a").body.size(), 1001);  // of known length: streamed
  EXPECT_EQ(cache_.Stats().objects, 0);
  OriginSays(200, {kMaxAge, {"Content-Length", "1000"}}, std::string(1000, 'x'));
  Get("/a");
  EXPECT_EQ(cache_.Stats().objects, 1);
}

TEST_F(StoringTest, AnIncompleteAnswerIsNotStored) {  // 3.3
  OriginSays(200, {kMaxAge, {"Content-Length", "9"}}, "hello");
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(cache_.Stats().objects, 0);
}

TEST_F(StoringTest, ARangeIsPassedThroughAndNeverStored) {  // 3.4
  OriginSays(200, {kMaxAge}, "hello");
  Get("/a");
  OriginSays(206, {kMaxAge, {"Content-Range", "bytes 0-1/5"}}, "he");
  EXPECT_EQ(Get("/a", {{"Range", "bytes=0-1"}}).status, 206);
  EXPECT_EQ(LastAsked("range"), "bytes=0-1");
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(asked_.size(), 2);
  EXPECT_EQ(cache_.Stats().bypassed, 1);
}

TEST_F(StoringTest, KeysDifferByPrefixHostPathAndQuery) {  // 2
  OriginSays(200, {kMaxAge}, "hello");
  Get("/a");
  Get("/a?");
  Get("/a?b");
  Get("/a%3Fb");
  Get("/A");
  Get("/a", {{"Host", "other.example"}});
  EXPECT_EQ(asked_.size(), 6);
  Get("/a", {{"Host", "SHOP.example"}});
  Get("http://shop.example/a");
  EXPECT_EQ(asked_.size(), 6);
  http::DetachedExchange exchange;
  exchange.request = MakeRequest("GET", "/a", {});
  RunSync(cache_.Serve(exchange, "another route", MakeFetch()));
  EXPECT_EQ(asked_.size(), 7);
}

}  // namespace
}  // namespace starling::gateway

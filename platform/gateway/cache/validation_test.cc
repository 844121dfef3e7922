// RFC 9111, 4.3: validation, ours with the origin and clients' with us; 3.2: updating what is
// stored; RFC 9110, 13.
#include "platform/gateway/cache/rules/validation.h"

#include "platform/gateway/cache/cache_test.h"

namespace starling::gateway {
namespace {

const TimePoint kNow = ParseRfc3339("2026-01-02T03:04:05Z").value();

TEST(Validation, IfNoneMatchIsComparedWeaklyAndGoesFirst) {  // 4.3.2, RFC 9110, 13.1.2
  struct Row {
    Fields request;
    bool has_it;
  };
  const http::Headers stored =
      MakeHeaders({{"ETag", "\"a\""}, {"Last-Modified", "Fri, 02 Jan 2026 02:00:00 GMT"}});
  const Row rows[] = {
      {{{"If-None-Match", "\"a\""}}, true},
      {{{"If-None-Match", "W/\"a\""}}, true},
      {{{"If-None-Match", "\"x\", \"a\""}}, true},
      {{{"If-None-Match", "\"x\""}, {"If-None-Match", "\"a\""}}, true},
      {{{"If-None-Match", "\"x,\\\"a\\\"\""}}, false},
      {{{"If-None-Match", "*"}}, true},
      {{{"If-None-Match", "\"b\""}}, false},
      {{{"If-None-Match", "a"}}, false},
      {{{"If-None-Match", "\"b\""}, {"If-Modified-Since", "Fri, 02 Jan 2026 02:00:00 GMT"}}, false},
      {{{"If-Modified-Since", "Fri, 02 Jan 2026 02:00:00 GMT"}}, true},
      {{{"If-Modified-Since", "Fri, 02 Jan 2026 01:59:59 GMT"}}, false},
      {{{"If-Modified-Since", "yesterday"}}, false},
      {{}, false},
  };
  for (const Row& row : rows) {
    const http::Headers request = MakeHeaders(row.request);
    EXPECT_EQ(IsNotModified(request, 200, stored, kNow), row.has_it)
        << request.Joined("if-none-match") << " " << request.Joined("if-modified-since");
    EXPECT_FALSE(IsNotModified(request, 404, stored, kNow));
  }
}

TEST(Validation, WithoutLastModifiedTheDateCounts) {  // 4.3.2
  const http::Headers stored = MakeHeaders({{"Date", "Fri, 02 Jan 2026 02:00:00 GMT"}});
  const auto since = [](std::string_view time) {
    return MakeHeaders({{"If-Modified-Since", time}});
  };
  EXPECT_TRUE(IsNotModified(since("Fri, 02 Jan 2026 02:00:00 GMT"), 200, stored, kNow));
  EXPECT_FALSE(IsNotModified(since("Fri, 02 Jan 2026 01:00:00 GMT"), 200, stored, kNow));
  EXPECT_TRUE(IsNotModified(since("Fri, 02 Jan 2026 03:04:05 GMT"), 200, {}, kNow));
  EXPECT_FALSE(IsNotModified(since("Fri, 02 Jan 2026 03:04:04 GMT"), 200, {}, kNow));
}

TEST(Validation, A304SpeaksOfWhatHasItsValidators) {  // 4.3.4
  const auto speaks = [](Fields not_modified, Fields stored) {
    return SpeaksOf(MakeHeaders(not_modified), MakeHeaders(stored));
  };
  EXPECT_TRUE(speaks({{"ETag", "\"a\""}}, {{"ETag", "\"a\""}}));
  EXPECT_TRUE(speaks({{"ETag", "W/\"a\""}}, {{"ETag", "\"a\""}}));
  EXPECT_FALSE(speaks({{"ETag", "\"b\""}}, {{"ETag", "\"a\""}}));
  EXPECT_FALSE(speaks({{"ETag", "\"b\""}}, {}));
  EXPECT_TRUE(speaks({}, {{"ETag", "\"a\""}}));
  EXPECT_FALSE(speaks({{"Last-Modified", "x"}}, {{"Last-Modified", "y"}}));
}

TEST(Validation, AnUpdateReplacesFieldsButNotWhatDescribesTheContent) {  // 3.2
  const http::Headers fresh = Freshen(
      MakeHeaders({{"ETag", "\"a\""}, {"X-A", "1"}, {"X-A", "2"}, {"Content-Encoding", "br"}}),
      MakeHeaders({{"X-A", "3"},
                   {"X-New", "4"},
                   {"Content-Encoding", "gzip"},
                   {"Content-Length", "0"},
                   {"Connection", "X-Hop"},
                   {"X-Hop", "5"},
                   {"Set-Cookie", "id=1"}}));
  std::vector<std::string> fields;
  for (const auto field : fresh) fields.push_back(fmt::format("{}: {}", field.name, field.value));
  EXPECT_THAT(fields,
              testing::ElementsAre("ETag: \"a\"", "Content-Encoding: br", "X-A: 3", "X-New: 4"));
}

class ValidationTest : public CacheTest {
 protected:
  static constexpr std::string_view kModified = "Fri, 02 Jan 2026 02:00:00 GMT";

  ValidationTest() {
    OriginSays(200,
               {{"Cache-Control", "max-age=60"},
                {"ETag", "\"a\""},
                {"Last-Modified", kModified},
                {"Content-Type", "text/plain"},
                {"X-Version", "1"}},
               "hello");
  }
};

TEST_F(ValidationTest, AClientThatHasItIsAnswered304ByTheCache) {  // 4.3.2
  Get("/a");
  Wait(5);
  const http::Response answer = Get("/a", {{"If-None-Match", "\"a\""}});
  EXPECT_EQ(answer.status, 304);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(Of(answer, "etag"), "\"a\"");
  EXPECT_EQ(Of(answer, "cache-control"), "max-age=60");
  EXPECT_EQ(Of(answer, "age"), "5");
  EXPECT_EQ(Of(answer, "content-type"), "");
  EXPECT_EQ(Get("/a", {{"If-None-Match", "\"b\""}}).body, "hello");
  EXPECT_EQ(Get("/a", {{"If-Modified-Since", kModified}}).status, 304);
  EXPECT_EQ(asked_.size(), 1);
}

TEST_F(ValidationTest, AMissFetchesTheWholeAndThenAnswersTheClientsCondition) {
  EXPECT_EQ(Get("/a", {{"If-None-Match", "\"a\""}, {"If-Modified-Since", kModified}}).status, 304);
  EXPECT_EQ(LastAsked("if-none-match"), "");
  EXPECT_EQ(LastAsked("if-modified-since"), "");
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(asked_.size(), 1);
}

TEST_F(ValidationTest, ConditionsReachTheOriginWhereNothingCanBeStored) {
  origin_ = [](const http::Request& request) {
    if (request.headers.Has("if-none-match")) return Reply(304, {{"ETag", "\"a\""}});
    return Reply(200, {{"Cache-Control", "private"}, {"ETag", "\"a\""}}, "hello");
  };
  Get("/a");
  EXPECT_EQ(Get("/a", {{"If-None-Match", "\"a\""}}).status, 304);
  EXPECT_EQ(LastAsked("if-none-match"), "\"a\"");
}

TEST_F(ValidationTest, WhatIsStaleIsValidatedByBothItsValidators) {  // 4.3.1
  Get("/a");
  Wait(60);
  Get("/a", {{"If-None-Match", "\"the client's\""}});
  EXPECT_EQ(LastAsked("if-none-match"), "\"a\"");
  EXPECT_EQ(LastAsked("if-modified-since"), kModified);
}

TEST_F(ValidationTest, A304MakesItFreshAndBringsItsFieldsUpToDate) {  // 4.3.3, 4.3.4
  Get("/a");
  Wait(60);
  OriginSays(304, {{"Cache-Control", "max-age=30"}, {"ETag", "\"a\""}, {"X-Version", "2"}});
  http::Response answer = Get("/a");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(Of(answer, "x-version"), "2");
  EXPECT_EQ(Of(answer, "content-type"), "text/plain");
  EXPECT_EQ(Of(answer, "age"), "0");
  Wait(29);
  answer = Get("/a");
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(Of(answer, "x-version"), "2");
  EXPECT_EQ(Of(answer, "age"), "29");
  EXPECT_EQ(asked_.size(), 2);
  Wait(1);
  Get("/a");
  EXPECT_EQ(asked_.size(), 3);
  EXPECT_EQ(cache_.Stats().revalidated, 2);
  EXPECT_EQ(cache_.Stats().objects, 1);
}

TEST_F(ValidationTest, A304AnswersAClientThatHasItBy304) {
  Get("/a");
  Wait(60);
  OriginSays(304, {{"ETag", "\"a\""}});
  EXPECT_EQ(Get("/a", {{"If-None-Match", "\"a\""}}).status, 304);
}

TEST_F(ValidationTest, A200TakesThePlaceOfWhatWasStale) {  // 4.3.3
  Get("/a");
  Wait(60);
  OriginSays(200, {{"Cache-Control", "max-age=60"}, {"ETag", "\"b\""}}, "new");
  EXPECT_EQ(Get("/a").body, "new");
  EXPECT_EQ(Get("/a").body, "new");
  EXPECT_EQ(asked_.size(), 2);
  EXPECT_EQ(cache_.Stats().objects, 1);
}

TEST_F(ValidationTest, A304OfAnotherVersionIsNotBelieved) {  // 4.3.4
  Get("/a");
  Wait(60);
  origin_ = [](const http::Request& request) {
    if (request.headers.Has("if-none-match")) return Reply(304, {{"ETag", "\"b\""}});
    return Reply(200, {{"Cache-Control", "max-age=60"}, {"ETag", "\"b\""}}, "new");
  };
  EXPECT_EQ(Get("/a").body, "new");
  EXPECT_EQ(asked_.size(), 3);
}

TEST_F(ValidationTest, WhatMayNotBeStoredAnyMoreIsForgotten) {
  Get("/a");
  Wait(60);
  OriginSays(200, {{"Cache-Control", "no-store"}}, "secret");
  EXPECT_EQ(Get("/a").body, "secret");
  EXPECT_EQ(cache_.Stats().objects, 0);
}

TEST_F(ValidationTest, NoCacheIsValidatedEachTime) {  // 5.2.2.4
  OriginSays(200, {{"Cache-Control", "no-cache, max-age=60"}, {"ETag", "\"a\""}}, "hello");
  Get("/a");
  OriginSays(304, {{"ETag", "\"a\""}});
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(asked_.size(), 3);
}

TEST_F(ValidationTest, AClientsNoCacheValidatesWhatIsFresh) {  // 5.2.1.4
  Get("/a");
  OriginSays(304, {{"ETag", "\"a\""}});
  EXPECT_EQ(Get("/a", {{"Cache-Control", "no-cache"}}).body, "hello");
  EXPECT_EQ(LastAsked("if-none-match"), "\"a\"");
}

TEST_F(ValidationTest, IfMatchAndIfUnmodifiedSinceAreTheOriginsToAnswer) {  // 4.3.2
  Get("/a");
  OriginSays(412, {});
  EXPECT_EQ(Get("/a", {{"If-Match", "\"b\""}}).status, 412);
  EXPECT_EQ(LastAsked("if-match"), "\"b\"");
  EXPECT_EQ(Get("/a", {{"If-Unmodified-Since", kModified}}).status, 412);
  EXPECT_EQ(asked_.size(), 3);
}

TEST_F(ValidationTest, ACookieThatComesWithA304IsForThatClientAlone) {
  Get("/a");
  Wait(60);
  OriginSays(304, {{"Cache-Control", "max-age=60"}, {"ETag", "\"a\""}, {"Set-Cookie", "id=1"}});
  EXPECT_EQ(Of(Get("/a"), "set-cookie"), "id=1");
  EXPECT_EQ(Of(Get("/a"), "set-cookie"), "");
  EXPECT_EQ(asked_.size(), 2);
}

TEST_F(ValidationTest, AHeadBringsWhatIsStoredUpToDate) {  // 4.3.5
  Get("/a");
  Wait(60);
  OriginSays(200, {{"Cache-Control", "max-age=60"}, {"ETag", "\"a\""}, {"Content-Length", "5"}});
  Ask("HEAD", "/a");
  EXPECT_EQ(asked_.back().verb, http::Verb::kHead);
  EXPECT_EQ(Get("/a").body, "hello");
  EXPECT_EQ(asked_.size(), 2);
}

TEST_F(ValidationTest, AHeadThatSaysOtherwiseMakesItInvalid) {  // 4.3.5
  for (const std::string_view etag : {"\"b\"", "\"a\""}) {
    OriginSays(200, {{"Cache-Control", "max-age=60"}, {"ETag", "\"a\""}}, "hello");
    Get("/a");
    Wait(60);
    OriginSays(200, {{"Cache-Control", "max-age=60"}, {"ETag", etag}, {"Content-Length", "6"}});
    Ask("HEAD", "/a");
    EXPECT_EQ(cache_.Stats().objects, 0) << etag;
  }
}

}  // namespace
}  // namespace starling::gateway

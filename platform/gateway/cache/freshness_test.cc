// RFC 9111, 4.2 (freshness), 5.1 (Age), 5.3 (Expires), 5.2.1 (what a client may ask for), and the
// dates of RFC 9110, 5.6.7.
#include "platform/gateway/cache/rules/freshness.h"

#include "platform/gateway/cache/cache_test.h"
#include "platform/gateway/cache/rules/http_date.h"

namespace starling::gateway {
namespace {

const TimePoint kNow = ParseRfc3339("2026-01-02T03:04:05Z").value();
constexpr std::string_view kDate = "Fri, 02 Jan 2026 03:04:05 GMT";

Freshness Of(Fields fields, FetchTimes times = {kNow, kNow}, Heuristic heuristic = {}) {
  return FreshnessOf(200, MakeHeaders(fields), times, heuristic);
}

TEST(HttpDate, AllThreeFormsAreRead) {
  const TimePoint expected = ParseRfc3339("1994-11-06T08:49:37Z").value();
  EXPECT_EQ(ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT", kNow), expected);
  EXPECT_EQ(ParseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT", kNow), expected);
  EXPECT_EQ(ParseHttpDate("Sun Nov  6 08:49:37 1994", kNow), expected);
  EXPECT_EQ(ParseHttpDate("Wed Nov 16 08:49:37 1994", kNow),
            ParseRfc3339("1994-11-16T08:49:37Z").value());
}

TEST(HttpDate, TwoDigitsOfAYearAreAtMost50YearsAhead) {
  EXPECT_EQ(ParseHttpDate("Sunday, 06-Nov-76 08:49:37 GMT", kNow),
            ParseRfc3339("2076-11-06T08:49:37Z").value());
  EXPECT_EQ(ParseHttpDate("Sunday, 06-Nov-77 08:49:37 GMT", kNow),
            ParseRfc3339("1977-11-06T08:49:37Z").value());
}

TEST(HttpDate, AnythingElseIsNoDate) {
  for (const std::string_view text :
       {"", "0", "-1", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "1994-11-06T08:49:37Z", "Sun, 06 Nov 9999 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT", "Someday, 06-Nov-94 08:49:37 GMT"}) {
    EXPECT_FALSE(ParseHttpDate(text, kNow)) << text;
  }
}

TEST(Freshness, SMaxageGoesBeforeMaxAgeBeforeExpires) {  // 4.2.1
  EXPECT_EQ(Of({{"Cache-Control", "max-age=60, s-maxage=30"},
                {"Expires", "Fri, 02 Jan 2026 04:04:05 GMT"}})
                .lifetime,
            seconds(30));
  EXPECT_EQ(
      Of({{"Cache-Control", "max-age=60"}, {"Expires", "Fri, 02 Jan 2026 04:04:05 GMT"}}).lifetime,
      seconds(60));
  EXPECT_EQ(Of({{"Date", kDate}, {"Expires", "Fri, 02 Jan 2026 04:04:05 GMT"}}).lifetime,
            std::chrono::hours(1));
  EXPECT_EQ(Of({{"Cache-Control", "max-age=60, s-maxage=x"}}).lifetime, seconds(0));
}

TEST(Freshness, ExpiresCountsFromDateAndWithoutOneFromTheAnswer) {  // 5.3
  EXPECT_EQ(
      Of({{"Date", "Fri, 02 Jan 2026 03:03:05 GMT"}, {"Expires", "Fri, 02 Jan 2026 03:05:05 GMT"}})
          .lifetime,
      seconds(120));
  EXPECT_EQ(Of({{"Expires", "Fri, 02 Jan 2026 03:05:05 GMT"}}).lifetime, seconds(60));
}

TEST(Freshness, AnExpiresThatCannotBeReadHasPassed) {  // 5.3
  for (const std::string_view value : {"0", "-1", "soon", "", "Thu, 01 Jan 2026 03:05:05 GMT"}) {
    const Freshness freshness = Of({{"Date", kDate}, {"Expires", value}});
    EXPECT_EQ(freshness.lifetime, seconds(0)) << value;
    EXPECT_TRUE(freshness.is_explicit) << value;
  }
  EXPECT_EQ(Of({{"Expires", "Fri, 02 Jan 2026 03:05:05 GMT"},
                {"Expires", "Fri, 02 Jan 2026 03:06:05 GMT"}})
                .lifetime,
            seconds(0));
}

TEST(Freshness, AHeuristicIsAShareOfTheTimeSinceTheLastChangeAndOffByDefault) {  // 4.2.2
  const Fields fields = {{"Date", kDate}, {"Last-Modified", "Fri, 02 Jan 2026 02:04:05 GMT"}};
  EXPECT_EQ(Of(fields).lifetime, seconds(0));
  EXPECT_EQ(Of(fields, {kNow, kNow}, {.share = 0.1}).lifetime, std::chrono::minutes(6));
  EXPECT_EQ(Of(fields, {kNow, kNow}, {.share = 0.1, .limit = seconds(5)}).lifetime, seconds(5));
  EXPECT_EQ(FreshnessOf(302, MakeHeaders(fields), {kNow, kNow}, {.share = 0.1}).lifetime,
            seconds(0));
  EXPECT_FALSE(Of(fields, {kNow, kNow}, {.share = 0.1}).is_explicit);
}

TEST(Freshness, AgeIsTheGreaterOfWhatClocksAndCachesSay) {  // 4.2.3
  struct Row {
    std::string_view date;
    std::string_view age;
    int64_t delay;
    int64_t expected;
  };
  for (const Row& row : {
           Row{kDate, "", 0, 0},
           Row{"Fri, 02 Jan 2026 03:03:55 GMT", "", 0, 10},   // apparent_age
           Row{"Fri, 02 Jan 2026 03:05:05 GMT", "", 0, 0},    // a clock ahead of ours
           Row{kDate, "7", 0, 7},                             // age_value
           Row{"Fri, 02 Jan 2026 03:03:55 GMT", "7", 0, 10},  // the greater
           Row{"Fri, 02 Jan 2026 03:03:55 GMT", "17", 0, 17},
           Row{kDate, "7", 3, 10},  // corrected_age_value = age_value + response_delay
           Row{kDate, "", 3, 3},
           Row{"", "7", 0, 7},  // no Date: that of the answer
           Row{"never", "", 0, 0},
           Row{kDate, "7, 9", 0, 7},  // 5.1: the first counts
           Row{kDate, "x", 0, 0},     // 5.1: not a number: passed over
           Row{kDate, "-1", 0, 0},
           Row{kDate, "7.5", 0, 0},
       }) {
    http::Headers headers;
    if (!row.date.empty()) headers.Add("Date", row.date);
    if (!row.age.empty()) headers.Add("Age", row.age);
    const FetchTimes times{kNow - seconds(row.delay), kNow};
    EXPECT_EQ(FreshnessOf(200, headers, times, {}).initial_age, seconds(row.expected))
        << row.date << " Age: " << row.age << " delay " << row.delay;
  }
}

TEST(Freshness, WhatAClientAsksForIsJudged) {  // 5.2.1, 4.2.4
  struct Row {
    std::string_view response;
    int64_t age;
    std::string_view request;
    Use use;
  };
  for (const Row& row : {
           Row{"max-age=60", 59, "", Use::kFresh},
           Row{"max-age=60", 60, "", Use::kValidate},  // 4.2: lifetime > age
           Row{"max-age=60", 0, "no-cache", Use::kValidate},
           Row{"max-age=60", 10, "max-age=10", Use::kFresh},
           Row{"max-age=60", 11, "max-age=10", Use::kValidate},
           Row{"max-age=60", 0, "max-age=0", Use::kFresh},
           Row{"max-age=60", 1, "max-age=0", Use::kValidate},
           Row{"max-age=60", 50, "min-fresh=10", Use::kFresh},
           Row{"max-age=60", 51, "min-fresh=10", Use::kValidate},
           Row{"max-age=60", 1000, "max-stale", Use::kStaleForClient},
           Row{"max-age=60", 70, "max-stale=10", Use::kStaleForClient},
           Row{"max-age=60", 71, "max-stale=10", Use::kValidate},
           Row{"max-age=60", 15, "max-age=10, max-stale=5", Use::kStaleForClient},
           Row{"max-age=60", 16, "max-age=10, max-stale=5", Use::kValidate},
           Row{"max-age=60, no-cache", 0, "", Use::kValidate},
           Row{"max-age=60, no-cache", 0, "max-stale", Use::kValidate},
           Row{"max-age=60, must-revalidate", 59, "", Use::kFresh},
           Row{"max-age=60, must-revalidate", 70, "max-stale", Use::kValidate},
           Row{"max-age=60, proxy-revalidate", 70, "max-stale", Use::kValidate},
           Row{"s-maxage=60", 70, "max-stale", Use::kValidate},  // 5.2.2.10
           Row{"max-age=60, stale-while-revalidate=10", 69, "", Use::kStaleWhileRevalidate},
           Row{"max-age=60, stale-while-revalidate=10", 70, "", Use::kValidate},
           Row{"max-age=60, stale-while-revalidate=10", 65, "max-age=62", Use::kValidate},
           Row{"max-age=60, stale-while-revalidate=10", 65, "min-fresh=0", Use::kValidate},
           Row{"max-age=60, stale-while-revalidate=10, must-revalidate", 65, "", Use::kValidate},
           Row{"s-maxage=60, stale-while-revalidate=10", 65, "", Use::kStaleWhileRevalidate},
       }) {
    const Freshness freshness = Of({{"Cache-Control", row.response}});
    const auto said = ParseRequestDirectives(MakeHeaders({{"Cache-Control", row.request}}));
    EXPECT_EQ(Judge(freshness, seconds(row.age), said), row.use)
        << row.response << " at " << row.age << " asked with " << row.request;
  }
}

class FreshnessTest : public CacheTest {};

TEST_F(FreshnessTest, AnAnswerIsGivenUntilItsLifetimeEndsWithItsAge) {
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "hello");
  Get("/a");
  Wait(59);
  EXPECT_EQ(CacheTest::Of(Get("/a"), "age"), "59");
  EXPECT_EQ(asked_.size(), 1);
  Wait(1);
  EXPECT_EQ(CacheTest::Of(Get("/a"), "age"), "0");
  EXPECT_EQ(asked_.size(), 2);
}

TEST_F(FreshnessTest, TheAgeThatAnswersCameWithCounts) {  // 5.1
  OriginSays(200, {{"Cache-Control", "max-age=60"}, {"Age", "50"}}, "hello");
  Get("/a");
  Wait(9);
  EXPECT_EQ(CacheTest::Of(Get("/a"), "age"), "59");
  Wait(1);
  Get("/a");
  EXPECT_EQ(asked_.size(), 2);
}

TEST_F(FreshnessTest, AJumpOfTheWallClockDoesNotMakeOldOrYoung) {
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "hello");
  Get("/a");
  clock_.JumpTo(clock_.Now() + std::chrono::hours(10));
  EXPECT_EQ(CacheTest::Of(Get("/a"), "age"), "0");
  clock_.JumpTo(clock_.Now() - std::chrono::hours(20));
  Wait(60);
  Get("/a");
  EXPECT_EQ(asked_.size(), 2);
}

TEST_F(FreshnessTest, OnlyIfCachedIsAnsweredFromTheCacheOrBy504) {  // 5.2.1.7
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "hello");
  EXPECT_EQ(Get("/a", {{"Cache-Control", "only-if-cached"}}).status, 504);
  EXPECT_EQ(Get("/a", {{"Cache-Control", "only-if-cached"}, {"Range", "bytes=0-1"}}).status, 504);
  EXPECT_EQ(asked_.size(), 0);
  Get("/a");
  EXPECT_EQ(Get("/a", {{"Cache-Control", "only-if-cached"}}).body, "hello");
  Wait(61);
  EXPECT_EQ(Get("/a", {{"Cache-Control", "only-if-cached"}}).status, 504);
  EXPECT_EQ(Get("/a", {{"Cache-Control", "only-if-cached, max-stale"}}).body, "hello");
  EXPECT_EQ(asked_.size(), 1);
}

class DisobedientTest : public CacheTest {
 protected:
  DisobedientTest() : CacheTest({.obey_clients = false}) {}
};

TEST_F(DisobedientTest, ClientsCannotMakeTheGatewayAskWhenItIsToldNotToObey) {
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "hello");
  Get("/a");
  Get("/a", {{"Cache-Control", "no-cache"}});
  Get("/a", {{"Cache-Control", "max-age=0, min-fresh=100"}});
  EXPECT_EQ(asked_.size(), 1);
  EXPECT_EQ(Get("/b", {{"Cache-Control", "only-if-cached"}}).status, 504);
}

}  // namespace
}  // namespace starling::gateway

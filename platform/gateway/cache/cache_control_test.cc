// RFC 9111, 5.2: Cache-Control, as it is read. What its directives do: storing_test,
// freshness_test, validation_test, stale_test.
#include "platform/gateway/cache/rules/cache_control.h"

#include "platform/gateway/cache/cache_test.h"

namespace starling::gateway {
namespace {

ResponseDirectives Response(std::string_view value) {
  return ParseResponseDirectives(MakeHeaders({{"Cache-Control", value}}));
}

RequestDirectives Request(std::string_view value) {
  return ParseRequestDirectives(MakeHeaders({{"Cache-Control", value}}));
}

TEST(CacheControl, LifetimesAreReadInEveryFormThatARecipientTakes) {
  struct Row {
    std::string_view value;
    std::optional<int64_t> max_age;
  };
  for (const Row& row : {
           Row{"", std::nullopt},
           Row{"public", std::nullopt},
           Row{"max-age=60", 60},
           Row{"MAX-AGE=60", 60},
           Row{"max-age=\"60\"", 60},  // 5.2: both forms
           Row{"public,max-age=60 ,, no-transform", 60},
           Row{"\tmax-age=60", 60},
           Row{"max-age=007", 7},
           Row{"max-age=99999999999999999999", 2147483648},  // 1.2.2
           Row{"max-age=2147483649", 2147483648},
           Row{"max-age=60, max-age=60", 60},
           Row{"max-age=60, max-age=61", 0},  // 4.2.1: twice, differing: stale
           Row{"max-age=61, max-age=60", 0},
           Row{"max-age", 0},  // no number: stale
           Row{"max-age=", 0},
           Row{"max-age=-1", 0},
           Row{"max-age=1.5", 0},
           Row{"max-age=60s", 0},
           Row{"max-age =60", 0},
           Row{"max-age= 60", 0},
           Row{"max-age='60'", 0},
           Row{"max-age=60; public", 0},
           Row{"max-age=60, max-age=x", 0},
           Row{"x-max-age=60", std::nullopt},
           Row{"extension=\"max-age=60, max-age=70\"", std::nullopt},
           Row{"extension=\"\\\", max-age=60\"", std::nullopt},
           Row{"extension=\"open, max-age=60", 60},  // nothing closes the quote: it hides nothing
           Row{"\"a\" \"b, max-age=60", 60},
       }) {
    const auto max_age = Response(row.value).max_age;
    EXPECT_EQ(max_age.value_or(seconds(-1)).count(), row.max_age.value_or(-1)) << row.value;
  }
}

TEST(CacheControl, EveryDirectiveOfAResponseIsKnown) {
  EXPECT_TRUE(Response("no-cache").no_cache);
  EXPECT_TRUE(Response("No-Store").no_store);
  EXPECT_TRUE(Response("private").is_private);
  EXPECT_TRUE(Response("public").is_public);
  EXPECT_TRUE(Response("must-revalidate").must_revalidate);
  EXPECT_TRUE(Response("proxy-revalidate").proxy_revalidate);
  EXPECT_TRUE(Response("must-understand").must_understand);
  EXPECT_EQ(Response("s-maxage=5").s_maxage, seconds(5));
  EXPECT_EQ(Response("stale-while-revalidate=6").stale_while_revalidate, seconds(6));
  EXPECT_EQ(Response("stale-if-error=7").stale_if_error, seconds(7));
}

TEST(CacheControl, AFormThatNamesFieldsCountsAsIfItNamedNone) {
  EXPECT_TRUE(Response("no-cache=\"set-cookie, x-a\"").no_cache);
  EXPECT_TRUE(Response("private=\"x-a\", max-age=60").is_private);
  EXPECT_EQ(Response("private=\"x-a\", max-age=60").max_age, seconds(60));
}

TEST(CacheControl, APermissionThatCannotBeReadIsNotThere) {
  for (const std::string_view value : {"stale-while-revalidate", "stale-while-revalidate=x",
                                       "stale-while-revalidate=1, stale-while-revalidate=2"}) {
    EXPECT_FALSE(Response(value).stale_while_revalidate) << value;
  }
  EXPECT_FALSE(Response("stale-if-error=-1").stale_if_error);
  EXPECT_FALSE(Request("max-stale=x").max_stale);
}

TEST(CacheControl, EveryDirectiveOfARequestIsKnown) {
  EXPECT_EQ(Request("max-age=0").max_age, seconds(0));
  EXPECT_EQ(Request("max-age=x").max_age, seconds(0));
  EXPECT_EQ(Request("max-stale").max_stale, kLongest);
  EXPECT_EQ(Request("max-stale=5").max_stale, seconds(5));
  EXPECT_EQ(Request("min-fresh=5").min_fresh, seconds(5));
  EXPECT_EQ(Request("min-fresh=x").min_fresh, kLongest);
  EXPECT_EQ(Request("stale-if-error=5").stale_if_error, seconds(5));
  EXPECT_TRUE(Request("no-cache").no_cache);
  EXPECT_TRUE(Request("no-store").no_store);
  EXPECT_TRUE(Request("only-if-cached").only_if_cached);
}

TEST(CacheControl, SeveralFieldsAreOneList) {
  const auto said = ParseResponseDirectives(MakeHeaders(
      {{"Cache-Control", "max-age=60"}, {"X-Other", "no-store"}, {"cache-control", "private"}}));
  EXPECT_EQ(said.max_age, seconds(60));
  EXPECT_TRUE(said.is_private);
  EXPECT_FALSE(said.no_store);
}

}  // namespace
}  // namespace starling::gateway

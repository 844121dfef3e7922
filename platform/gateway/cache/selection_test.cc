// RFC 9111, 4 and 4.1: which stored answer fits a request; keys of several answers by Vary.
#include "platform/gateway/cache/rules/selection.h"

#include "platform/gateway/cache/cache_test.h"

namespace starling::gateway {
namespace {

bool Fits(std::string_view vary, Fields stored_for, Fields asked_with) {
  return SelectingFields::Of(MakeHeaders({{"Vary", vary}}), MakeHeaders(stored_for))
      .Match(MakeHeaders(asked_with));
}

TEST(Selection, FieldsThatVaryNamesMustBeTheSame) {
  EXPECT_TRUE(Fits("X-A", {{"X-A", "1"}}, {{"x-a", "1"}, {"X-B", "2"}}));
  EXPECT_FALSE(Fits("X-A", {{"X-A", "1"}}, {{"X-A", "2"}}));
  EXPECT_FALSE(Fits("X-A", {{"X-A", "a"}}, {{"X-A", "A"}}));
  EXPECT_FALSE(Fits("X-A, X-B", {{"X-A", "1"}, {"X-B", "1"}}, {{"X-A", "1"}, {"X-B", "2"}}));
  EXPECT_TRUE(Fits("", {{"X-A", "1"}}, {{"X-A", "2"}}));
}

TEST(Selection, AFieldMustBeMissingInBothOrInNone) {
  EXPECT_TRUE(Fits("X-A", {}, {}));
  EXPECT_FALSE(Fits("X-A", {}, {{"X-A", ""}}));
  EXPECT_FALSE(Fits("X-A", {{"X-A", ""}}, {}));
  EXPECT_TRUE(Fits("X-A", {{"X-A", ""}}, {{"X-A", ""}}));
}

TEST(Selection, SeveralFieldsOfANameAreOneList) {
  EXPECT_TRUE(Fits("X-A", {{"X-A", "1"}, {"X-A", "2"}}, {{"X-A", "1, 2"}}));
  EXPECT_FALSE(Fits("X-A", {{"X-A", "1"}, {"X-A", "2"}}, {{"X-A", "2, 1"}}));
}

TEST(Selection, PreferencesOfContentAreComparedByWhatTheyMean) {
  EXPECT_TRUE(Fits("Accept-Encoding", {{"Accept-Encoding", "gzip, br;q=0.5"}},
                   {{"Accept-Encoding", "BR; q=0.5,gzip"}}));
  EXPECT_FALSE(Fits("Accept-Encoding", {{"Accept-Encoding", "gzip, br;q=0.5"}},
                    {{"Accept-Encoding", "gzip, br"}}));
  EXPECT_TRUE(Fits("accept-language", {{"Accept-Language", "de, en"}},
                   {{"Accept-Language", "en"}, {"Accept-Language", "de"}}));
  EXPECT_FALSE(Fits("User-Agent", {{"User-Agent", "a, b"}}, {{"User-Agent", "a,b"}}));
}

TEST(Selection, AStarVariesByEverything) {
  EXPECT_TRUE(VariesByEverything(MakeHeaders({{"Vary", "Accept"}, {"vary", " X-A , * "}})));
  EXPECT_FALSE(VariesByEverything(MakeHeaders({{"Vary", "Accept"}})));
}

class SelectionTest : public CacheTest {
 protected:
  SelectionTest() : CacheTest({.max_variants = 3}) {
    origin_ = [](const http::Request& request) {
      return Reply(200, {{"Cache-Control", "max-age=60"}, {"Vary", "Accept-Language"}},
                   "in " + request.headers.Joined("accept-language"));
    };
  }
  std::string In(std::string_view language) {
    return Get("/a", {{"Accept-Language", language}}).body;
  }
};

TEST_F(SelectionTest, AnswersThatDifferByVaryLiveSideBySide) {
  EXPECT_EQ(In("de"), "in de");
  EXPECT_EQ(In("en"), "in en");
  EXPECT_EQ(In("de"), "in de");
  EXPECT_EQ(In("en"), "in en");
  EXPECT_EQ(asked_.size(), 2);
  EXPECT_EQ(cache_.Stats().objects, 2);
}

TEST_F(SelectionTest, AnAnswerTakesThePlaceOfThatForTheSameFields) {
  In("de");
  Wait(61);
  In("de");
  EXPECT_EQ(asked_.size(), 2);
  EXPECT_EQ(cache_.Stats().objects, 1);
}

TEST_F(SelectionTest, OfTooManyTheOldestGoes) {
  for (const std::string_view language : {"de", "en", "fr", "it"}) In(language);
  EXPECT_EQ(cache_.Stats().objects, 3);
  In("en");
  EXPECT_EQ(asked_.size(), 4);
  In("de");
  EXPECT_EQ(asked_.size(), 5);
}

TEST_F(SelectionTest, WhenSeveralFitTheNewestIsGiven) {  // 4.1
  In("de");
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "in any");  // does not vary any more
  EXPECT_EQ(In("en"), "in any");
  EXPECT_EQ(In("de"), "in any");
  EXPECT_EQ(asked_.size(), 2);
}

TEST_F(SelectionTest, HeadIsAnsweredFromAStoredGet) {  // 4: the method allows it
  In("de");
  const http::Response head = Ask("HEAD", "/a", {{"Accept-Language", "de"}});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "in de");  // for its length; the server sends none
  EXPECT_EQ(asked_.size(), 1);
  Ask("HEAD", "/b", {{"Accept-Language", "de"}});
  EXPECT_EQ(asked_.back().verb, http::Verb::kHead);
  Get("/b", {{"Accept-Language", "de"}});
  EXPECT_EQ(asked_.size(), 3);
}

TEST_F(SelectionTest, AGetWithABodyIsPassedThrough) {
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "hello");
  for (int i = 0; i < 2; ++i) {
    http::DetachedExchange exchange;
    exchange.request = MakeRequest("GET", "/a", {});
    exchange.request.body = "query";
    RunSync(cache_.Serve(exchange, kPrefix, MakeFetch()));
    EXPECT_EQ(asked_.back().body, "query");
  }
  EXPECT_EQ(asked_.size(), 2);
}

}  // namespace
}  // namespace starling::gateway

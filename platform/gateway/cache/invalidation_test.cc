// RFC 9111, 4.4: unsafe requests make what is stored invalid. And purging by hand.
#include "platform/gateway/cache/cache_test.h"
#include "platform/gateway/cache/rules/target.h"

namespace starling::gateway {
namespace {

TEST(Target, ReferencesAreResolvedOnTheSameHostAlone) {
  struct Row {
    std::string_view reference;
    std::optional<std::string> target;
  };
  for (const Row& row : {
           Row{"/x?y#z", "/x?y"},
           Row{"http://shop.example/x", "/x"},
           Row{"HTTPS://SHOP.example", "/"},
           Row{"http://shop.example?q", "/?q"},
           Row{"//shop.example/x", "/x"},
           Row{"http://other.example/x", std::nullopt},
           Row{"//other.example/x", std::nullopt},
           Row{"http://shop.example:81/x", std::nullopt},
           Row{"http://shop.example.evil/x", std::nullopt},
           Row{"mailto:shop@shop.example", std::nullopt},
           Row{"x", "/v1/x"},
           Row{"x?a:b", "/v1/x?a:b"},
           Row{"../x", "/x"},
           Row{"../../../x", "/x"},
           Row{"./", "/v1/"},
           Row{"..", "/"},
           Row{"?p=2", "/v1/items?p=2"},
           Row{"", "/v1/items?p=1"},
           Row{" /x ", "/x"},
       }) {
    EXPECT_EQ(TargetOnSameHost(row.reference, "shop.example", "/v1/items?p=1"), row.target)
        << row.reference;
  }
}

class InvalidationTest : public CacheTest {
 protected:
  static constexpr std::string_view kStored[] = {"/a", "/a?q", "/b", "/c"};

  InvalidationTest() { Fill(); }

  void Fill() {
    OriginSays(200, {{"Cache-Control", "max-age=60"}}, "hello");
    for (const std::string_view target : kStored) Get(target);
  }
  // Those of kStored that are still there.
  std::vector<std::string> Left() {
    std::vector<std::string> left;
    for (const std::string_view target : kStored) {
      if (Get(target, {{"Cache-Control", "only-if-cached"}}).status == 200)
        left.emplace_back(target);
    }
    return left;
  }
};

TEST_F(InvalidationTest, AnUnsafeRequestThatSucceedsMakesItsTargetInvalid) {
  for (const std::string_view verb : {"POST", "PUT", "PATCH", "DELETE", "PROPPATCH"}) {
    for (const int status : {200, 201, 204, 303}) {
      Fill();
      OriginSays(status, {});
      EXPECT_EQ(Ask(verb, "/a").status, status);
      EXPECT_THAT(Left(), testing::ElementsAre("/a?q", "/b", "/c")) << verb << " " << status;
    }
  }
}

TEST_F(InvalidationTest, AnErrorAndASafeRequestMakeNothingInvalid) {
  for (const int status : {400, 404, 500, 503}) {
    OriginSays(status, {{"Location", "/b"}});
    Ask("POST", "/a");
  }
  OriginSays(200, {});
  Ask("OPTIONS", "/a");
  Ask("TRACE", "/a");
  EXPECT_EQ(Left().size(), 4);
}

TEST_F(InvalidationTest, LocationAndContentLocationOfTheSameHostGoToo) {
  OriginSays(201, {{"Location", "/b"}, {"Content-Location", "http://shop.example/c"}});
  Ask("POST", "/a");
  EXPECT_THAT(Left(), testing::ElementsAre("/a?q"));
}

TEST_F(InvalidationTest, AnotherHostsLocationIsNotTouched) {
  OriginSays(201, {{"Location", "http://other.example/b"}, {"Content-Location", "//x/c"}});
  Ask("POST", "/a");
  EXPECT_THAT(Left(), testing::ElementsAre("/a?q", "/b", "/c"));
}

TEST_F(InvalidationTest, AFetchThatAChangeOvertakesIsNotStored) {
  origin_ = [this](const http::Request& request) {
    if (request.target == "/slow" && request.verb == http::Verb::kGet) {
      // While the origin still reads the old state, a change of it is made and answered.
      origin_ = [](const http::Request&) { return Reply(204, {}); };
      Ask("PUT", "/slow");
    }
    return Reply(200, {{"Cache-Control", "max-age=60"}}, "old");
  };
  EXPECT_EQ(Get("/slow").body, "old");
  OriginSays(200, {{"Cache-Control", "max-age=60"}}, "new");
  EXPECT_EQ(Get("/slow").body, "new");
}

TEST_F(InvalidationTest, APurgeTakesAllAnswersOfAKey) {
  OriginSays(200, {{"Cache-Control", "max-age=60"}, {"Vary", "X-A"}}, "hello");
  Get("/v", {{"X-A", "1"}});
  Get("/v", {{"X-A", "2"}});
  EXPECT_EQ(cache_.Purge(CacheKey(kPrefix, "shop.example", "/v")), 2);
  EXPECT_EQ(cache_.Purge(CacheKey(kPrefix, "shop.example", "/v")), 0);
  EXPECT_EQ(Left().size(), 4);
}

TEST_F(InvalidationTest, APurgeByPrefixTakesAllThatBeginSo) {
  EXPECT_EQ(cache_.PurgePrefix("shop shop.example/a"), 2);
  EXPECT_THAT(Left(), testing::ElementsAre("/b", "/c"));
  EXPECT_EQ(cache_.PurgePrefix("sho"), 2);
  EXPECT_EQ(cache_.Stats().objects, 0);
  EXPECT_EQ(cache_.Stats().invalidated, 4);
  Fill();
  EXPECT_EQ(cache_.PurgePrefix(""), 4);
}

TEST_F(InvalidationTest, AFetchThatAPurgeOvertakesIsNotStored) {
  for (const bool by_prefix : {false, true}) {
    origin_ = [this, by_prefix](const http::Request&) {
      by_prefix ? cache_.PurgePrefix("shop") : cache_.Purge("shop shop.example/slow");
      return Reply(200, {{"Cache-Control", "max-age=60"}}, "old");
    };
    Get("/slow");
    OriginSays(200, {{"Cache-Control", "max-age=60"}}, "new");
    EXPECT_EQ(Get("/slow").body, "new");
    cache_.PurgePrefix("");
  }
}

}  // namespace
}  // namespace starling::gateway

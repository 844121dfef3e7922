#include "platform/http/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/http/path_template.h"

namespace starling::http {
namespace {

using testing::HasSubstr;

// "GET /a" -> the route that answers and its parameters: "/{x} x=a"; else the status code with
// Allow.
std::string Ask(const Router& router, std::string_view request) {
  DetachedExchange exchange;
  const size_t space = request.find(' ');
  exchange.request.verb_text = std::string(request.substr(0, space));
  exchange.request.verb = ParseVerb(exchange.request.verb_text);
  EXPECT_TRUE(NormalisePath(request.substr(space + 1), exchange.request.path).ok()) << request;
  RunSync(router.Handle(exchange));
  std::string answer;
  if (exchange.route.empty() || exchange.response.status != 200) {
    answer = std::to_string(exchange.response.status);
    const auto allow = exchange.response.headers.Find("allow");
    if (allow) answer += " " + std::string(*allow);
    return answer;
  }
  answer = exchange.route;
  for (const auto& [name, value] : exchange.parameters)
    answer.append(" ").append(name).append("=").append(value);
  return answer;
}

Handler Nothing() {
  return [](Exchange&) -> Task<void> { co_return; };
}

Router RouterOf(std::initializer_list<std::pair<Verb, const char*>> routes) {
  Router router;
  for (const auto& [verb, path] : routes) {
    const Status added = router.Add(verb, path, Nothing());
    EXPECT_TRUE(added.ok()) << ToString(added);
  }
  return router;
}

TEST(Router, FindsTheMostSpecificRoute) {
  const Router router = RouterOf({
      {Verb::kGet, "/"},
      {Verb::kGet, "/v1/products"},
      {Verb::kGet, "/v1/products/{id}"},
      {Verb::kGet, "/v1/products/special"},
      {Verb::kGet, "/v1/products/{id}/reviews/{review}"},
      {Verb::kGet, "/v1/products/special/offers"},
      {Verb::kPost, "/v1/models/{model}:train"},
      {Verb::kPost, "/v1/models/{model}"},
      {Verb::kPost, "/v1/models:import"},
      {Verb::kGet, "/v1/{name=shelves/*/books/*}"},
      {Verb::kGet, "/v1/{name=shelves/**}:move"},
      {Verb::kGet, "/files/{file=**}"},
      {Verb::kGet, "/any/*/x"},
      {Verb::kGet, "/a%20b/{x}"},
  });
  const std::pair<const char*, const char*> cases[] = {
      {"GET /", "/"},
      {"GET /v1/products", "/v1/products"},
      {"GET /v1/products/7", "/v1/products/{id} id=7"},
      {"GET /v1/products/a%2Fb", "/v1/products/{id} id=a/b"},
      {"GET /v1/products/a%252Fb", "/v1/products/{id} id=a%2Fb"},
      {"GET /v1/products/100%25%20", "/v1/products/{id} id=100% "},
      {"GET /v1/products/special", "/v1/products/special"},
      {"GET /v1/products/special/offers", "/v1/products/special/offers"},
      {"GET /v1/products/special/reviews/2",
       "/v1/products/{id}/reviews/{review} id=special review=2"},
      {"GET /v1/products/%2F/reviews/%25", "/v1/products/{id}/reviews/{review} id=/ review=%"},
      {"POST /v1/models/m:train", "/v1/models/{model}:train model=m"},
      {"POST /v1/models/m:n:train", "/v1/models/{model}:train model=m:n"},
      {"POST /v1/models/m:test", "/v1/models/{model} model=m:test"},
      {"POST /v1/models/:train", "/v1/models/{model} model=:train"},
      {"POST /v1/models:import", "/v1/models:import"},
      {"GET /v1/shelves/1/books/2", "/v1/{name=shelves/*/books/*} name=shelves/1/books/2"},
      {"GET /v1/shelves/a%2Fb/books/c%25",
       "/v1/{name=shelves/*/books/*} name=shelves/a%2Fb/books/c%"},
      {"GET /v1/shelves/1/2/3:move", "/v1/{name=shelves/**}:move name=shelves/1/2/3"},
      {"GET /v1/shelves:move", "/v1/{name=shelves/**}:move name=shelves"},
      {"GET /files", "/files/{file=**} file="},
      {"GET /files/", "/files/{file=**} file="},
      {"GET /files/a/b.js", "/files/{file=**} file=a/b.js"},
      {"GET /any/thing/x", "/any/*/x"},
      {"GET /a%20b/c", "/a%20b/{x} x=c"},
      {"HEAD /v1/products/7", "/v1/products/{id} id=7"},
      {"GET /v1/products/", "404"},
      {"GET /v1//7", "404"},
      {"GET /v1/products/7/", "404"},
      {"GET /V1/products", "404"},
      {"GET /nothing", "404"},
      {"POST /v1/products/7", "405 GET, HEAD, OPTIONS"},
      {"BREW /v1/products/7", "501 GET, HEAD, OPTIONS"},
      {"GET /v1/models/m:train", "405 POST, OPTIONS"},
      {"OPTIONS /v1/products/7", "204 GET, HEAD, OPTIONS"},
      {"OPTIONS /nothing", "404"},
  };
  for (const auto& [request, answer] : cases) EXPECT_EQ(Ask(router, request), answer) << request;
}

TEST(Router, LooksFurtherWhenTheMoreSpecificRouteHasAnotherVerb) {
  const Router router =
      RouterOf({{Verb::kGet, "/p/special"}, {Verb::kPost, "/p/{id}"}, {Verb::kPut, "/{all=**}"}});
  EXPECT_EQ(Ask(router, "POST /p/special"), "/p/{id} id=special");
  EXPECT_EQ(Ask(router, "PUT /p/special"), "/{all=**} all=p/special");
  EXPECT_EQ(Ask(router, "DELETE /p/special"), "405 GET, HEAD, POST, PUT, OPTIONS");
}

TEST(Router, RefusesRoutesThatNoPathTellsApart) {
  Router router;
  ASSERT_TRUE(router.Add(Verb::kGet, "/a/{x}/b", Nothing()).ok());
  ASSERT_TRUE(router.Add(Verb::kPost, "/a/{y}/b", Nothing()).ok());
  ASSERT_TRUE(router.Add(Verb::kGet, "/a/{y}/b:verb", Nothing()).ok());
  for (const char* same : {"/a/{y}/b", "/a/*/b", "/{z=a/*/b}", "/%61/*/b"}) {
    const Status status = router.Add(Verb::kGet, same, Nothing());
    EXPECT_EQ(status.code(), StatusCode::kAlreadyExists) << same;
    EXPECT_THAT(std::string(status.message()), HasSubstr("/a/{x}/b")) << same;
    EXPECT_THAT(std::string(status.message()), HasSubstr(same));
  }
}

TEST(Router, RefusesTemplatesThatAreNone) {
  for (const char* bad :
       {"",         "a",      "//",      "/a/",      "/{",    "/{}",       "/{x",
        "/{x=}",    "/{x=/}", "/{x=a/}", "/{x={y}}", "/**/a", "/{x=**}/a", "/{x=**/a}",
        "/a*",      "/***",   "/{x}y",   "/y{x}",    "/a:",   "/a:b:c",    "/a:b/c",
        "/{x}/{x}", "/a=b",   "/%zz",    "/../a"}) {
    Router router;
    const Status status = router.Add(Verb::kGet, bad, Nothing());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr(fmt::format("'{}'", bad)));
  }
  Router router;
  EXPECT_FALSE(router.Add(Verb::kGet, "/", nullptr).ok());
  EXPECT_FALSE(router.Add(Verb::kOther, "/", Nothing()).ok());
}

TEST(Router, AnswersWithProblems) {
  const Router router = RouterOf({{Verb::kGet, "/a"}});
  DetachedExchange exchange;
  exchange.request.path = "/nothing";
  RunSync(router.Handle(exchange));
  EXPECT_EQ(exchange.response.headers.Find("content-type"), "application/problem+json");
  EXPECT_THAT(exchange.response.body, HasSubstr("there is nothing at '/nothing'"));
}

TEST(Router, LooksForAHostsRoutesFirst) {
  const auto answering = [](const char* name, const std::vector<const char*>& paths) {
    Router router;
    for (const char* path : paths) {
      const Status added = router.Add(Verb::kGet, path, [name](Exchange& exchange) -> Task<void> {
        exchange.response.body = name;
        co_return;
      });
      EXPECT_TRUE(added.ok()) << ToString(added);
    }
    return router;
  };
  Router router = answering("any", {"/", "/a", "/all/{x=**}"});
  ASSERT_TRUE(router.AddHost("Shop.example", answering("shop", {"/", "/{x}/b"})).ok());
  ASSERT_TRUE(router.AddHost("*.shop.example", answering("below", {"/"})).ok());
  ASSERT_TRUE(router.AddHost("de.shop.example", answering("de", {"/"})).ok());
  ASSERT_TRUE(router.AddHost("[::1]", answering("six", {"/"})).ok());
  const auto ask = [&](std::string_view host, std::string_view path) {
    DetachedExchange exchange;
    exchange.request.path = path;
    exchange.request.headers.Set("Host", host);
    RunSync(router.Handle(exchange));
    return exchange.response.status == 200 ? exchange.response.body
                                           : std::to_string(exchange.response.status);
  };
  EXPECT_EQ(ask("shop.example", "/"), "shop");
  EXPECT_EQ(ask("SHOP.EXAMPLE:8080", "/"), "shop");
  EXPECT_EQ(ask("shop.example.", "/"), "shop");
  EXPECT_EQ(ask("shop.example", "/a"), "any");
  EXPECT_EQ(ask("shop.example", "/x/b"), "shop");
  EXPECT_EQ(ask("shop.example", "/nothing"), "404");
  EXPECT_EQ(ask("fr.shop.example", "/"), "below");
  EXPECT_EQ(ask("a.b.shop.example", "/"), "below");
  EXPECT_EQ(ask("de.shop.example", "/"), "de");
  EXPECT_EQ(ask("x.de.shop.example", "/"), "below");
  EXPECT_EQ(ask("[::1]:8080", "/"), "six");
  EXPECT_EQ(ask("evilshop.example", "/"), "any");
  EXPECT_EQ(ask(".shop.example", "/"), "any");
  EXPECT_EQ(ask("", "/"), "any");
  EXPECT_THAT(router.Describe(), testing::Contains("GET *.shop.example/"));

  for (const char* bad : {"", "*.", "*", "shop.example:80", "shop.example.", "a b", "*.*.x"}) {
    const Status status = router.AddHost(bad, Router());
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(router.AddHost("shop.EXAMPLE", Router()).code(), StatusCode::kAlreadyExists);
}

TEST(Router, OverAnotherHasTheRoutesOfBothAndLeavesThatOneAsItWas) {
  auto made = std::make_shared<Router>(RouterOf({{Verb::kGet, "/v1/products/{id}"},
                                                 {Verb::kGet, "/v1/products/special"},
                                                 {Verb::kPost, "/v1/models/{model}:train"}}));
  ASSERT_TRUE(made->AddHost("shop.example", RouterOf({{Verb::kGet, "/cart"}})).ok());
  const std::shared_ptr<const Router> base = std::move(made);
  const std::vector<std::string> before = base->Describe();

  Router first(base), second(base);
  EXPECT_EQ(first.Describe(), before);
  ASSERT_TRUE(first.Add(Verb::kGet, "/{rest=**}", Nothing()).ok());
  ASSERT_TRUE(first.Add(Verb::kPost, "/v1/products/{id}", Nothing()).ok());
  ASSERT_TRUE(first.Add(Verb::kPost, "/v1/models/{model}:stop", Nothing()).ok());
  ASSERT_TRUE(second.Add(Verb::kGet, "/v1/products/{id}/reviews", Nothing()).ok());
  ASSERT_TRUE(second.AddHost("blog.example", Router()).ok());

  EXPECT_EQ(Ask(first, "GET /v1/products/7"), "/v1/products/{id} id=7");
  EXPECT_EQ(Ask(first, "POST /v1/products/7"), "/v1/products/{id} id=7");
  EXPECT_EQ(Ask(first, "GET /v1/products/special"), "/v1/products/special");
  EXPECT_EQ(Ask(first, "GET /v1/products/7/reviews"), "/{rest=**} rest=v1/products/7/reviews");
  EXPECT_EQ(Ask(first, "POST /v1/models/als:train"), "/v1/models/{model}:train model=als");
  EXPECT_EQ(Ask(first, "POST /v1/models/als:stop"), "/v1/models/{model}:stop model=als");
  EXPECT_EQ(Ask(second, "GET /v1/products/7/reviews"), "/v1/products/{id}/reviews id=7");
  EXPECT_EQ(Ask(second, "POST /v1/products/7"), "405 GET, HEAD, OPTIONS");
  EXPECT_EQ(Ask(second, "GET /other"), "404");
  EXPECT_EQ(first.Add(Verb::kGet, "/v1/products/{key}", Nothing()).code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(first.AddHost("shop.example", Router()).code(), StatusCode::kAlreadyExists);

  EXPECT_EQ(base->Describe(), before);
  EXPECT_EQ(Ask(*base, "GET /other"), "404");
  EXPECT_EQ(Ask(*base, "POST /v1/products/7"), "405 GET, HEAD, OPTIONS");
  EXPECT_EQ(Ask(*base, "POST /v1/models/als:stop"), "404");
}

TEST(Router, OverAnotherKeepsThatOneAlive) {
  auto base = std::make_shared<const Router>(RouterOf({{Verb::kGet, "/a"}}));
  Router over(std::move(base));
  ASSERT_TRUE(over.Add(Verb::kGet, "/b", Nothing()).ok());
  const Router moved = std::move(over);
  EXPECT_EQ(Ask(moved, "GET /a"), "/a");
  EXPECT_EQ(Ask(moved, "GET /b"), "/b");
}

TEST(Router, DescribesItsRoutes) {
  EXPECT_THAT(RouterOf({{Verb::kGet, "/a"}, {Verb::kPost, "/b/{c}:d"}}).Describe(),
              testing::ElementsAre("GET /a", "POST /b/{c}:d"));
}

}  // namespace
}  // namespace starling::http

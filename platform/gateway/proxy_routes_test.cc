// Which request goes where, and who may send it.
#include "platform/gateway/proxy_routes.h"

#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::StatusOf;
using testing::HasSubstr;
using testing::StartsWith;
using Answer = RawServer::Answer;

class Routes : public GatewayTest {
 protected:
  static RawServer::Handler Named(const std::string& name) {
    return [name](const std::string&, int) -> Answer { return {Ok(name)}; };
  }
  RawServer a_{Named("a")};
  RawServer b_{Named("b")};
  const std::map<std::string, UpstreamConfig> both_{{"a", To({a_.address()})},
                                                    {"b", To({b_.address()})}};
};

TEST_F(Routes, AreFoundByPathMethodHostAndField) {
  RouteConfig post = Route("/x", "b");
  post.methods = {"POST", "PUT"};
  RouteConfig get = Route("/x", "a");
  get.methods = {"GET"};
  RouteConfig beta = Route("/y/{id}", "b");
  beta.headers = {{"X-Beta", "yes"}};
  RouteConfig host = Route("/{rest=**}", "b");
  host.hosts = {"b.example"};
  Start(both_, {post, get, beta, Route("/y/{id}", "a"), host});
  const auto ask = [&](std::string_view line, std::string_view fields) {
    const std::string answer = Ask(fmt::format("{} HTTP/1.1\r\n{}\r\n", line, fields));
    return StatusOf(answer) == 200 ? BodyOf(answer) : std::to_string(StatusOf(answer));
  };
  EXPECT_EQ(ask("GET /x", "Host: x\r\n"), "a");
  EXPECT_EQ(ask("POST /x", "Host: x\r\nContent-Length: 0\r\n"), "b");
  EXPECT_EQ(ask("DELETE /x", "Host: x\r\n"), "405");
  EXPECT_EQ(ask("GET /y/7", "Host: x\r\n"), "a");
  EXPECT_EQ(ask("GET /y/7", "Host: x\r\nx-beta: yes\r\n"), "b");
  EXPECT_EQ(ask("GET /y/7", "Host: x\r\nx-beta: no\r\n"), "a");
  EXPECT_EQ(ask("GET /anything", "Host: B.example:80\r\n"), "b");
  EXPECT_EQ(ask("GET /anything", "Host: x\r\n"), "404");
}

TEST_F(Routes, ShareByWeight) {
  RouteConfig route = Route("/", "a");
  route.to = {{"a", 90}, {"b", 10}};
  Start(both_, {route});
  http::RawSocket socket(port_);
  int to_b = 0;
  for (int i = 0; i < 2000; ++i)
    to_b += BodyOf(socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) == "b" ? 1 : 0;
  EXPECT_NEAR(to_b, 200, 70);  // five standard deviations
  route.to = {{"a", 1}, {"b", 0}};
  Start(both_, {route});
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(BodyOf(socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), "a");
}

TEST_F(Routes, RewriteThePath) {
  RouteConfig route = Route("/shop/{rest=**}", "a");
  route.rewrite = "/v2/{rest}";
  RouteConfig item = Route("/item/{id}", "a");
  item.rewrite = "/items/{id}/x y";
  RouteConfig verb = Route("/m/{name=a/*}:train", "a");
  verb.rewrite = "/train/{name}";
  Start(both_, {route, item, verb});
  (void)Get("/m/a/b:train");
  EXPECT_THAT(a_.requests().back(), StartsWith("GET /train/a/b HTTP/1.1\r\n"));
  (void)Get("/shop/a%252Fb/%2e%2e%2fc");
  EXPECT_THAT(a_.requests().back(), StartsWith("GET /v2/a%252Fb/..%2Fc HTTP/1.1\r\n"));
  (void)Get("/shop");
  EXPECT_THAT(a_.requests().back(), StartsWith("GET /v2/ HTTP/1.1\r\n"));
  (void)Get("/shop/b/c%20d?q=1");
  EXPECT_THAT(a_.requests().back(), StartsWith("GET /v2/b/c%20d?q=1 HTTP/1.1\r\n"));
  (void)Get("/shop/");
  EXPECT_THAT(a_.requests().back(), StartsWith("GET /v2/ HTTP/1.1\r\n"));
  (void)Get("/item/..%2fb%3f%25");
  EXPECT_THAT(a_.requests().back(), StartsWith("GET /items/..%2Fb%3F%25/x%20y HTTP/1.1\r\n"));
}

TEST_F(Routes, LetInWhoMay) {
  const auto with_access = [](std::string path, std::string access) {
    RouteConfig route = Route(std::move(path), "a");
    route.access = std::move(access);
    return route;
  };
  Start(both_, {with_access("/anyone", "anyone"), with_access("/caller", "caller"),
                with_access("/user", "user"), with_access("/scope", "search.read")});
  const auto status = [&](std::string_view path, std::string_view token) {
    return StatusOf(
        Get(path, token.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", token)));
  };
  EXPECT_EQ(status("/anyone", ""), 200);
  EXPECT_EQ(status("/anyone", "bad"), 401);
  EXPECT_EQ(status("/caller", ""), 401);
  EXPECT_EQ(status("/caller", "ada"), 200);
  EXPECT_EQ(status("/caller", "reader"), 200);
  EXPECT_EQ(status("/user", ""), 401);
  EXPECT_EQ(status("/user", "ada"), 200);
  EXPECT_EQ(status("/user", "reader"), 403);
  EXPECT_EQ(status("/scope", ""), 401);
  EXPECT_EQ(status("/scope", "ada"), 403);
  EXPECT_EQ(status("/scope", "reader"), 200);
  EXPECT_EQ(a_.requests().size(), 5u);  // nobody else's request arrived
}

TEST_F(Routes, SetFieldsForTheUpstream) {
  RouteConfig route = Route("/", "a");
  route.set_headers = {{"X-Tenant", "t1"}, {"User-Agent", ""}};
  route.pass_authorization = true;
  Start(both_, {route});
  (void)Get("/", "x-tenant: t2\r\nUser-Agent: curl\r\nAuthorization: Bearer ada\r\n");
  const std::string request = a_.requests().at(0);
  EXPECT_THAT(request, HasSubstr("X-Tenant: t1\r\n"));
  EXPECT_THAT(request, testing::Not(HasSubstr("t2")));
  EXPECT_THAT(request, testing::Not(HasSubstr("curl")));
  EXPECT_THAT(request, HasSubstr("Authorization: Bearer ada\r\n"));
}

TEST_F(Routes, KeepAnswersForOthers) {
  std::atomic<int> asked = 0;
  RawServer upstream([&](const std::string& request, int) -> Answer {
    ++asked;
    if (request.starts_with("GET /kept"))
      return {Ok(std::to_string(asked), "Cache-Control: max-age=60\r\nETag: \"e\"\r\n")};
    if (request.starts_with("GET /long"))
      return {
          "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
          "5\r\nhello\r\n",
          false,
          {},
          {"5\r\nworld\r\n", "0\r\n\r\n"}};
    return {Ok(std::to_string(asked))};
  });
  RouteConfig kept = Route("/{rest=**}", "up");
  kept.cache = true;
  RouteConfig mine = Route("/kept/mine", "up");
  mine.access = "caller";
  mine.cache = true;
  Start({{"up", To({upstream.address()})}}, {kept, mine, Route("/kept/never", "up")});
  const std::string first = Get("/kept/a?x=1");
  EXPECT_EQ(BodyOf(first), "1");
  EXPECT_THAT(first, HasSubstr("Cache-Status: starling; fwd=uri-miss"));
  for (const char* same : {"/kept/a?x=1", "/kept/b/../a?x=1", "/kept/%61?x=1"}) {
    const std::string again = Get(same);
    EXPECT_EQ(BodyOf(again), "1") << same;
    EXPECT_THAT(again, HasSubstr("Cache-Status: starling; hit")) << same;
    EXPECT_THAT(again, HasSubstr("Age: ")) << same;
    EXPECT_THAT(again, HasSubstr("traceparent: 00-")) << same;
  }
  EXPECT_EQ(StatusOf(Get("/kept/a?x=1", "If-None-Match: \"e\"\r\n")), 304);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(BodyOf(Get("/kept/a?x=2")), "2");
  // What a change makes old is asked for again.
  EXPECT_EQ(StatusOf(Ask("POST /kept/a?x=1 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: "
                         "0\r\n\r\n")),
            200);
  EXPECT_EQ(BodyOf(Get("/kept/a?x=1")), "4");
  // Without leave nothing is kept; nor what was said to somebody.
  EXPECT_EQ(BodyOf(Get("/other")), "5");
  EXPECT_EQ(BodyOf(Get("/other")), "6");
  EXPECT_EQ(BodyOf(Get("/kept/never")), "7");
  EXPECT_EQ(BodyOf(Get("/kept/never")), "8");
  EXPECT_EQ(BodyOf(Get("/kept/mine", "Authorization: Bearer ada\r\n")), "9");
  EXPECT_EQ(BodyOf(Get("/kept/mine", "Authorization: Bearer ada\r\n")), "10");
  EXPECT_EQ(StatusOf(Get("/kept/mine")), 401);
  // Of unknown length, gathered whole.
  EXPECT_EQ(BodyOf(Get("/long")), "helloworld");
  EXPECT_EQ(BodyOf(Get("/long")), "helloworld");
  EXPECT_EQ(asked, 11);
}

TEST_F(Routes, ThatAskOthersShareNoAnswer) {
  const auto named = [](const std::string& name) {
    return [name](const std::string&, int) -> Answer {
      return {Ok(name, "Cache-Control: max-age=60\r\n")};
    };
  };
  RawServer one(named("one"));
  RawServer two(named("two"));
  const std::map<std::string, UpstreamConfig> upstreams{{"one", To({one.address()})},
                                                        {"two", To({two.address()})}};
  RouteConfig plain = Route("/", "one");
  plain.cache = true;
  RouteConfig beta = Route("/", "two");
  beta.cache = true;
  beta.headers = {{"X-Beta", "yes"}};
  Start(upstreams, {beta, plain});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(BodyOf(Get("/")), "one");
    EXPECT_EQ(BodyOf(Get("/", "X-Beta: yes\r\n")), "two");
  }
  EXPECT_EQ(one.requests().size(), 1u);
  EXPECT_EQ(two.requests().size(), 1u);
  // One that was changed asks anew.
  plain.to = {{"two", 1}};
  Start(upstreams, {plain});
  EXPECT_EQ(BodyOf(Get("/")), "two");
}

TEST_F(Routes, GiveStaleAnswersForAServerThatIsGone) {
  auto upstream = std::make_unique<RawServer>([](const std::string&, int) -> Answer {
    return {Ok("kept", "Cache-Control: max-age=0, stale-if-error=60\r\n")};
  });
  RouteConfig kept = Route("/", "up");
  kept.cache = true;
  Start({{"up", To({upstream->address()})}}, {kept});
  EXPECT_EQ(BodyOf(Get("/")), "kept");
  upstream.reset();
  const std::string stale = Get("/");
  EXPECT_EQ(BodyOf(stale), "kept");
  EXPECT_EQ(StatusOf(stale), 200);
}

TEST_F(Routes, AreRefusedWithAWordWhenTheyAreWrong) {
  const auto refused = [&](auto change, StatusCode code = StatusCode::kInvalidArgument) {
    RouteConfig route = Route("/a/{id}", "a");
    change(route);
    Status status = CheckRoutes(both_, {Route("/ok", "a"), route});
    if (status.ok()) status = Set(both_, {Route("/ok", "a"), route, Route("/a/{id}", "b")});
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("routes["));
    return std::string(status.message());
  };
  EXPECT_THAT(refused([](RouteConfig& r) { r.access = ""; }), HasSubstr("write anyone, caller"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.access = "Everyone!"; }), HasSubstr("'Everyone!'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.access = "search.*"; }), HasSubstr("'search.*'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.path = "a"; }), HasSubstr("'a'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.to = {{"aa", 1}}; }), HasSubstr("did you mean 'a'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.to = {{"a", -1}}; }), HasSubstr("-1"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.to = {{"a", 0}}; }), HasSubstr("all weights"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.methods = {"get"}; }), HasSubstr("'get'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.rewrite = "/{x}"; }), HasSubstr("names 'x'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.rewrite = "x"; }), HasSubstr("begin with '/'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.rewrite = "/{id"; }), HasSubstr("without '}'"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.set_headers = {{"a b", "c"}}; }), HasSubstr("a b"));
  EXPECT_THAT(refused([](RouteConfig& r) {
                r.set_headers = {{"a", "b\r\nc"}};
              }),
              HasSubstr("no header field"));
  for (const char* own : {"Host", "content-length", "Transfer-Encoding", "X-Starling-User"}) {
    EXPECT_THAT(refused([&](RouteConfig& r) {
                  r.set_headers = {{own, "5"}};
                }),
                HasSubstr("is the gateway's to write"));
  }
  EXPECT_THAT(refused([](RouteConfig& r) { r.hosts = {"a b"}; }), HasSubstr("is no host"));
  EXPECT_THAT(refused([](RouteConfig&) {}, StatusCode::kAlreadyExists),
              HasSubstr("an earlier route takes all"));
  EXPECT_THAT(refused([](RouteConfig& r) { r.path = "/a/{other}"; }, StatusCode::kAlreadyExists),
              HasSubstr("match the same paths"));
  const Status status = CheckRoutes({{"a", To({"no port"})}}, {});
  EXPECT_THAT(std::string(status.message()), HasSubstr("upstreams.a.endpoints"));
}

TEST_F(Routes, ChangeWithoutLosingARequest) {
  Start(both_, {Route("/", "a")});
  std::atomic<bool> ending = false;
  std::atomic<int> answered = 0, wrong = 0;
  std::vector<std::thread> clients;
  clients.reserve(4);
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      http::RawSocket socket(port_);
      while (!ending) {
        const std::string body = BodyOf(socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        ++(body == "a" || body == "b" ? answered : wrong);
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (answered < 3 * i && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    RouteConfig route = Route("/", i % 2 == 0 ? "b" : "a");
    Start({{"a", To({a_.address()})}, {"b", To({b_.address()})}}, {route});
    // Sometimes the upstreams themselves are others.
    if (i % 10 == 0) Start({{"b", To({b_.address(), a_.address()})}}, {Route("/", "b")});
  }
  ending = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_GE(answered, 600 - 3);
}

}  // namespace
}  // namespace starling::gateway

// How a request comes to an upstream, and its answer back, over real sockets.
#include "platform/gateway/upstream.h"

#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::RawSocket;
using http::StatusOf;
using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Answer = RawServer::Answer;

using Forward = GatewayTest;

RawServer::Handler Says(std::string bytes) {
  return [bytes = std::move(bytes)](const std::string&, int) -> Answer { return {bytes}; };
}

TEST_F(Forward, PassesRequestAndAnswerOn) {
  RawServer upstream(Says(Ok("found", "X-Own: 1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")));
  StartWith(upstream);
  const std::string answer =
      Ask("POST /find/a%2Fb?q=1%20a&x HTTP/1.1\r\nHost: shop.example\r\nX-Mine: yes\r\n"
          "Content-Length: 5\r\n\r\nhello");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Own: 1\r\n"));
  EXPECT_THAT(answer, HasSubstr("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  EXPECT_THAT(answer, HasSubstr("traceparent: 00-"));
  EXPECT_EQ(BodyOf(answer), "found");
  ASSERT_EQ(upstream.requests().size(), 1u);
  const std::string request = upstream.requests()[0];
  EXPECT_THAT(request, StartsWith("POST /find/a%2Fb?q=1%20a&x HTTP/1.1\r\nHost: shop.example\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Mine: yes\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Forwarded-For: 127.0.0.1\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Forwarded-Proto: http\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Forwarded-Host: shop.example\r\n"));
  EXPECT_THAT(request, HasSubstr("Via: 1.1 starling\r\n"));
  EXPECT_THAT(request, HasSubstr("traceparent: 00-"));
  EXPECT_THAT(request, EndsWith("Content-Length: 5\r\n\r\nhello"));
}

TEST_F(Forward, SendsAPathInItsNormalFormAlone) {
  RawServer upstream(Says(Ok("")));
  StartWith(upstream);
  for (const auto& [sent, arrived] : std::initializer_list<std::pair<const char*, const char*>>{
           {"/a/./b/../c", "/a/c"},
           {"/%61%62", "/ab"},
           {"/a%2fb%25", "/a%2Fb%25"},
           {"/caf%c3%a9%20x", "/caf%C3%A9%20x"},
           {"/a%3Fb%23c", "/a%3Fb%23c"},
           {"/a//b", "/a//b"},
       }) {
    EXPECT_EQ(StatusOf(Get(sent)), 200) << sent;
    EXPECT_THAT(upstream.requests().back(), StartsWith(fmt::format("GET {} HTTP/1.1\r\n", arrived)))
        << sent;
  }
}

TEST_F(Forward, KeepsFieldsOfTheConnectionAndCredentialsFromTheUpstream) {
  RawServer upstream(Says(Ok("", "Connection: X-Down\r\nX-Down: 1\r\nKeep-Alive: timeout=3\r\n")));
  StartWith(upstream);
  const std::string answer =
      Get("/",
          "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
          "Upgrade: h2c\r\nProxy-Authorization: Basic x\r\nProxy-Connection: x\r\n"
          "Authorization: Bearer ada\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-For: 1.2.3.4\r\n"
          "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Starling-User: eve\r\n"
          "X-Starling-Caller: service:x\r\nVia: 1.0 old\r\n");
  EXPECT_EQ(StatusOf(answer), 200);
  for (const char* hidden : {"X-Down", "Keep-Alive", "timeout=3"})
    EXPECT_THAT(answer, Not(HasSubstr(hidden)));
  const std::string request = upstream.requests().at(0);
  for (const char* hidden : {"X-Hop", "Keep-Alive", "TE:", "Upgrade", "Proxy", "Bearer", "1.2.3.4",
                             "https", "evil", "eve", "service:x"})
    EXPECT_THAT(request, Not(HasSubstr(hidden)));
  EXPECT_THAT(request, HasSubstr("X-Starling-Caller: user:ada\r\n"));
  EXPECT_THAT(request, HasSubstr("X-Starling-User: ada\r\n"));
  EXPECT_THAT(request, HasSubstr("Via: 1.0 old, 1.1 starling\r\n"));
}

TEST_F(Forward, LeavesOutNamesThatServersTakeForOthers) {
  RawServer upstream(Says(Ok("")));
  StartWith(upstream);
  EXPECT_EQ(StatusOf(Get("/", "X_Starling_User: eve\r\nContent_Length: 7\r\nX-Mine: 1\r\n")), 200);
  const std::string request = upstream.requests().at(0);
  EXPECT_THAT(request, Not(HasSubstr("eve")));
  EXPECT_THAT(request, Not(HasSubstr("_")));
  EXPECT_THAT(request, HasSubstr("X-Mine: 1\r\n"));
}

TEST_F(Forward, FindsAServerByItsName) {
  RawServer upstream(Says(Ok("found")));
  Start({{"up", To({fmt::format("localhost:{}", upstream.port())})}}, {Route("/", "up")});
  EXPECT_EQ(BodyOf(Get("/")), "found");
  UpstreamConfig nobody = To({"nobody.invalid:80"});
  nobody.connect_timeout = milliseconds(300);
  Start({{"up", nobody}}, {Route("/", "up")});
  const std::string answer = Get("/");
  EXPECT_TRUE(StatusOf(answer) == 503 || StatusOf(answer) == 504) << answer;
  EXPECT_THAT(answer, HasSubstr("'nobody.invalid'"));
}

TEST_F(Forward, WaitsForAGatheredBodyNoLongerThanTheTimeout) {
  RawServer upstream([](const std::string&, int) -> Answer {
    return {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
            false,
            {},
            std::vector<std::string>(50, "x")};
  });
  auto route = Route("/", "up");
  route.timeout = milliseconds(200);
  route.retries = 0;
  Start({{"up", To({upstream.address()})}}, {route});
  EXPECT_EQ(StatusOf(Get("/")), 504);
}

TEST_F(Forward, AStreamAsksForNoPlace) {
  RawServer upstream([](const std::string& request, int) -> Answer {
    if (request.starts_with("GET /stream")) {
      return {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
              false,
              {},
              std::vector<std::string>(30, "1\r\nb\r\n")};
    }
    return {Ok("x")};
  });
  edge_.concurrency = &limiter_;
  StartWith(upstream);
  RawSocket socket(port_);
  socket.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  (void)socket.ReadUntil("1\r\nb\r\n");
  EXPECT_EQ(limiter_.in_flight(), 0);
  EXPECT_EQ(StatusOf(Get("/")), 200);
}

TEST_F(Forward, SendsARequestInChunksInChunksOrItsLengthWhereItIsGathered) {
  RawServer upstream(Says(Ok("")));
  StartWith(upstream);
  EXPECT_EQ(StatusOf(Ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n2;x\r\nde\r\n0\r\nTrailer: 1\r\n\r\n")),
            200);
  EXPECT_THAT(upstream.requests().at(0), EndsWith("Transfer-Encoding: chunked\r\n\r\nabcde"));
  RouteConfig route = Route("/{rest=**}", "up");
  route.buffer_requests = true;
  Start({{"up", To({upstream.address()})}}, {route});
  EXPECT_EQ(StatusOf(Ask("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nabc\r\n2;x\r\nde\r\n0\r\nTrailer: 1\r\n\r\n")),
            200);
  EXPECT_THAT(upstream.requests().at(1), EndsWith("Content-Length: 5\r\n\r\nabcde"));
  EXPECT_THAT(upstream.requests().at(1), Not(HasSubstr("chunked")));
}

TEST_F(Forward, UsesAConnectionAgain) {
  RawServer upstream(Says(Ok("x")));
  StartWith(upstream);
  RawSocket socket(port_);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(BodyOf(socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), "x");
  EXPECT_EQ(upstream.connections(), 1);
}

TEST_F(Forward, ClosesAConnectionThatTheUpstreamMeansToClose) {
  RawServer upstream(Says(Ok("x", "Connection: close\r\n")));
  StartWith(upstream);
  RawSocket socket(port_);
  for (int i = 0; i < 3; ++i) {
    const std::string answer = socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(BodyOf(answer), "x");
    EXPECT_THAT(answer, Not(HasSubstr("Connection: close")));
  }
  EXPECT_EQ(upstream.connections(), 3);
}

TEST_F(Forward, AnswersHeadWithTheLengthOfGet) {
  RawServer upstream(Says("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"));
  StartWith(upstream);
  RawSocket socket(port_);
  for (int i = 0; i < 2; ++i) {
    socket.Send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), HasSubstr("Content-Length: 12345\r\n"));
  }
}

TEST_F(Forward, PassesLongAnswersOnUnderTheirLength) {
  const std::string body(3'000'000, 'x');
  RawServer upstream(Says(Ok(body)));
  StartWith(upstream);
  RawSocket socket(port_);
  for (int i = 0; i < 2; ++i) {
    const std::string answer = socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(answer.substr(0, 500), HasSubstr("Content-Length: 3000000\r\n"));
    EXPECT_EQ(BodyOf(answer), body);
  }
}

TEST_F(Forward, PassesAStreamOnPieceByPiece) {
  RawServer upstream([](const std::string&, int) -> Answer {
    return {
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
        "chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
        false,
        {},
        {"9\r\ndata: 2\n\n\r\n", "0\r\n\r\n"}};
  });
  StartWith(upstream);
  RawSocket socket(port_);
  for (int i = 0; i < 2; ++i) {
    socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string first = socket.ReadUntil("data: 1\n\n\r\n");
    EXPECT_THAT(first, HasSubstr("Content-Type: text/event-stream\r\n"));
    EXPECT_THAT(first, HasSubstr("traceparent: "));
    EXPECT_THAT(first, Not(HasSubstr("data: 2")));
    EXPECT_EQ(socket.ReadUntil("0\r\n\r\n"), "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  }
}

TEST_F(Forward, ReadsAnAnswerThatTheEndOfItsConnectionEnds) {
  RawServer upstream([](const std::string&, int) -> Answer {
    return {"HTTP/1.0 200 OK\r\n\r\nall of it", true};
  });
  StartWith(upstream);
  http::RawSocket socket(port_);
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("0\r\n\r\n"), HasSubstr("9\r\nall of it\r\n"));
}

TEST_F(Forward, CutsAnAnswerThatBreaksHalfWay) {
  RawServer upstream([](const std::string&, int) -> Answer {
    return {"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\npart", true};
  });
  StartWith(upstream);
  RawSocket socket(port_);
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.ReadToEnd(), EndsWith("part"));
  EXPECT_TRUE(socket.reset());
}

TEST_F(Forward, Answers503WhenNobodyIsThere) {
  uint16_t port;
  { port = RawServer(Says("")).port(); }
  Start({{"up", To({fmt::format("127.0.0.1:{}", port)})}}, {Route("/", "up")});
  const std::string answer = Get("/");
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_THAT(answer, HasSubstr("upstream 'up', 127.0.0.1:"));
  EXPECT_THAT(answer, HasSubstr("cannot connect: Connection refused"));
}

TEST_F(Forward, RepeatsOnAnotherEndpointWhatMayBeSentTwice) {
  RawServer bad([](const std::string&, int) -> Answer { return {"", true}; });
  RawServer good(Says(Ok("good")));
  auto route = Route("/", "up");
  Start({{"up", To({bad.address(), good.address()})}}, {route});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(BodyOf(Get("/")), "good");
  EXPECT_EQ(good.requests().size(), 20u);
}

TEST_F(Forward, SendsNothingTwiceThatMayNotBe) {
  RawServer upstream([](const std::string&, int) -> Answer { return {"", true}; });
  StartWith(upstream);
  EXPECT_EQ(StatusOf(Ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")), 503);
  EXPECT_EQ(upstream.requests().size(), 1u);
  EXPECT_EQ(StatusOf(Ask("PATCH / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")), 503);
  EXPECT_EQ(upstream.requests().size(), 2u);
  EXPECT_EQ(StatusOf(Get("/")), 503);
  EXPECT_EQ(upstream.requests().size(), 4u);
}

TEST_F(Forward, SendsWhatMayNotBeRepeatedOnNoConnectionThatIsClosed) {
  // Answers, then closes without a word.
  RawServer upstream([](const std::string&, int) -> Answer { return {Ok("x"), true}; });
  StartWith(upstream);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(StatusOf(Ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")), 200) << i;
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(upstream.requests().size(), 5u);
}

TEST_F(Forward, TriesAgainAfterAnAnswerThatSaysSo) {
  RawServer busy(Says("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"));
  RawServer good(Says(Ok("good")));
  Start({{"up", To({busy.address(), good.address()})}}, {Route("/", "up")});
  for (int i = 0; i < 10; ++i) EXPECT_EQ(BodyOf(Get("/")), "good");
}

TEST_F(Forward, GivesTheLastAnswerOnAsItIs) {
  RawServer busy(Says("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 7\r\n\r\nbusy"));
  StartWith(busy);
  const std::string answer = Get("/");
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_THAT(answer, HasSubstr("Retry-After: 7\r\n"));
  EXPECT_EQ(BodyOf(answer), "busy");
  EXPECT_EQ(busy.requests().size(), 2u);
  EXPECT_EQ(StatusOf(Ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")), 503);
  EXPECT_EQ(busy.requests().size(), 3u);
}

TEST_F(Forward, RetriesWithinItsBudgetAlone) {
  RawServer bad([](const std::string&, int) -> Answer { return {"", true}; });
  StartWith(bad);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(StatusOf(Get("/")), 503);
  EXPECT_LE(bad.requests().size(), 100u + 10 + 10);  // a tenth of the requests, and the reserve
}

TEST_F(Forward, GivesUpAfterTheTimeout) {
  RawServer slow([](const std::string&, int) -> Answer {
    return {Ok("late"), false, milliseconds(400)};
  });
  auto route = Route("/", "up");
  route.timeout = milliseconds(50);
  Start({{"up", To({slow.address()})}}, {route});
  const std::string answer = Get("/");
  EXPECT_EQ(StatusOf(answer), 504);
  EXPECT_THAT(answer, HasSubstr("it did not answer in time"));
}

TEST_F(Forward, GivesOneTryItsOwnTime) {
  RawServer upstream([](const std::string&, int number) -> Answer {
    return {Ok("x"), false, milliseconds(number == 1 ? 500 : 0)};
  });
  auto route = Route("/", "up");
  route.try_timeout = milliseconds(50);
  Start({{"up", To({upstream.address()})}}, {route});
  EXPECT_EQ(BodyOf(Get("/")), "x");
  EXPECT_EQ(upstream.requests().size(), 2u);
}

TEST_F(Forward, LeavesAnUpstreamWhoseClientIsGone) {
  RawServer upstream([&](const std::string&, int) -> Answer {
    return {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
            false,
            {},
            std::vector<std::string>(50, "x")};
  });
  StartWith(upstream);
  {
    RawSocket socket(port_);
    socket.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(50));
  }
  const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  const auto outstanding = [&] { return upstreams_.Find("up")->Health().at(0).outstanding; };
  while (outstanding() > 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(outstanding(), 0);
}

TEST_F(Forward, TakesNoMalformedAnswer) {
  for (const char* bad :
       {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\nA: b\n\n", "SSH-2.0-OpenSSH\r\n"}) {
    RawServer upstream(Says(bad));
    Start({{"up", To({upstream.address()})}}, {Route("/{rest=**}", "up")});
    const std::string answer = Get("/");
    EXPECT_EQ(StatusOf(answer), 503) << bad;
    EXPECT_THAT(answer, HasSubstr("its answer is malformed")) << bad;
  }
}

TEST_F(Forward, DoesNotTakeWhatComesBehindAnAnswerForTheNext) {
  RawServer upstream(Says(Ok("x") + Ok("smuggled")));
  StartWith(upstream);
  RawSocket socket(port_);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(BodyOf(socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), "x");
  EXPECT_EQ(upstream.connections(), 5);
}

TEST_F(Forward, SendsLargeRequests) {
  const std::string body(900'000, 'b');
  RawServer upstream([](const std::string& request, int) -> Answer {
    return {Ok(std::to_string(request.size() - request.find("\r\n\r\n") - 4))};
  });
  StartWith(upstream);
  EXPECT_EQ(BodyOf(Ask(fmt::format("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
                                   body.size(), body))),
            "900000");
}

TEST_F(Forward, LeavesOutWhatItsHealthCheckFinds) {
  std::atomic<bool> well = false;
  const auto handler = [&](const std::string& name) {
    return [&well, name](const std::string& request, int) -> Answer {
      if (request.starts_with("GET /healthz"))
        return {name == "a" && !well ? "HTTP/1.1 500 Ill\r\nContent-Length: 0\r\n\r\n" : Ok("")};
      return {Ok(name)};
    };
  };
  RawServer a(handler("a"));
  RawServer b(handler("b"));
  UpstreamConfig config = To({a.address(), b.address()});
  config.health.path = "/healthz";
  config.health.interval = milliseconds(10);
  Start({{"up", config}}, {Route("/", "up")});
  const auto wait_for = [&](size_t endpoints) {
    const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (upstreams_.Find("up")->Health().size() != endpoints &&
           std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(milliseconds(5));
    EXPECT_EQ(upstreams_.Find("up")->Health().size(), endpoints);
  };
  wait_for(1);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(BodyOf(Get("/")), "b");
  well = true;
  wait_for(2);
}

}  // namespace
}  // namespace starling::gateway

// What RFC 9110 and RFC 9112 ask of an intermediary and of a server, through the gateway. The page
// docs/conformance/http.md says which clause is tested where.
#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::StatusOf;
using testing::HasSubstr;
using testing::Not;
using UpstreamAnswer = RawServer::Answer;

class Intermediary : public GatewayTest {
 protected:
  Intermediary() { rules_.emplace(); }
  std::string answer_ = Ok("ok");
  RawServer up_{[this](const std::string&, int) -> UpstreamAnswer { return {answer_}; }};
  std::string last() { return up_.requests().back(); }
};

TEST_F(Intermediary, CountsMaxForwardsOfOptionsDown) {
  StartWith(up_);
  const auto ask = [&](std::string_view left) {
    return Ask(fmt::format("OPTIONS /a HTTP/1.1\r\nHost: x\r\nMax-Forwards: {}\r\n\r\n", left));
  };
  EXPECT_EQ(StatusOf(ask("3")), 200);
  EXPECT_THAT(last(), HasSubstr("Max-Forwards: 2\r\n"));
  EXPECT_EQ(StatusOf(ask("1")), 200);
  EXPECT_THAT(last(), HasSubstr("Max-Forwards: 0\r\n"));
  const std::string here = ask("0");
  EXPECT_EQ(StatusOf(here), 204);
  EXPECT_THAT(here, HasSubstr("Allow: GET, HEAD, POST"));
  EXPECT_EQ(up_.requests().size(), 2u);
  // Of other methods it may be ignored, and goes on as it is.
  (void)Get("/a", "Max-Forwards: 0\r\n");
  EXPECT_THAT(last(), HasSubstr("Max-Forwards: 0\r\n"));
}

TEST_F(Intermediary, KeepsFieldsOfAConnectionToThatConnection) {
  StartWith(up_);
  answer_ = Ok("ok",
               "Connection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
               "Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nX-End: 2\r\n");
  const std::string answer =
      Get("/a", "Connection: X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\nX-Other: 2\r\n");
  EXPECT_THAT(last(), Not(HasSubstr("X-Mine")));
  EXPECT_THAT(last(), Not(HasSubstr("TE:")));
  EXPECT_THAT(last(), HasSubstr("X-Other: 2\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("X-Hop")));
  EXPECT_THAT(answer, Not(HasSubstr("Keep-Alive")));
  EXPECT_THAT(answer, Not(HasSubstr("Upgrade")));
  EXPECT_THAT(answer, HasSubstr("X-End: 2\r\n"));
}

TEST_F(Intermediary, NamesItselfInVia) {
  StartWith(up_);
  (void)Get("/a", "Via: 1.0 first\r\nVia: 1.1 second\r\n");
  EXPECT_THAT(last(), HasSubstr("Via: 1.0 first, 1.1 second, 1.1 starling\r\n"));
}

TEST_F(Intermediary, PassesRangesAndConditionsOn) {
  StartWith(up_);
  answer_ =
      "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\n"
      "Content-Range: bytes 0-4/9000\r\nETag: \"v1\"\r\nContent-Length: 5\r\n\r\nhello";
  const std::string part =
      Get("/a", "Range: bytes=0-4\r\nIf-Range: \"v1\"\r\nAccept-Encoding: gzip\r\n");
  EXPECT_THAT(last(), HasSubstr("Range: bytes=0-4\r\n"));
  EXPECT_THAT(last(), HasSubstr("If-Range: \"v1\"\r\n"));
  EXPECT_EQ(StatusOf(part), 206);
  EXPECT_THAT(part, HasSubstr("Content-Range: bytes 0-4/9000\r\n"));
  EXPECT_THAT(part, HasSubstr("ETag: \"v1\"\r\n"));
  EXPECT_EQ(BodyOf(part), "hello");
  answer_ = "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n";
  const std::string same = Get("/a", "If-None-Match: \"v1\"\r\n");
  EXPECT_THAT(last(), HasSubstr("If-None-Match: \"v1\"\r\n"));
  EXPECT_EQ(StatusOf(same), 304);
  EXPECT_EQ(BodyOf(same), "");
  EXPECT_THAT(same, Not(HasSubstr("Content-Length")));
  answer_ = "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(StatusOf(Get("/a", "If-Match: \"v0\"\r\nIf-Unmodified-Since: x\r\n")), 412);
  EXPECT_THAT(last(), HasSubstr("If-Match: \"v0\"\r\n"));
}

TEST_F(Intermediary, AddsADateWhereThereIsNone) {
  StartWith(up_);
  EXPECT_THAT(Get("/a"), HasSubstr("\r\nDate: "));
  answer_ = Ok("ok", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  EXPECT_THAT(Get("/a"), HasSubstr("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
}

TEST_F(Intermediary, SpeaksItsOwnVersionOfHttp) {
  StartWith(up_);
  answer_ = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
  EXPECT_THAT(Get("/a"), testing::StartsWith("HTTP/1.1 200 OK\r\n"));
  (void)Ask("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_THAT(last(), testing::StartsWith("GET /a HTTP/1.1\r\n"));
  EXPECT_THAT(last(), HasSubstr("Via: 1.0 starling\r\n"));
}

TEST_F(Intermediary, TakesAnAbsoluteTargetsHostForHost) {
  StartWith(up_);
  EXPECT_EQ(StatusOf(Ask("GET http://shop.example:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n")), 200);
  EXPECT_THAT(last(), testing::StartsWith("GET /a?b HTTP/1.1\r\nHost: shop.example:80\r\n"));
}

TEST_F(Intermediary, DropsTrailersOfARequest) {
  StartWith(up_);
  EXPECT_EQ(StatusOf(Ask("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                         "Trailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n")),
            200);
  EXPECT_THAT(last(), Not(HasSubstr("X-Sum")));
  EXPECT_THAT(last(), HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(BodyOf(last()), "hi");
}

TEST_F(Intermediary, GivesHttp10NoChunks) {
  StartWith(up_);
  answer_ = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
  http::RawSocket socket(port_);
  socket.Send("GET /a HTTP/1.0\r\n\r\n");
  const std::string answer = socket.ReadToEnd();
  EXPECT_THAT(answer, Not(HasSubstr("chunked")));
  EXPECT_EQ(BodyOf(answer), "hi");
}

TEST_F(Intermediary, PassesInterimAnswersOn) {
  StartWith(up_);
  const std::string hints =
      "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: "
      "1\r\n\r\n";
  answer_ = "HTTP/1.1 102 Processing\r\n\r\n" + hints + Ok("ok");
  http::RawSocket socket(port_);
  socket.Send("GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(
      socket.ReadToEnd(),
      AllOf(testing::StartsWith("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early "
                                "Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n"),
            testing::EndsWith("\r\n\r\nok")));
  http::RawSocket old(port_);
  old.Send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.ReadToEnd(), testing::StartsWith("HTTP/1.1 200 OK\r\n")) << "RFC 9110, 15.2";
}

TEST_F(Intermediary, TakesOnlySoManyInterimAnswers) {
  StartWith(up_);
  const std::string one = "HTTP/1.1 103 Early Hints\r\n\r\n";
  const auto ask = [&](int interim) {
    answer_.clear();
    for (int i = 0; i < interim; ++i) answer_ += one;
    answer_ += Ok("ok");
    http::RawSocket socket(port_);
    socket.Send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    std::string answer = socket.ReadToEnd();
    for (int i = 0; i < 32; ++i) {
      EXPECT_TRUE(answer.starts_with(one)) << i;
      answer.erase(0, one.size());
    }
    return StatusOf(answer);
  };
  EXPECT_EQ(ask(32), 200);
  EXPECT_EQ(ask(33), 503);
}

TEST_F(Intermediary, AnswersMethodsThatAreNotRouted) {
  RouteConfig route = Route("/a", "up");
  route.methods = {"GET", "PUT"};
  Start({{"up", To({up_.address()})}}, {route});
  for (const std::string_view method : {"PROPFIND", "TRACE", "DELETE", "get"}) {
    const std::string answer = Ask(fmt::format(
        "{} /a HTTP/1.1\r\nHost: x\r\nCookie: secret\r\nContent-Length: 0\r\n\r\n", method));
    EXPECT_EQ(StatusOf(answer), method == "DELETE" ? 405 : 501) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD, PUT, OPTIONS\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("secret")));  // RFC 9110, 9.3.8
  }
  EXPECT_EQ(StatusOf(Ask("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n")), 501);
  const std::string all = Ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(all), 204);
  EXPECT_THAT(all, HasSubstr("Allow: "));
  EXPECT_EQ(up_.requests().size(), 0u);
}

// A client that would change the protocol, where nobody means to, is answered as if it had not
// asked.
TEST_F(Intermediary, GoesOnWhereAnUpgradeIsNotTaken) {
  StartWith(up_);
  const std::string answer = Get("/a",
                                 "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                                 "HTTP2-Settings: AAMAAABkAAQAAP__\r\n");
  EXPECT_EQ(StatusOf(answer), 200);
  EXPECT_THAT(last(), Not(HasSubstr("h2c")));
  EXPECT_THAT(last(), Not(HasSubstr("HTTP2-Settings")));
}

}  // namespace
}  // namespace starling::gateway

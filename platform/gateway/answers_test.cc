// What is done to answers, through a gateway: compressed, whole and streamed, kept, CORS, fields.
#include "platform/gateway/gateway_test_fixture.h"
#include "platform/http/coding/decode_for_tests.h"
#include "platform/http/problem.h"
#include "platform/http/static_files.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::Coding;
using http::StatusOf;
using testing::HasSubstr;
using testing::Not;
using UpstreamAnswer = RawServer::Answer;

constexpr std::string_view kJson = "Content-Type: application/json\r\nETag: \"v1\"\r\n";

std::string Text(size_t bytes) {
  std::string text;
  for (int i = 0; text.size() < bytes; ++i) text += fmt::format("{{\"id\":{}}},", i * 7919 % 1000);
  return text;
}

class Answers : public GatewayTest {
 protected:
  Answers() { rules_.emplace(); }
  // All until the server closes, chunks put together.
  std::string GetAll(std::string_view path, std::string_view fields) {
    http::RawSocket socket(port_);
    socket.Send(
        fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", path, fields));
    std::string answer = socket.ReadToEnd();
    const size_t end = answer.find("\r\n\r\n");
    if (end == std::string::npos || answer.find("Transfer-Encoding: chunked") > end) return answer;
    std::string whole = answer.substr(0, end + 4);
    for (size_t at = end + 4;;) {
      const size_t size = std::stoul(answer.substr(at), nullptr, 16);
      at = answer.find("\r\n", at) + 2;
      if (size == 0) return whole;
      whole += answer.substr(at, size);
      at += size + 2;
    }
  }
};

TEST_F(Answers, AreCompressedAsTheClientAsks) {
  const std::string body = Text(20'000);
  RawServer upstream([&](const std::string&, int) -> UpstreamAnswer { return {Ok(body, kJson)}; });
  StartWith(upstream);
  for (const Coding coding : {Coding::kGzip, Coding::kBrotli, Coding::kZstd}) {
    const std::string answer =
        Get("/x", fmt::format("Accept-Encoding: {}\r\n", http::CodingName(coding)));
    EXPECT_THAT(answer, HasSubstr(fmt::format("Content-Encoding: {}\r\n", CodingName(coding))));
    EXPECT_THAT(answer, HasSubstr("Vary: Accept-Encoding\r\n"));
    EXPECT_THAT(answer, HasSubstr("ETag: W/\"v1\"\r\n"));
    EXPECT_LT(BodyOf(answer).size(), body.size() / 2);
    EXPECT_TRUE(DecodeForTests(coding, BodyOf(answer)) == body);
  }
  const std::string plain = Get("/x");
  EXPECT_THAT(plain, HasSubstr("Vary: Accept-Encoding\r\n"));
  EXPECT_THAT(plain, HasSubstr("ETag: \"v1\"\r\n"));
  EXPECT_TRUE(BodyOf(plain) == body);
  EXPECT_EQ(StatusOf(Get("/x", "Accept-Encoding: identity;q=0\r\n")), 406);
}

TEST_F(Answers, OfARouteThatSaysOffStayAsTheyAre) {
  const std::string body = Text(5'000);
  RawServer upstream([&](const std::string&, int) -> UpstreamAnswer { return {Ok(body, kJson)}; });
  RouteConfig off = Route("/off", "up");
  off.compress = RouteConfig::Compress::kOff;
  Start({{"up", To({upstream.address()})}}, {off, Route("/{rest=**}", "up")});
  const std::string answer = Get("/off", "Accept-Encoding: gzip, identity;q=0\r\n");
  EXPECT_TRUE(BodyOf(answer) == body);
  EXPECT_THAT(answer, Not(HasSubstr("Vary")));
  EXPECT_FALSE(BodyOf(Get("/on", "Accept-Encoding: gzip\r\n")) == body);
}

TEST_F(Answers, LargeOnesAreStreamedAndCompressed) {
  const std::string body = Text(1'000'000);
  RawServer upstream([&](const std::string&, int) -> UpstreamAnswer { return {Ok(body, kJson)}; });
  StartWith(upstream);
  const std::string answer = GetAll("/x", "Accept-Encoding: zstd\r\n");
  EXPECT_THAT(answer.substr(0, 500), Not(HasSubstr("Content-Length")));
  EXPECT_TRUE(DecodeForTests(Coding::kZstd, BodyOf(answer)) == body);
}

// The upstream breaks off: no client may take the part for the whole, packed or not.
TEST_F(Answers, ThatBreakAreCutAlsoWhenCompressed) {
  RawServer upstream([&](const std::string&, int) -> UpstreamAnswer {
    return {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 900000\r\n\r\n" +
                Text(200'000),
            true};
  });
  StartWith(upstream);
  http::RawSocket socket(port_);
  socket.Send("GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), HasSubstr("Content-Encoding: gzip"));
  EXPECT_THAT(socket.ReadToEnd(), Not(HasSubstr("\r\n0\r\n\r\n")));
  EXPECT_TRUE(socket.reset());
}

// Each piece can be read when it was said: the second is said only after the first was read.
TEST_F(Answers, OfAStreamCanBeReadPieceByPiece) {
  std::atomic<bool> first_read = false;
  add_ = [&](http::Router& router) {
    return router.Add(http::Verb::kGet, "/lines", [&](http::Exchange& exchange) -> Task<void> {
      exchange.response.headers.Set("content-type", "application/x-ndjson");
      http::ResponseStream& stream = exchange.StartStream();
      Status written = co_await stream.Write("{\"line\":1}\n");
      while (!first_read && written.ok()) co_await SleepFor(std::chrono::milliseconds(1));
      written = co_await stream.Write("{\"line\":2}\n");
    });
  };
  Start({}, {});
  http::RawSocket socket(port_);
  socket.Send("GET /lines HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), HasSubstr("Content-Encoding: gzip"));
  const auto chunk = [&] {
    const size_t size = std::stoul(socket.ReadUntil("\r\n"), nullptr, 16);
    return socket.ReadBytes(size + 2).substr(0, size);
  };
  std::string packed = chunk();
  EXPECT_EQ(DecodeForTests(Coding::kGzip, packed), "{\"line\":1}\n");
  first_read = true;
  packed += chunk();
  EXPECT_EQ(DecodeForTests(Coding::kGzip, packed), "{\"line\":1}\n{\"line\":2}\n");
}

TEST_F(Answers, EventsAreLeftAlone) {
  RawServer upstream([&](const std::string&, int) -> UpstreamAnswer {
    return {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", true};
  });
  StartWith(upstream);
  EXPECT_THAT(GetAll("/", "Accept-Encoding: gzip\r\n"), HasSubstr("data: 1\n\n"));
}

TEST_F(Answers, ToHeadHaveTheFieldsOfGet) {
  RawServer upstream([&](const std::string& request, int) -> UpstreamAnswer {
    std::string answer = Ok(Text(5000), kJson);
    if (request.starts_with("HEAD")) answer.resize(answer.find("\r\n\r\n") + 4);
    return {answer};
  });
  StartWith(upstream);
  http::RawSocket socket(port_);
  socket.Send("HEAD / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br\r\n\r\n");
  const std::string head = socket.ReadUntil("\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Encoding: br\r\n"));
  EXPECT_THAT(head, HasSubstr("ETag: W/\"v1\"\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("Content-Length")));
  // Nothing follows: the next answer is at its place.
  EXPECT_EQ(StatusOf(socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), 200);
}

TEST_F(Answers, ThatAreKeptAreKeptOnceForAll) {
  std::string body = Text(9'000);
  RawServer upstream([&](const std::string&, int) -> UpstreamAnswer {
    return {Ok(body,
               "Content-Type: application/json\r\nCache-Control: max-age=60\r\n"
               "Vary: Accept-Encoding\r\n")};
  });
  RouteConfig cached = Route("/{rest=**}", "up");
  cached.cache = true;
  Start({{"up", To({upstream.address()})}}, {cached});
  const auto count = [this] {
    const std::string text = telemetry_.metrics().Expose();
    const size_t line = text.find("starling_gateway_compressed_total{coding=\"gzip\"} ");
    return line == std::string::npos ? -1 : std::stoi(text.substr(text.find("} ", line) + 2));
  };
  for (const std::string_view accepts : {"gzip", "zstd", "", "gzip, deflate", "gzip"}) {
    const std::string answer = Get("/a", fmt::format("Accept-Encoding: {}\r\n", accepts));
    const Coding coding = accepts == "zstd" ? Coding::kZstd
                          : accepts.empty() ? Coding::kIdentity
                                            : Coding::kGzip;
    EXPECT_TRUE(DecodeForTests(coding, BodyOf(answer)) == body) << accepts;
  }
  EXPECT_EQ(count(), 3);
  ASSERT_EQ(upstream.requests().size(), 1u);
  EXPECT_THAT(upstream.requests()[0], Not(HasSubstr("ccept-")));
  // The identity form, gzip's and zstd's.
  EXPECT_EQ(cache_->Stats().objects, 3u);
  // What takes its place is not given in the form of what was there.
  const std::string before = std::exchange(body, Text(12'000));
  (void)cache_->PurgePrefix("/{rest=**}#");
  EXPECT_EQ(cache_->Stats().objects, 0u);
  EXPECT_TRUE(DecodeForTests(Coding::kGzip, BodyOf(Get("/a", "Accept-Encoding: gzip\r\n"))) ==
              body);
}

TEST_F(Answers, FilesAreCompressedOnce) {
  static const std::string content = Text(30'000);
  static const EmbeddedFile files[] = {{"app.js", content}};
  add_ = [](http::Router& router) {
    return router.Add(http::Verb::kGet, "/assets/{file=**}", http::ServeFiles(files, {}));
  };
  Start({}, {});
  const std::string first = Get("/assets/app.js", "Accept-Encoding: br\r\n");
  EXPECT_TRUE(DecodeForTests(Coding::kBrotli, BodyOf(first)) == content);
  EXPECT_TRUE(BodyOf(Get("/assets/app.js", "Accept-Encoding: br\r\n")) == BodyOf(first));
  const size_t tag = first.find("ETag: ") + 6;
  const std::string weak = first.substr(tag, first.find("\r\n", tag) - tag);
  EXPECT_THAT(weak, testing::StartsWith("W/\""));
  const std::string same =
      Get("/assets/app.js", fmt::format("Accept-Encoding: br\r\nIf-None-Match: {}\r\n", weak));
  EXPECT_EQ(StatusOf(same), 304);
  EXPECT_THAT(same, HasSubstr("ETag: " + weak + "\r\n"));
  EXPECT_THAT(same, HasSubstr("Vary: Accept-Encoding\r\n"));
}

TEST_F(Answers, APreflightNeedsNoCredentialsAndCostsNoLimit) {
  RawServer upstream([&](const std::string&, int) -> UpstreamAnswer { return {Ok("ok")}; });
  rules_->cors.origins = {"https://shop.example"};
  rules_->cors.credentials = true;
  RouteConfig route = Route("/user", "up");
  route.access = "user";
  RouteConfig open = Route("/open", "up");
  open.methods = {"GET"};
  open.cors.origins = {"*"};
  RouteConfig closed = Route("/closed", "up");
  closed.cors.origins = {"none"};
  Start({{"up", To({upstream.address()})}}, {route, open, closed});
  const auto preflight = [&](std::string_view path, std::string_view origin,
                             std::string_view method) {
    return Ask(
        fmt::format("OPTIONS {} HTTP/1.1\r\nHost: x\r\nOrigin: {}\r\n"
                    "Access-Control-Request-Method: {}\r\n\r\n",
                    path, origin, method));
  };
  const std::string good = preflight("/user", "https://shop.example", "PUT");
  EXPECT_EQ(StatusOf(good), 204);
  EXPECT_THAT(good, HasSubstr("Access-Control-Allow-Origin: https://shop.example\r\n"));
  EXPECT_EQ(StatusOf(preflight("/user", "https://evil.example", "PUT")), 403);
  EXPECT_THAT(preflight("/open", "https://evil.example", "GET"),
              HasSubstr("Access-Control-Allow-Origin: *\r\n"));
  EXPECT_EQ(StatusOf(preflight("/open", "https://evil.example", "DELETE")), 403);
  EXPECT_EQ(StatusOf(preflight("/nowhere", "https://shop.example", "GET")), 404);
  EXPECT_EQ(upstream.requests().size(), 0u);
  // What a route without rules of its own says goes to its server.
  EXPECT_EQ(StatusOf(preflight("/closed", "https://shop.example", "GET")), 200);
  // The refusal can be read by the page, so that it can say what is wrong.
  const std::string refused = Get("/user", "Origin: https://shop.example\r\n");
  EXPECT_EQ(StatusOf(refused), 401);
  EXPECT_THAT(refused, HasSubstr("Access-Control-Allow-Origin: https://shop.example\r\n"));
  EXPECT_THAT(Get("/user"), HasSubstr("Vary: Accept, Origin\r\n"));
}

TEST_F(Answers, TellBrowsersToBeCareful) {
  RawServer upstream([&](const std::string& request, int) -> UpstreamAnswer {
    if (request.find("/page") != std::string::npos)
      return {Ok("<p>", "Content-Type: text/html\r\nServer: Apache/2.4.1\r\n")};
    return {Ok("{}", "Content-Type: application/json\r\nX-Powered-By: PHP/8\r\n")};
  });
  RouteConfig own = Route("/own/{rest=**}", "up");
  own.answer_headers = {{"X-Powered-By", ""}, {"X-Frame-Options", "DENY"}};
  Start({{"up", To({upstream.address()})}}, {own, Route("/{rest=**}", "up")});
  const std::string page = Get("/page");
  EXPECT_THAT(page, HasSubstr("X-Frame-Options: SAMEORIGIN\r\n"));
  EXPECT_THAT(page, HasSubstr("Server: Apache\r\n"));
  EXPECT_THAT(page, Not(HasSubstr("Strict-Transport")));
  EXPECT_THAT(Get("/api"), HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(Get("/api"), HasSubstr("PHP"));
  EXPECT_THAT(Get("/own/api"), Not(HasSubstr("PHP")));
  EXPECT_THAT(Get("/own/page"), HasSubstr("X-Frame-Options: DENY\r\n"));
}

TEST_F(Answers, ThatAreProblemsArePagesForBrowsers) {
  Start({}, {});
  const std::string page = Get("/nowhere", "Accept: text/html,*/*;q=0.8\r\n");
  EXPECT_EQ(StatusOf(page), 404);
  EXPECT_THAT(page, HasSubstr("<h1>404 Not Found</h1>"));
  EXPECT_THAT(page, HasSubstr("Vary: Accept\r\n"));
  EXPECT_THAT(Get("/nowhere", "Accept: */*\r\n"), HasSubstr("application/problem+json"));
}

}  // namespace
}  // namespace starling::gateway

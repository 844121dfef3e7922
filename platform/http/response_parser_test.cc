#include "platform/http/response_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::http {
namespace {

using Step = ResponseParser::Step;
using testing::HasSubstr;

struct Parsed {
  Response response;
  std::vector<std::string> interim;  // "103 Link=</a>"
  std::string body;
  std::string error;
  bool complete = false;
  bool keep_alive = false;
  size_t used = 0;
};

// Feeds `piece` bytes at a time; the connection ends behind them.
Parsed Parse(std::string_view bytes, size_t piece, bool to_head = false,
             ResponseLimits limits = {}) {
  ResponseParser parser(limits);
  parser.Begin(to_head);
  Parsed parsed;
  size_t given = std::min(piece, bytes.size());
  for (;;) {
    const auto result =
        parser.Feed(bytes.substr(parsed.used, given - parsed.used), parsed.response);
    parsed.used += result.used;
    Step step = result.step;
    if (step == Step::kBody) parsed.body += result.body;
    if (step == Step::kInterim) {
      parsed.interim.push_back(std::to_string(parsed.response.status));
      for (const auto field : parsed.response.headers)
        parsed.interim.back().append(" ").append(field.name).append("=").append(field.value);
      parsed.response.Clear();
    }
    if (step == Step::kNeedMore) {
      if (given < bytes.size()) {
        given = std::min(given + piece, bytes.size());
        continue;
      }
      step = parser.End();
    }
    if (step == Step::kError) {
      parsed.error = parser.error();
      return parsed;
    }
    if (step == Step::kComplete) {
      parsed.complete = true;
      parsed.keep_alive = parser.keep_alive();
      return parsed;
    }
  }
}

TEST(ResponseParser, ReadsAResponseInAnyPieces) {
  const std::string text =
      "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Empty:\r\nX-Spaced: \t a b \r\n"
      "content-length: 5\r\nETag: \"x\"\r\n\r\nhelloHTTP";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    const Parsed parsed = Parse(text, piece);
    ASSERT_TRUE(parsed.complete) << piece << parsed.error;
    EXPECT_EQ(parsed.response.status, 200);
    EXPECT_EQ(parsed.response.headers.size(), 4u);
    EXPECT_EQ(parsed.response.headers.Find("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(parsed.response.headers.Find("x-empty"), "");
    EXPECT_EQ(parsed.response.headers.Find("x-spaced"), "a b");
    EXPECT_EQ(parsed.body, "hello");
    EXPECT_EQ(parsed.used, text.size() - 4);
    EXPECT_TRUE(parsed.keep_alive);
  }
}

TEST(ResponseParser, ReadsChunksInAnyPieces) {
  const std::string text =
      "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\nA;name=\"x\"\r\n, world!!!\r\n0\r\nX-Sum: 1\r\n\r\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    const Parsed parsed = Parse(text, piece);
    ASSERT_TRUE(parsed.complete) << piece << parsed.error;
    EXPECT_EQ(parsed.response.status, 404);
    EXPECT_EQ(parsed.body, "hello, world!!!");
    EXPECT_EQ(parsed.response.headers.size(), 0u);
    EXPECT_TRUE(parsed.keep_alive);
  }
}

TEST(ResponseParser, ReadsABodyThatTheEndOfTheConnectionEnds) {
  const Parsed parsed = Parse("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it", 4);
  ASSERT_TRUE(parsed.complete) << parsed.error;
  EXPECT_EQ(parsed.body, "all of it");
  EXPECT_FALSE(parsed.keep_alive);
}

TEST(ResponseParser, KnowsWhichAnswersHaveNoBody) {
  const std::string_view rest = "Content-Length: 7\r\n\r\nHTTP/1.1";
  for (const std::string_view status : {"204 No Content", "304 Not Modified"}) {
    const Parsed parsed = Parse(fmt::format("HTTP/1.1 {}\r\n{}", status, rest), 100);
    ASSERT_TRUE(parsed.complete) << parsed.error;
    EXPECT_EQ(parsed.body, "");
    EXPECT_TRUE(parsed.keep_alive);
  }
  const Parsed parsed = Parse(fmt::format("HTTP/1.1 200 OK\r\n{}", rest), 100, /*to_head=*/true);
  ASSERT_TRUE(parsed.complete) << parsed.error;
  EXPECT_EQ(parsed.body, "");

  ResponseParser parser({});
  parser.Begin(true);
  Response response;
  EXPECT_EQ(parser.Feed(fmt::format("HTTP/1.1 200 OK\r\n{}", rest), response).step, Step::kHead);
  EXPECT_EQ(parser.content_length(), 7u);
}

TEST(ResponseParser, GivesInterimResponsesApart) {
  const Parsed parsed = Parse(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Hop: 1\r\n"
      "Connection: X-Hop\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      3);
  ASSERT_TRUE(parsed.complete) << parsed.error;
  EXPECT_THAT(parsed.interim, testing::ElementsAre("100", "103 Link=</a>"));
  EXPECT_EQ(parsed.response.status, 200);
  EXPECT_FALSE(parsed.response.headers.Has("link"));
  EXPECT_EQ(parsed.body, "ok");
}

TEST(ResponseParser, KeepsForItselfWhatIsAboutTheConnection) {
  const Parsed parsed = Parse(
      "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
      "Proxy-Connection: x\r\nUpgrade: h2c\r\nTrailer: X-Sum\r\nX-Kept: 1\r\n"
      "Content-Length: 0\r\n\r\n",
      1000);
  ASSERT_TRUE(parsed.complete) << parsed.error;
  ASSERT_EQ(parsed.response.headers.size(), 1u);
  EXPECT_EQ(parsed.response.headers[0].name, "X-Kept");
}

TEST(ResponseParser, KeepsTrailersApartAndDropsThoseThatMayBeNone) {
  const Parsed parsed = Parse(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
      "X-Sum:  42 \r\nContent-Length: 9\r\nSet-Cookie: a=b\r\nauthorization: x\r\n\r\n",
      3);
  ASSERT_TRUE(parsed.complete) << parsed.error;
  EXPECT_EQ(parsed.body, "ok");
  EXPECT_FALSE(parsed.response.headers.Has("x-sum"));
  ASSERT_EQ(parsed.response.trailers.size(), 1u);
  EXPECT_EQ(parsed.response.trailers[0].name, "X-Sum");
  EXPECT_EQ(parsed.response.trailers[0].value, "42");
}

TEST(ResponseParser, KnowsWhetherTheConnectionGoesOn) {
  const auto goes_on = [](std::string_view version, std::string_view field) {
    const Parsed parsed =
        Parse(fmt::format("HTTP/{} 200 OK\r\n{}Content-Length: 0\r\n\r\n", version, field), 1000);
    EXPECT_TRUE(parsed.complete) << parsed.error;
    return parsed.keep_alive;
  };
  EXPECT_TRUE(goes_on("1.1", ""));
  EXPECT_FALSE(goes_on("1.1", "Connection: Close\r\n"));
  EXPECT_FALSE(goes_on("1.0", ""));
  EXPECT_TRUE(goes_on("1.0", "Connection: keep-alive\r\n"));
}

TEST(ResponseParser, RefusesWhatTwoReadersMayTakeDifferently) {
  const std::pair<std::string_view, std::string_view> kBad[] = {
      {"HTTP/1.1 200 OK\nA: b\r\n\r\n", "LF without CR"},
      {"HTTP/1.1 200 OK\r\nA: b\n\r\n", "LF without CR"},
      {"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", "folded"},
      {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "'A ' is malformed"},
      {"HTTP/1.1 200 OK\r\n: b\r\n\r\n", "is not 'name: value'"},
      {"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n", "control character"},
      {"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "control character"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", "'1x' is not a number"},
      {"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "is not a number"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "is not a number"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "1 and 2"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "is not understood"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       "is not understood"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "is not understood"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", "is not a hex"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n", "longer than"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n", "trailer"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "nobody asked"},
      {"HTTP/2 200 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 20 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "status line"},
      {"HTTP/1.1 600 OK\r\n\r\n", "status 600"},
      {"220 ftp.example ready\r\n", "status line"},
      {"", "within an answer"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "within an answer"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "within an answer"},
  };
  for (const auto& [text, error] : kBad) {
    for (const size_t piece : {size_t{1}, size_t{1000}}) {
      const Parsed parsed = Parse(text, piece);
      EXPECT_FALSE(parsed.complete) << text;
      EXPECT_THAT(parsed.error, HasSubstr(error)) << text;
      EXPECT_FALSE(parsed.keep_alive);
    }
  }
}

TEST(ResponseParser, BoundsTheHeader) {
  const ResponseLimits limits{.max_header_bytes = 100};
  const std::string long_field = "HTTP/1.1 200 OK\r\nA: " + std::string(100, 'a') + "\r\n\r\n";
  EXPECT_THAT(Parse(long_field, 7, false, limits).error, HasSubstr("limit of 100 bytes"));
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 101; ++i) many += "a: b\r\n";
  EXPECT_THAT(Parse(many + "\r\n", 1000).error, HasSubstr("more than 100 fields"));
  std::string chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 20; ++i) chunks += "1;extension\r\na\r\n";
  EXPECT_THAT(Parse(chunks, 1000, false, limits).error, HasSubstr("extensions"));
}

}  // namespace
}  // namespace starling::http

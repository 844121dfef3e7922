#include "platform/http/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::http {
namespace {

using Step = RequestParser::Step;

struct Parsed {
  Request request;
  int error = 0;  // HTTP status
  bool complete = false;
  bool keep_alive = false;
  size_t used = 0;
};

// Feeds `piece` bytes at a time, as a slow client would.
Parsed Parse(std::string_view bytes, size_t piece, RequestLimits limits = {}) {
  RequestParser parser(limits);
  Parsed parsed;
  size_t given = std::min(piece, bytes.size());
  for (;;) {
    const auto result = parser.Feed(bytes.substr(parsed.used, given - parsed.used), parsed.request);
    parsed.used += result.used;
    if (result.step == Step::kError) {
      parsed.error = parser.error().http_status;
      return parsed;
    }
    if (result.step == Step::kComplete) {
      parsed.complete = true;
      parsed.keep_alive = parser.keep_alive();
      return parsed;
    }
    if (result.step == Step::kNeedMore) {
      if (given == bytes.size()) return parsed;
      given = std::min(given + piece, bytes.size());
    }
  }
}

TEST(RequestParser, ReadsARequestInAnyPieces) {
  const std::string text =
      "POST /v1/products/a%2Fb?limit=3 HTTP/1.1\r\nHost: shop.example\r\nX-Empty:\r\nX-Spaced: \t "
      "a b \t\r\n"
      "content-length: 5\r\n\r\nhelloGET";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    const Parsed parsed = Parse(text, piece);
    ASSERT_TRUE(parsed.complete) << piece;
    EXPECT_EQ(parsed.request.verb, Verb::kPost);
    EXPECT_EQ(parsed.request.target, "/v1/products/a%2Fb?limit=3");
    EXPECT_EQ(parsed.request.path, "/v1/products/a%2Fb");
    EXPECT_EQ(parsed.request.query, "limit=3");
    EXPECT_EQ(parsed.request.headers.Find("host"), "shop.example");
    EXPECT_EQ(parsed.request.headers.Find("x-empty"), "");
    EXPECT_EQ(parsed.request.headers.Find("x-spaced"), "a b");
    EXPECT_EQ(parsed.request.body, "hello");
    EXPECT_EQ(parsed.used, text.size() - 3);
    EXPECT_TRUE(parsed.keep_alive);
  }
}

TEST(RequestParser, ReadsChunksInAnyPieces) {
  const std::string text =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "5\r\nhello\r\n00A;name=\"value\"\r\n0123456789\r\n0\r\nX-Trailer: 1\r\n\r\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    const Parsed parsed = Parse(text, piece);
    ASSERT_TRUE(parsed.complete) << piece;
    EXPECT_EQ(parsed.request.body, "hello0123456789");
    EXPECT_EQ(parsed.used, text.size());
    EXPECT_EQ(parsed.request.headers.Find("x-trailer"), std::nullopt);
  }
}

TEST(RequestParser, RefusesWhatIsMalformed) {
  const std::string host = "Host: x\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  const std::pair<std::string, int> cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},                        // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},  // two Hosts
      {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},                        // HTTP/0.9
      {"GET  / HTTP/1.1\r\n" + host + "\r\n", 400},  // two spaces
      {"GET /a b HTTP/1.1\r\n" + host + "\r\n", 400},
      {" GET / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n",
       400},  // one empty line is forgiven, two are not
      {"G(T / HTTP/1.1\r\n" + host + "\r\n", 400},
      {std::string(33, 'G') + " / HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET / http/1.1\r\n" + host + "\r\n", 400},
      {"GET / HTTP/1.1 \r\n" + host + "\r\n", 400},
      {"GET / HTTP/11\r\n" + host + "\r\n", 400},
      {"GET / HTTP/1.12\r\n" + host + "\r\n", 400},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\n", 505},
      {"CONNECT x:80 HTTP/1.1\r\n" + host + "\r\n", 501},
      {"GET * HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET a HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET ftp://x/ HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET http:///a HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET http://u@x/a HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /a#b HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /%zz HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /%00 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"GET /../etc/passwd HTTP/1.1\r\n" + host + "\r\n", 400},
      {std::string("GET /\0 HTTP/1.1\r\n", 17) + host + "\r\n", 400},
      {"GET / HTTP/1.1\n" + host + "\r\n", 400},  // bare LF
      {"GET / HTTP/1.1\r\nHost: x\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "A: b\rC: d\r\n\r\n", 400},  // bare CR
      {"GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", 400},  // folded
      {"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "A : b\r\n\r\n", 400},  // space before the colon
      {"GET / HTTP/1.1\r\n" + host + "A\t: b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + ": b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "A b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + std::string("A: \0\r\n\r\n", 8), 400},
      {"GET / HTTP/1.1\r\n" + host + "A: \x01\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n" + host + "\xc3\xa4: b\r\n\r\n", 400},
      {post + "Content-Length: x\r\n\r\n", 400},
      {post + "Content-Length:\r\n\r\n", 400},
      {post + "Content-Length: -1\r\n\r\n", 400},
      {post + "Content-Length: +1\r\n\r\n", 400},
      {post + "Content-Length: 1 1\r\n\r\n", 400},
      {post + "Content-Length: 0x1\r\n\r\n", 400},
      {post + "Content-Length: 1, 1\r\n\r\n", 400},
      {post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
      {post + "Transfer-Encoding: xchunke\r\n\r\n", 400},
      {post + "Transfer-Encoding:\r\n\r\n", 400},
      {post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {post + "Expect: miracles\r\n\r\n", 417},
      {chunked + "\r\n", 400},
      {chunked + "x\r\n", 400},
      {chunked + "0x5\r\nhello\r\n", 400},
      {chunked + "-5\r\nhello\r\n", 400},
      {chunked + " 5\r\nhello\r\n", 400},
      {chunked + "5 \r\nhello\r\n", 400},
      {chunked + "5\nhello\r\n", 400},
      {chunked + "5\r\nhello!\r\n", 400},
      {chunked + "5\r\nhello\n", 400},
      {chunked + "fffffffffffffffff\r\n", 400},
      {chunked + "0000000000000001\r\n", 400},
      {chunked + "1;" + std::string(300, 'a') + "\r\n", 400},
      {chunked + "0\r\nbad trailer\r\n\r\n", 400},
      {chunked + "100001\r\n", 413},
      {chunked + "fffffffffffffff\r\n", 413},
      {chunked + "1\r\na\r\n100000\r\n", 413},
      {post + "Content-Length: 1048577\r\n\r\n", 413},
      {"GET /" + std::string(16 * 1024, 'a') + " HTTP/1.1\r\n", 414},
      {"GET / HTTP/1.1\r\n" + host + "A: " + std::string(16 * 1024, 'a') + "\r\n", 431},
      {chunked + "0\r\nA: " + std::string(17 * 1024, 'a') + "\r\n", 431},
  };
  for (const auto& [text, status] : cases) {
    EXPECT_EQ(Parse(text, text.size()).error, status) << text.substr(0, 200);
    EXPECT_EQ(Parse(text, 1).error, status) << "in pieces: " << text.substr(0, 200);
  }
}

TEST(RequestParser, RefusesMoreThanAHundredFields) {
  std::string text = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 100; ++i) text += "a: b\r\n";
  EXPECT_EQ(Parse(text + "\r\n", text.size()).error, 431);
}

TEST(RequestParser, RefusesALineThatNeverEndsBeforeTheBufferGrows) {
  const std::string endless(3000, 'a');
  EXPECT_EQ(Parse("GET /" + endless, 100, {.max_header_bytes = 2048}).error, 414);
  EXPECT_EQ(Parse("GET / HTTP/1.1\r\nA: " + endless, 100, {.max_header_bytes = 2048}).error, 431);
}

TEST(RequestParser, BoundsTheOverheadOfChunkExtensions) {
  std::string text = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 100; ++i) text += "1;" + std::string(200, 'e') + "\r\na\r\n";
  EXPECT_EQ(Parse(text, text.size()).error, 400);
}

TEST(RequestParser, AcceptsWhatIsUnusualButLegal) {
  const std::pair<std::string, std::string> cases[] = {
      // text, path
      {"\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", "/a"},
      {"GET http://example.org/b HTTP/1.1\r\nHost: x\r\n\r\n", "/b"},
      {"GET http://example.org?q HTTP/1.1\r\nHost: x\r\n\r\n", "/"},
      {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "*"},
      {"GET /c HTTP/1.1\r\nHost:\r\n\r\n", "/c"},
      {"GET /d HTTP/1.0\r\n\r\n", "/d"},
      {"GET /e HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "/e"},
      {"POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", "/f"},
      {"PROPFIND /g HTTP/1.1\r\nHost: x\r\n\r\n", "/g"},
      {"GET /h?a=/../%zz HTTP/1.1\r\nHost: x\r\n\r\n", "/h"},
      {"GET /i HTTP/1.9\r\nHost: x\r\nA: caf\xc3\xa9\r\n\r\n", "/i"},
      {"POST /j HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1 ;x=y\r\na\r\n0\r\n\r\n",
       "/j"},
  };
  for (const auto& [text, path] : cases) {
    const Parsed parsed = Parse(text, text.size());
    EXPECT_TRUE(parsed.complete) << text << parsed.error;
    EXPECT_EQ(parsed.request.path, path) << text;
  }
  EXPECT_EQ(Parse(cases[1].first, 1000).request.headers.Joined("host"), "example.org");
}

TEST(RequestParser, KnowsWhetherTheConnectionStaysOpen) {
  const std::pair<std::string, bool> cases[] = {
      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: foo, Close ,bar\r\n\r\n", false},
      {"GET / HTTP/1.1\r\nHost: x\r\nConnection: closed\r\n\r\n", true},
      {"GET / HTTP/1.0\r\n\r\n", false},
      {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
      {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
  };
  for (const auto& [text, keep_alive] : cases)
    EXPECT_EQ(Parse(text, 1000).keep_alive, keep_alive) << text;
}

TEST(RequestParser, GivesPipelinedRequestsOneByOne) {
  const std::string text =
      "GET /1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n"
      "POST /2 HTTP/1.1\r\nHost: y\r\nContent-Length: 1\r\n\r\nb";
  RequestParser parser({});
  Request request;
  std::string_view rest = text;
  const auto next = [&] {
    const auto result = parser.Feed(rest, request);
    rest.remove_prefix(result.used);
    return result.step;
  };
  EXPECT_EQ(next(), Step::kHead);
  EXPECT_TRUE(parser.expects_continue());
  EXPECT_EQ(next(), Step::kComplete);
  EXPECT_FALSE(parser.keep_alive());
  request.Clear();
  parser.Reset();
  EXPECT_EQ(next(), Step::kHead);
  EXPECT_EQ(request.path, "/2");
  EXPECT_FALSE(parser.expects_continue());
  EXPECT_EQ(next(), Step::kComplete);
  EXPECT_EQ(request.body, "b");
  EXPECT_TRUE(parser.keep_alive());
  EXPECT_TRUE(rest.empty());
}

TEST(RequestParser, TakesABodyBoundOfItsOwnAtTheHead) {
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n";
  for (const auto& [limit, step] : {std::pair(9u, Step::kComplete), std::pair(8u, Step::kError)}) {
    RequestParser parser({.max_body_bytes = 4});
    Request request;
    const auto at_head = parser.Feed(head + "123456789", request);
    ASSERT_EQ(at_head.step, Step::kHead);
    parser.SetMaxBodyBytes(limit);
    EXPECT_EQ(parser.Feed("123456789", request).step, step) << limit;
  }
}

}  // namespace
}  // namespace starling::http

#include "platform/http/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/http/response_writer.h"
#include "platform/http/url.h"

namespace starling::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(EqualsIgnoreCase, IsOfAsciiLettersAtEveryPlaceOfEveryLength) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  for (size_t size = 0; size <= 25; ++size) {
    const std::string text = std::string("X-Forwarded-For-Some-Thing").substr(0, size);
    EXPECT_TRUE(EqualsIgnoreCase(text, text));
    EXPECT_FALSE(EqualsIgnoreCase(text, text + "x"));
    for (size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string other = text;
        other[at] = static_cast<char>(c);
        ASSERT_EQ(EqualsIgnoreCase(text, other), lower(text[at]) == lower(other[at]))
            << "byte " << c << " at " << at << " of " << size;
      }
    }
  }
}

TEST(Headers, FindsWithoutRegardToCaseAndKeepsOrder) {
  Headers headers;
  headers.Add("Accept", "a");
  headers.Add("X-One", "1");
  headers.Add("accept", "b");
  EXPECT_EQ(headers.Find("ACCEPT"), "a");
  EXPECT_EQ(headers.Joined("accept"), "a, b");
  EXPECT_EQ(headers.Find("x-two"), std::nullopt);
  headers.Set("Accept", "c");
  EXPECT_EQ(headers.Joined("accept"), "c");
  EXPECT_EQ(headers.size(), 2u);
  EXPECT_EQ(headers[0].name, "X-One");
}

TEST(Headers, AddsAViewOfItself) {
  Headers headers;
  headers.Add("a", std::string(100, 'x'));
  for (int i = 0; i < 20; ++i) headers.Add("copy", *headers.Find("a"));
  EXPECT_EQ(headers[20].value, std::string(100, 'x'));
}

TEST(Query, IsReadAsFormsAreWritten) {
  EXPECT_THAT(*ParseQuery("a=1&b=x+y%2Bz&&flag&a=%e2%82%ac&=v&c="),
              ElementsAre(Pair("a", "1"), Pair("b", "x y+z"), Pair("flag", ""), Pair("a", "\u20ac"),
                          Pair("", "v"), Pair("c", "")));
  EXPECT_TRUE(ParseQuery("")->empty());
}

TEST(Query, RefusesMalformedEscapesAndTooManyParameters) {
  for (const char* bad : {"a=%", "a=%4", "a=%zz", "%g0=1", "a=1&b=%2"}) {
    EXPECT_EQ(ParseQuery(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
  EXPECT_THAT(std::string(ParseQuery("a=%zz").status().message()), HasSubstr("'%zz'"));
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "a&";
  EXPECT_FALSE(ParseQuery(many).ok());
}

TEST(Path, HasOneNormalForm) {
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a%20b", "/a b"},
      {"/%61%62", "/ab"},
      {"/a%2fb", "/a%2Fb"},
      {"/a%252Fb", "/a%252Fb"},
      {"/100%25", "/100%25"},
      {"/a/./b", "/a/b"},
      {"/a/.", "/a/"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a/"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/..b/c.", "/a/..b/c."},
      {"/.well-known/x", "/.well-known/x"},
      {"//a", "//a"},
      {"/a//", "/a//"},
  };
  for (const auto& [raw, normal] : cases) {
    std::string path;
    ASSERT_TRUE(NormalisePath(raw, path).ok()) << raw;
    EXPECT_EQ(path, normal) << raw;
  }
}

TEST(Path, RefusesWhatHasNone) {
  for (const char* bad :
       {"/..", "/a/../..", "/%2e%2e/a", "/a%", "/a%2", "/a%zz", "/a%00b", "/a%0d%0a", "/%7f"}) {
    std::string path;
    EXPECT_EQ(NormalisePath(bad, path).code(), StatusCode::kInvalidArgument) << bad;
  }
}

TEST(Percent, RoundTripsEveryByte) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(PercentDecode(PercentEncode(all)), all);
  EXPECT_EQ(PercentEncode("a-b_c.d~/ "), "a-b_c.d~%2F%20");
  EXPECT_EQ(DecodeSegment("a%2Fb%25"), "a/b%");
}

TEST(Verb, IsCaseSensitive) {
  for (const Verb verb : {Verb::kGet, Verb::kHead, Verb::kPost, Verb::kPut, Verb::kPatch,
                          Verb::kDelete, Verb::kOptions}) {
    EXPECT_EQ(ParseVerb(VerbText(verb)), verb);
  }
  EXPECT_EQ(ParseVerb("get"), Verb::kOther);
}

TEST(ResponseHead, CannotBeSplitByAValueAndKeepsTheServersFields) {
  Response response;
  response.status = 201;
  response.body = "abc";
  response.headers.Add("X-Evil", "a\r\nSet-Cookie: b");
  response.headers.Add("content-length", "99");
  response.headers.Add("Connection", "upgrade");
  std::string head;
  AppendHead(response, BodyFraming::kLength, ConnectionField::kClose, "Date: now\r\n", head);
  EXPECT_EQ(head,
            "HTTP/1.1 201 Created\r\nDate: now\r\nX-Evil: a  Set-Cookie: b\r\nConnection: close\r\n"
            "Content-Length: 3\r\n\r\n");
}

TEST(ResponseHead, OfAnAnswerWithoutBodyHasNoLength) {
  for (const int status : {204, 304}) {
    Response response;
    response.status = status;
    std::string head;
    AppendHead(response, BodyFraming::kLength, ConnectionField::kNone, "", head);
    EXPECT_EQ(head.find("Content-Length"), std::string::npos) << status;
  }
}

TEST(DateLine, IsAnImfFixdate) {
  EXPECT_EQ(DateLine(*ParseRfc3339("1994-11-06T08:49:37.9Z")),
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
}

TEST(Url, IsTakenApart) {
  const HttpUrl url = *ParseHttpUrl("http://example.org:8080/a/b?c=d#e");
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 8080);
  EXPECT_EQ(url.authority, "example.org:8080");
  EXPECT_EQ(url.target, "/a/b?c=d");
  EXPECT_EQ(ParseHttpUrl("http://[::1]:90")->host, "::1");
  EXPECT_EQ(ParseHttpUrl("http://[::1]")->port, 80);
  EXPECT_EQ(ParseHttpUrl("HTTP://x?q")->target, "/?q");
  EXPECT_FALSE(url.tls);
  EXPECT_TRUE(ParseHttpUrl("HTTPS://example.org/a")->tls);
  EXPECT_EQ(ParseHttpUrl("https://example.org/a")->port, 443);
}

TEST(Url, SaysWhatIsWrong) {
  for (const char* bad :
       {"", "example.org", "ftp://x/", "http://", "http://u@x/", "http://x:0/", "http://x:99999/",
        "http://x:/", "http://[::1/", "http://[::1]x/", "http://x/a b", "http://x/\r\nHost: y"}) {
    EXPECT_EQ(ParseHttpUrl(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace starling::http

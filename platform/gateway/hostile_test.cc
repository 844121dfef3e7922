// Requests of an attacker, byte by byte: what the gateway answers, and what the server behind it
// sees. The table is docs/conformance/hostile.md's source.
#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using Answer = RawServer::Answer;

// What is sent on one connection, which statuses come back, and which requests arrive, as "METHOD
// target body" joined by '|'.
struct Hostile {
  const char* what;
  std::string bytes;
  std::string answers;
  std::string arrives = "";
};

std::string Repeat(std::string_view text, size_t times) {
  std::string all;
  all.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

std::string Head(std::string_view line, std::string_view fields = "") {
  return fmt::format("{} HTTP/1.1\r\nHost: x\r\n{}\r\n", line, fields);
}
std::string Post(std::string_view fields, std::string_view body = "") {
  return Head("POST /", fields) + std::string(body);
}
const std::string kNext = "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

std::vector<Hostile> TwoLengths() {
  return {
      {"Content-Length and Transfer-Encoding (CL.TE)",
       Post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nG"), "400"},
      {"the same the other way (TE.CL)",
       Post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "5c\r\nGPOST"), "400"},
      {"two Transfer-Encodings (TE.TE)",
       Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), "400"},
      {"two that agree",
       Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
      {"Transfer-Encoding: xchunked", Post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), "501"},
      {"Transfer-Encoding: identity", Post("Transfer-Encoding: identity\r\n", "x"), "400"},
      {"Transfer-Encoding: chunked, identity",
       Post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), "400"},
      {"Transfer-Encoding: gzip, chunked",
       Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501"},
      {"Transfer-Encoding: \"chunked\" in quotes",
       Post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), "400"},
      {"a vertical tab before chunked",
       Post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            "0\r\n\r\n"),
       "400"},
      {"a form feed behind chunked", Post("Transfer-Encoding: chunked\x0c\r\n", "0\r\n\r\n"),
       "400"},
      {"a no-break space before chunked",
       Post("Transfer-Encoding: \xa0"
            "chunked\r\n",
            "0\r\n\r\n"),
       "501"},
      {"an empty Transfer-Encoding", Post("Transfer-Encoding:\r\n", "x"), "400"},
      {"Transfer-Encoding : with a space", Post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
       "400"},
      {"Transfer-Encoding behind a tab", Post("Transfer-Encoding\t: chunked\r\n", "0\r\n\r\n"),
       "400"},
      {"Transfer-Encoding on a folded line",
       Post("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
      {"its value on a folded line", Post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
       "400"},
      {"Transfer-Encoding in HTTP/1.0",
       "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"two Content-Lengths", Post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"), "400"},
      {"a list of Content-Lengths", Post("Content-Length: 5, 5\r\n", "hello"), "400"},
      {"Content-Length: +5", Post("Content-Length: +5\r\n", "hello"), "400"},
      {"Content-Length: -5", Post("Content-Length: -5\r\n", "hello"), "400"},
      {"Content-Length: 0x5", Post("Content-Length: 0x5\r\n", "hello"), "400"},
      {"Content-Length: 5 with a comment", Post("Content-Length: 5 (five)\r\n", "hello"), "400"},
      {"Content-Length: 5.0", Post("Content-Length: 5.0\r\n", "hello"), "400"},
      {"Content-Length: 1e1", Post("Content-Length: 1e1\r\n", "hello"), "400"},
      {"Content-Length with an underscore", Post("Content-Length: 1_0\r\n", "hello"), "400"},
      {"an empty Content-Length", Post("Content-Length:\r\n", "hello"), "400"},
      {"Content-Length of 2^64 + 5", Post("Content-Length: 18446744073709551621\r\n", "hello"),
       "400"},
      {"Content-Length of 2^63", Post("Content-Length: 9223372036854775808\r\n", "hello"), "413"},
      {"Content-Length : with a space", Post("Content-Length : 5\r\n", "hello"), "400"},
      {"a NUL in Content-Length", Post(std::string("Content-Length: 5\0\r\n", 20), "hello"), "400"},
      {"Content_Length is another field: the rest is the next request, and is none",
       Post("Content_Length: 5\r\n", "hello\r\n\r\n"), "200 400", "POST / "},
      {"a GET with a body that looks like a request",
       Head("GET /", fmt::format("Content-Length: {}\r\n", kSmuggled.size())) + kSmuggled + kNext,
       "200 200", "GET / " + kSmuggled + "|GET /next "},
      {"a chunked body that looks like a request",
       Post("Transfer-Encoding: chunked\r\n",
            fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", kSmuggled.size(), kSmuggled)) +
           kNext,
       "200 200", "POST / " + kSmuggled + "|GET /next "},
      {"two requests at once are two", Head("GET /a") + kNext, "200 200", "GET /a |GET /next "},
      {"a request behind a refused one is not read",
       Post("Content-Length: 1\r\nContent-Length: 2\r\n", kSmuggled), "400"},
      {"leading zeros are digits", Post("Content-Length: 0005\r\nConnection: close\r\n", "hello"),
       "200", "POST / hello"},
  };
}

std::vector<Hostile> Chunks() {
  const auto chunked = [](std::string_view body) {
    return Post("Transfer-Encoding: chunked\r\nConnection: close\r\n", body);
  };
  return {
      {"a chunk size of 0x5", chunked("0x5\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a chunk size of +5", chunked("+5\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a chunk size of -1", chunked("-1\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a space before the size", chunked(" 5\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a space behind the size", chunked("5 \r\nhello\r\n0\r\n\r\n"), "400"},
      {"an empty size", chunked("\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a size that is no number", chunked("five\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a size of 2^64 + 5", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a size of 2^60 - 1", chunked("fffffffffffffff\r\nhello"), "413"},
      {"a size with an underscore", chunked("1_0\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a chunk longer than its size", chunked("4\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a chunk that ends in LF", chunked("5\r\nhello\n0\r\n\r\n"), "400"},
      {"a size line that ends in LF", chunked("5\nhello\r\n0\r\n\r\n"), "400"},
      {"a CR in the size line", chunked("5\r;x\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a CR in an extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), "400"},
      {"a NUL in an extension", chunked(std::string("5;a\0b\r\nhello\r\n0\r\n\r\n", 20)), "400"},
      {"an LF in an extension (CVE-2023-style)", chunked("5;a\nhello\r\n0\r\n\r\n"), "400"},
      {"an extension is dropped", chunked("5;a=\"b\"\r\nhello\r\n0\r\n\r\n"), "200",
       "POST / hello"},
      {"a long extension", chunked("5;" + Repeat("a", 300) + "\r\nhello\r\n0\r\n\r\n"), "400"},
      {"extensions without end", chunked(Repeat("1;" + Repeat("a", 200) + "\r\nx\r\n", 100)),
       "400"},
      {"a trailer that is none", chunked("0\r\nno colon\r\n\r\n"), "400"},
      {"a folded trailer", chunked("0\r\nA: b\r\n c\r\n\r\n"), "400"},
      {"a trailer with a control character", chunked("0\r\nA: \x01\r\n\r\n"), "400"},
      {"trailers are dropped: Content-Length", chunked("0\r\nContent-Length: 50\r\n\r\n"), "200",
       "POST / "},
      {"trailers are dropped: Authorization", chunked("0\r\nAuthorization: Bearer ada\r\n\r\n"),
       "200", "POST / "},
      {"trailers without end", chunked("0\r\n" + Repeat("A: b\r\n", 4000) + "\r\n"), "431"},
      {"sizes in capitals and with zeros", chunked("00A\r\nhellohello\r\n000\r\n\r\n"), "200",
       "POST / hellohello"},
      {"a last chunk with an extension", chunked("0;x=y\r\n\r\n"), "200", "POST / "},
      {"a body that ends within a chunk", chunked("a\r\nhello"), ""},
      {"a body above the limit in small chunks",
       chunked(Repeat("4000\r\n" + Repeat("x", 16384) + "\r\n", 70)), "413"},
  };
}

std::vector<Hostile> Lines() {
  return {
      {"lines that end in LF", "GET / HTTP/1.1\nHost: x\n\n", "400"},
      {"one of them", "GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", "400"},
      {"a CR within the request line", "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"a CR within a value", Head("GET /", "X: a\rb\r\n"), "400"},
      {"CR CR LF", "GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", "400"},
      {"a NUL in the request line", std::string("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n", 29), "400"},
      {"a NUL in a value", Head("GET /", std::string("X: a\0b\r\n", 8)), "400"},
      {"a DEL in a value", Head("GET /", "X: a\x7f\r\n"), "400"},
      {"an escape in a value", Head("GET /", "X: \x1b[31m\r\n"), "400"},
      {"a folded line", Head("GET /", "X: a\r\n b\r\n"), "400"},
      {"a first field that is folded", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", "400"},
      {"a field without a colon", Head("GET /", "nothing\r\n"), "400"},
      {"a field without a name", Head("GET /", ": y\r\n"), "400"},
      {"a space in a name", Head("GET /", "X Y: z\r\n"), "400"},
      {"a space before the colon", Head("GET /", "X : y\r\n"), "400"},
      {"a bracket in a name", Head("GET /", "X[0]: y\r\n"), "400"},
      {"bytes above 127 in a name", Head("GET /", "X\xc3\xa9: y\r\n"), "400"},
      {"two spaces in the request line", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"a tab in the request line", "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"a space in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"a space at the start of the line", " GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"HTTP/0.9", "GET /\r\n\r\n", "400"},
      {"HTTP/2.0 written out", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"},
      {"HTTP/1.10", "GET / HTTP/1.10\r\nHost: x\r\n\r\n", "400"},
      {"HTTP/01.1", "GET / HTTP/01.1\r\nHost: x\r\n\r\n", "400"},
      {"http/1.1 in small letters", "GET / http/1.1\r\nHost: x\r\n\r\n", "400"},
      {"HTTPS/1.1", "GET / HTTPS/1.1\r\nHost: x\r\n\r\n", "400"},
      {"no version", "GET / \r\nHost: x\r\n\r\n", "400"},
      {"an empty method", " / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"a method in small letters", Head("get /", "Connection: close\r\n"), "501"},
      {"a method that is unknown", Head("BREW /", "Connection: close\r\n"), "501"},
      {"a method with a bracket", Head("GE[T /"), "400"},
      {"a method without end", Repeat("A", 5000) + " / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n", "501"},
      {"TRACE", Head("TRACE /", "Connection: close\r\n"), "501"},
      {"a TLS handshake on a plain port", "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03\r\n\r\n",
       "400"},
      {"SSH on a plain port", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "400"},
      {"one empty line before a request is let go", "\r\n" + kNext, "200", "GET /next "},
      {"two are not", "\r\n\r\n" + kNext, "400"},
  };
}

std::vector<Hostile> Hosts() {
  return {
      {"no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
      {"two that agree", "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "400"},
      {"a Host with a user", "GET / HTTP/1.1\r\nHost: ada@x\r\n\r\n", "400"},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", "400"},
      {"a Host with a space", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", "400"},
      {"a list of Hosts", "GET / HTTP/1.1\r\nHost: x, y\r\n\r\n", "400"},
      {"a Host with a quotation mark", "GET / HTTP/1.1\r\nHost: \"x\"\r\n\r\n", "400"},
      {"a Host with markup", "GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", "400"},
      {"Host : with a space", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "400"},
      {"a target of another host: the target's host counts",
       "GET http://a.example/z HTTP/1.1\r\nHost: b.example\r\nConnection: close\r\n\r\n", "200",
       "GET /z "},
      {"a target with a user", "GET http://ada@x/ HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"a target without a host", "GET http:///z HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"a target of another scheme", "GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"gopher", "GET gopher://x/1 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
  };
}

std::vector<Hostile> Paths() {
  const auto path = [](const char* what, std::string_view target, std::string answers,
                       std::string arrives) {
    return Hostile{what, Head(fmt::format("GET {}", target), "Connection: close\r\n"),
                   std::move(answers), arrives.empty() ? "" : "GET " + arrives + " "};
  };
  return {
      path("above the root", "/../etc/passwd", "400", ""),
      path("above the root, encoded", "/%2e%2e/etc/passwd", "400", ""),
      path("above the root, half encoded", "/.%2e/etc/passwd", "400", ""),
      path("above the root from below", "/a/../../etc/passwd", "400", ""),
      path("dots that stay below are resolved", "/a/./b/../c", "200", "/a/c"),
      path("encoded dots are dots", "/a/%2e%2e/b", "200", "/b"),
      path("an encoded slash is no slash", "/a/..%2fb", "200", "/a/..%2Fb"),
      path("encoded twice stays encoded once", "/a/%252e%252e/b", "200", "/a/%252e%252e/b"),
      path("an encoded percent", "/a%25", "200", "/a%25"),
      path("an encoded question mark is no query", "/a%3fb=c", "200", "/a%3Fb=c"),
      path("an encoded hash", "/a%23b", "200", "/a%23b"),
      path("a hash", "/a#b", "400", ""),
      path("a backslash", "/a\\..\\b", "200", "/a%5C..%5Cb"),
      path("an encoded NUL", "/a%00b", "400", ""),
      path("an encoded line break", "/a%0d%0aX: y", "400", ""),
      path("an encoded line break alone", "/a%0d%0aSet-Cookie:%20b", "400", ""),
      path("an encoded DEL", "/a%7f", "400", ""),
      path("an escape that is none", "/a%zz", "400", ""),
      path("an escape that is cut", "/a%4", "400", ""),
      path("an overlong slash (UTF-8)", "/a%c0%af..", "200", "/a%C0%AF.."),
      path("IIS' %u escapes", "/a%u002e", "400", ""),
      path("a semicolon in a segment is a part of it", "/a;/../b", "200", "/b"),
      path("..; is a name", "/a/..;/b", "200", "/a/..;/b"),
      path("empty segments stay", "/a//b", "200", "/a//b"),
      path("a path of many dots", "/" + Repeat("a/../", 1000), "200", "/"),
      path("a path above the limit", "/" + Repeat("a", 20'000), "414", ""),
      path("a query above the limit", "/?" + Repeat("a", 20'000), "414", ""),
      path("a query goes on as it is", "/?a=%0d%0a&b=../..&c=<>", "200", "/?a=%0d%0a&b=../..&c=<>"),
      path("a target of *", "*", "400", ""),
      path("a path without its slash", "a", "400", ""),
      path("bytes above 127", "/caf\xc3\xa9", "400", ""),
  };
}

std::vector<Hostile> Sizes() {
  return {
      {"one long field", Head("GET /", "X: " + Repeat("a", 20'000) + "\r\n"), "431"},
      {"a long name", Head("GET /", Repeat("a", 20'000) + ": x\r\n"), "431"},
      {"many fields", Head("GET /", Repeat("a: b\r\n", 101)), "431"},
      {"many small fields above the bytes",
       Head("GET /", Repeat("aaaaaaaaaa: bbbbbbbbbb\r\n", 1000)), "431"},
      {"a head without end", "GET / HTTP/1.1\r\n" + Repeat("a: b\r\n", 10'000), "431"},
      {"a line without end", Repeat("a", 50'000), "414"},
      {"a body above the limit", Post("Content-Length: 2000000\r\n"), "413"},
      {"a body above the limit, asked for leave",
       Post("Content-Length: 2000000\r\nExpect: 100-continue\r\n"), "413"},
      {"another expectation", Post("Content-Length: 1\r\nExpect: 200-ok\r\n"), "417"},
  };
}

std::vector<Hostile> Splitting() {
  return {
      {"a line break in a value that comes back (X-Request-Id)",
       Head("GET /", "X-Request-Id: a\rSet-Cookie: b\r\n"), "400"},
      {"a traceparent that is none is replaced",
       Head("GET /", "traceparent: 00-zz\r\nConnection: close\r\n"), "200", "GET / "},
      {"an identity that the client claims does not arrive",
       Head("GET /echo-fields",
            "X-Starling-User: root\r\nx-starling-caller: service:x\r\n"
            "Connection: close\r\n"),
       "200", "GET /echo-fields "},
      {"Connection names a field that must arrive: it is dropped, as asked",
       Head("GET /", "Connection: close, X-Forwarded-For\r\nX-Forwarded-For: 9.9.9.9\r\n"), "200",
       "GET / "},
      {"an Upgrade to h2c does not arrive",
       Head("GET /",
            "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n"
            "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"),
       "200", "GET / "},
      {"a bad token is refused before anything is sent on",
       Head("GET /", "Authorization: Bearer bad\r\nConnection: close\r\n"), "401"},
      {"another scheme", Head("GET /", "Authorization: Basic YTpi\r\nConnection: close\r\n"),
       "401"},
  };
}

class HostileRequests : public GatewayTest {
 protected:
  // Methods and targets, with bodies, of all that arrived since the last call.
  std::string Arrived(RawServer& upstream) {
    std::string text;
    const std::vector<std::string> requests = upstream.requests();
    for (size_t i = seen_; i < requests.size(); ++i) {
      const std::string& request = requests[i];
      const size_t line = request.find(" HTTP/1.1\r\n");
      const size_t body = request.find("\r\n\r\n") + 4;
      if (!text.empty()) text += "|";
      text += request.substr(0, line) + " " + request.substr(body);
      for (const char* never : {"root", "service:x", "9.9.9.9", "Upgrade", "HTTP2-Settings", "zz"})
        EXPECT_EQ(request.find(never), std::string::npos) << request;
    }
    seen_ = requests.size();
    return text;
  }

  void Check(const std::vector<Hostile>& table) {
    RawServer upstream([](const std::string&, int) -> Answer { return {Ok("ok")}; });
    StartWith(upstream);
    seen_ = 0;
    for (const Hostile& row : table) {
      SCOPED_TRACE(row.what);
      http::RawSocket socket(port_);
      socket.Send(row.bytes);
      if (row.answers.empty()) ::shutdown(socket.descriptor(), SHUT_WR);
      const std::string said = socket.ReadToEnd();
      std::string answers;
      for (size_t at = said.find("HTTP/1.1 "); at != std::string::npos;
           at = said.find("HTTP/1.1 ", at + 1)) {
        if (!answers.empty()) answers += " ";
        answers += said.substr(at + 9, 3);
      }
      EXPECT_EQ(answers, row.answers) << said.substr(0, 400);
      EXPECT_EQ(Arrived(upstream), row.arrives);
    }
    // It still serves.
    EXPECT_EQ(http::StatusOf(Get("/after")), 200);
  }

  size_t seen_ = 0;
};

TEST_F(HostileRequests, WithTwoLengths) { Check(TwoLengths()); }
TEST_F(HostileRequests, WithBadChunks) { Check(Chunks()); }
TEST_F(HostileRequests, WithBadLines) { Check(Lines()); }
TEST_F(HostileRequests, WithBadHosts) { Check(Hosts()); }
TEST_F(HostileRequests, WithBadPaths) { Check(Paths()); }
TEST_F(HostileRequests, ThatAreTooLarge) { Check(Sizes()); }
TEST_F(HostileRequests, ThatSplitOrClaim) { Check(Splitting()); }

TEST(HostileTable, HasAtLeast150Rows) {
  const size_t rows = TwoLengths().size() + Chunks().size() + Lines().size() + Hosts().size() +
                      Paths().size() + Sizes().size() + Splitting().size();
  EXPECT_GE(rows, 150u);
}

}  // namespace
}  // namespace starling::gateway

// What RFC 9113 and RFC 7541 call an error of a connection or of a stream, clause by clause; the
// table of docs/conformance/http2.md names these tests and rows.
#include <gmock/gmock.h>

#include <functional>

#include "platform/http/h2_raw_client.h"
#include "platform/http/h2_test_server.h"

namespace starling::http {
namespace {

using Answer = H2RawClient::Answer;
using H2Errors = H2TestServer;

struct ConnectionCase {
  const char* what;
  uint32_t code;
  std::function<void(H2RawClient&)> sends;
};

void Frame(H2RawClient& client, uint8_t type, int flags, uint32_t stream, std::string_view text) {
  client.SendFrame(type, flags, stream, text);
}

TEST_F(H2Errors, OfTheConnectionEndItWithGoAway) {
  const uint16_t port = Start();
  const std::string large(16'385, 'x');
  const ConnectionCase cases[] = {
      {"4.2 a frame above SETTINGS_MAX_FRAME_SIZE", NGHTTP2_FRAME_SIZE_ERROR,
       [&](H2RawClient& c) {
         c.AskWithBody(1, PostFields("/echo"));
         Frame(c, kData, 0, 1, large);
       }},
      {"4.2 HEADERS above SETTINGS_MAX_FRAME_SIZE", NGHTTP2_FRAME_SIZE_ERROR,
       [&](H2RawClient& c) { Frame(c, kHeaders, kEndHeaders | kEndStream, 1, large); }},
      {"4.3 a field block that is none", NGHTTP2_COMPRESSION_ERROR,
       [](H2RawClient& c) {
         Frame(c, kHeaders, kEndHeaders | kEndStream, 1, "\xff\xff\xff\xff\xff");
       }},
      {"7541 2.3.3 an index that no table has", NGHTTP2_COMPRESSION_ERROR,
       [](H2RawClient& c) { Frame(c, kHeaders, kEndHeaders | kEndStream, 1, "\xfe"); }},
      {"7541 4.2 a table size above what was allowed", NGHTTP2_COMPRESSION_ERROR,
       [](H2RawClient& c) {
         Frame(c, kHeaders, kEndHeaders | kEndStream, 1,
               std::string("\x3f\xe2\x1f", 3) + c.Encode(GetFields("/hello")));
       }},
      {"7541 5.2 Huffman code with wrong padding", NGHTTP2_COMPRESSION_ERROR,
       [](H2RawClient& c) {
         Frame(c, kHeaders, kEndHeaders | kEndStream, 1, std::string("\x04\x81\x00", 3));
       }},
      {"5.1 DATA of an idle stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kData, kEndStream, 1, "x"); }},
      {"5.1 RST_STREAM of an idle stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kRstStream, 0, 1, Big(8, 4)); }},
      {"5.1 WINDOW_UPDATE of an idle stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kWindowUpdate, 0, 1, Big(8, 4)); }},
      {"5.1 CONTINUATION of an idle stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kContinuation, kEndHeaders, 1, "x"); }},
      {"5.1.1 an even stream", NGHTTP2_PROTOCOL_ERROR, [](H2RawClient& c) { c.Get(2, "/hello"); }},
      {"5.1.1 a stream number below the last", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) {
         c.Get(5, "/hello");
         c.ReadAnswer(5);
         c.Get(3, "/hello");
       }},
      {"5.1 HEADERS of a closed stream", NGHTTP2_STREAM_CLOSED,
       [](H2RawClient& c) {
         c.Get(1, "/hello");
         c.ReadAnswer(1);
         c.Get(1, "/hello");
       }},
      {"6.1 DATA of stream 0", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kData, kEndStream, 0, "x"); }},
      {"6.1 DATA that is padded beyond its end", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) {
         c.AskWithBody(1, PostFields("/echo"));
         Frame(c, kData, kPadded, 1, "\x09xx");
       }},
      {"6.2 HEADERS of stream 0", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { c.Get(0, "/hello"); }},
      {"6.2 HEADERS that are padded beyond their end", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kHeaders, kPadded | kEndHeaders, 1, "\x09xx"); }},
      {"6.3 PRIORITY of stream 0", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kPriority, 0, 0, std::string(5, '\0')); }},
      {"6.4 RST_STREAM of stream 0", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kRstStream, 0, 0, Big(8, 4)); }},
      {"6.4 RST_STREAM of another size", NGHTTP2_FRAME_SIZE_ERROR,
       [](H2RawClient& c) {
         c.AskWithBody(1, PostFields("/echo"));
         Frame(c, kRstStream, 0, 1, Big(8, 3));
       }},
      {"6.5 an acknowledgement with settings", NGHTTP2_FRAME_SIZE_ERROR,
       [](H2RawClient& c) { Frame(c, kSettings, kAck, 0, Setting(1, 1)); }},
      {"6.5 SETTINGS of a stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kSettings, 0, 1, {}); }},
      {"6.5 SETTINGS of another size", NGHTTP2_FRAME_SIZE_ERROR,
       [](H2RawClient& c) { Frame(c, kSettings, 0, 0, "12345"); }},
      {"6.5.2 ENABLE_PUSH that is neither 0 nor 1", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kSettings, 0, 0, Setting(2, 2)); }},
      {"6.5.2 a window above 2^31-1", NGHTTP2_FLOW_CONTROL_ERROR,
       [](H2RawClient& c) { Frame(c, kSettings, 0, 0, Setting(4, 0x80000000)); }},
      {"6.5.2 a frame size below 16,384", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kSettings, 0, 0, Setting(5, 16'383)); }},
      {"6.5.2 a frame size above 2^24-1", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kSettings, 0, 0, Setting(5, 1 << 24)); }},
      {"6.6 PUSH_PROMISE of a client", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) {
         c.AskWithBody(1, PostFields("/echo"));
         Frame(c, kPushPromise, kEndHeaders, 1, Big(2, 4) + c.Encode(GetFields("/hello")));
       }},
      {"6.7 PING of a stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kPing, 0, 1, "12345678"); }},
      {"6.7 PING of another size", NGHTTP2_FRAME_SIZE_ERROR,
       [](H2RawClient& c) { Frame(c, kPing, 0, 0, "1234567"); }},
      {"6.8 GOAWAY of a stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kGoAway, 0, 1, Big(0, 4) + Big(0, 4)); }},
      {"6.9 WINDOW_UPDATE by nothing", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) { Frame(c, kWindowUpdate, 0, 0, Big(0, 4)); }},
      {"6.9 WINDOW_UPDATE of a stream by nothing", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) {
         c.AskWithBody(1, PostFields("/echo"));
         Frame(c, kWindowUpdate, 0, 1, Big(0, 4));
       }},
      {"6.9 WINDOW_UPDATE of another size", NGHTTP2_FRAME_SIZE_ERROR,
       [](H2RawClient& c) { Frame(c, kWindowUpdate, 0, 0, Big(1, 3)); }},
      {"6.9.1 a window of the connection above 2^31-1", NGHTTP2_FLOW_CONTROL_ERROR,
       [](H2RawClient& c) { Frame(c, kWindowUpdate, 0, 0, Big(0x7fffffff, 4)); }},
      {"6.10 a frame within a field block", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) {
         const std::string block = c.Encode(GetFields("/hello"));
         Frame(c, kHeaders, kEndStream, 1, block.substr(0, 4));
         Frame(c, kPing, 0, 0, "12345678");
       }},
      {"6.10 CONTINUATION of another stream", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) {
         const std::string block = c.Encode(GetFields("/hello"));
         Frame(c, kHeaders, kEndStream, 1, block.substr(0, 4));
         Frame(c, kContinuation, kEndHeaders, 3, block.substr(4));
       }},
      {"6.10 CONTINUATION after END_HEADERS", NGHTTP2_PROTOCOL_ERROR,
       [](H2RawClient& c) {
         c.AskWithBody(1, PostFields("/echo"));
         Frame(c, kContinuation, kEndHeaders, 1, "x");
       }},
  };
  for (const ConnectionCase& c : cases) {
    SCOPED_TRACE(c.what);
    const uint64_t before = server_->Stats().http2_protocol_errors;
    H2RawClient client(port);
    client.Greet();
    c.sends(client);
    EXPECT_EQ(client.ReadToGoAway(), c.code);
    EXPECT_FALSE(client.socket().reset());
    client.socket().Close();
    EXPECT_TRUE(Becomes([&](const ServerStats& stats) {
      return stats.http2_protocol_errors == before + 1 && stats.active_connections == 0;
    }));
  }
  EXPECT_EQ(server_->Stats().http2_floods, 0u);
}

TEST_F(H2Errors, OfThePrefaceEndTheConnection) {
  const uint16_t port = Start();
  H2RawClient no_settings(port);
  no_settings.Send(kPreface);
  no_settings.SendFrame(kPing, 0, 0, "12345678");  // 3.4: SETTINGS must come first
  EXPECT_EQ(no_settings.ReadToGoAway(), NGHTTP2_PROTOCOL_ERROR);
}

TEST_F(H2Errors, OfAStreamEndItAlone) {
  struct Case {
    const char* what;
    Fields fields;
  };
  const auto with = [](std::string name, std::string value) {
    Fields fields = GetFields("/hello");
    fields.emplace_back(std::move(name), std::move(value));
    return fields;
  };
  const auto without = [](size_t index) {
    Fields fields = GetFields("/hello");
    fields.erase(fields.begin() + static_cast<ptrdiff_t>(index));
    return fields;
  };
  const auto first = [](std::string name, std::string value) {
    Fields fields = GetFields("/hello");
    fields.insert(fields.begin(), {std::move(name), std::move(value)});
    return fields;
  };
  Fields late = GetFields("/hello");
  late.insert(late.begin(), {"accept", "*/*"});
  const Case cases[] = {
      {"8.2 an upper-case name", with("Accept", "*/*")},
      {"8.2.1 a name with a space", with("a b", "c")},
      {"8.2.1 a name with a colon", with("a:b", "c")},
      {"8.2.1 a value with a line feed", with("a", "b\nc: d")},
      {"8.2.1 a value with a carriage return", with("a", "b\rc")},
      {"8.2.1 a value with a NUL", with("a", std::string("b\0c", 3))},
      {"8.2.1 a value with a space before it", with("a", " b")},
      {"8.2.1 a value with a tab behind it", with("a", "b\t")},
      {"8.2.2 Connection", with("connection", "keep-alive")},
      {"8.2.2 Keep-Alive", with("keep-alive", "5")},
      {"8.2.2 Proxy-Connection", with("proxy-connection", "keep-alive")},
      {"8.2.2 Transfer-Encoding", with("transfer-encoding", "chunked")},
      {"8.2.2 Upgrade", with("upgrade", "h2c")},
      {"8.2.2 TE other than trailers", with("te", "trailers, deflate")},
      {"8.3 an unknown pseudo field", first(":color", "red")},
      {"8.3 a pseudo field of answers", first(":status", "200")},
      {"8.3 a pseudo field behind others", late},
      {"8.3.1 two :method", first(":method", "GET")},
      {"8.3.1 two :scheme", first(":scheme", "http")},
      {"8.3.1 two :path", first(":path", "/hello")},
      {"8.3.1 two :authority", first(":authority", "x")},
      {"8.3.1 no :method", without(0)},
      {"8.3.1 no :scheme", without(1)},
      {"8.3.1 neither :authority nor Host", without(2)},
      {"8.3.1 no :path", without(3)},
      {"8.3.1 an empty :path", GetFields("")},
      {"8.3.1 a :path that is no path", GetFields("hello")},
      {"8.3.1 * of another method than OPTIONS", GetFields("*")},
      {"8.1.1 a Content-Length without a body", with("content-length", "3")},
      {"8.1.1 a Content-Length that is no number", with("content-length", "3x")},
      {"8.1.1 two Content-Lengths",
       [&] {
         Fields fields = with("content-length", "0");
         fields.emplace_back("content-length", "0");
         return fields;
       }()},
      {"8.5 CONNECT with a path",
       [&] {
         Fields fields = GetFields("/hello");
         fields[0].second = "CONNECT";
         return fields;
       }()},
  };
  const uint16_t port = Start();
  H2RawClient client(port);
  client.Greet();
  uint32_t stream = 1;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    client.Ask(stream, c.fields);
    const Answer answer = client.ReadAnswer(stream);
    EXPECT_EQ(answer.reset, NGHTTP2_PROTOCOL_ERROR);
    EXPECT_EQ(answer.status, 0);
    stream += 2;
  }
  client.Get(stream, "/hello");
  EXPECT_EQ(client.ReadAnswer(stream).body, "hello");
  EXPECT_EQ(server_->Stats().malformed_requests, std::size(cases));
  EXPECT_EQ(server_->Stats().requests, 1u);
}

TEST_F(H2Errors, AreAnsweredWhereHttpHasAnAnswer) {
  struct Case {
    const char* what;
    Fields fields;
    int status;
  };
  const auto with = [](const char* path, std::string name, std::string value) {
    Fields fields = PostFields(path);
    fields.emplace_back(std::move(name), std::move(value));
    return fields;
  };
  Fields user = GetFields("/hello");
  user[2].second = "me@x";
  Fields many = GetFields("/hello");
  for (int i = 0; i < 100; ++i) many.emplace_back("a" + std::to_string(i), "b");
  const Case cases[] = {
      {"8.3.1 a Host that is not :authority", with("/echo", "host", "y"), 400},
      {"8.3.1 a user in :authority", user, 400},
      {"a path above the root", GetFields("/../hello"), 400},
      {"a malformed escape", GetFields("/hello%zz"), 400},
      {"a fragment", GetFields("/hello#a"), 400},
      {"a large field", with("/echo", "a", std::string(17'000, 'b')), 431},
      {"many fields", many, 431},
      {"8.5 CONNECT", {{":method", "CONNECT"}, {":authority", "x:1"}}, 501},
      {"a body that is too long by its Content-Length", with("/small", "content-length", "6"), 413},
      {"an unknown expectation", with("/echo", "expect", "miracles"), 417},
  };
  H2RawClient client(Start());
  client.Greet();
  uint32_t stream = 1;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    // No body is sent with it: the answer does not wait for one.
    const std::string block = client.Encode(c.fields);
    const std::string_view rest(block);
    const bool ends = c.fields[0].second == "GET";
    client.SendFrame(kHeaders, (block.size() <= 16'384 ? kEndHeaders : 0) | (ends ? kEndStream : 0),
                     stream, rest.substr(0, 16'384));
    if (block.size() > 16'384)
      client.SendFrame(kContinuation, kEndHeaders, stream, rest.substr(16'384));
    const Answer answer = client.ReadAnswer(stream);
    EXPECT_EQ(answer.status, c.status);
    EXPECT_EQ(answer.fields.at("content-type"), "application/problem+json");
    EXPECT_TRUE(client.Pings());
    EXPECT_EQ(client.AnswerSoFar(stream).reset.has_value(), !ends);  // 8.1: NO_ERROR, not whole
    stream += 2;
  }
  EXPECT_EQ(server_->Stats().malformed_requests, std::size(cases));
  EXPECT_EQ(server_->Stats().requests, 0u);
}

TEST_F(H2Errors, InWhatFollowsAHeadEndTheStream) {
  H2RawClient client(Start());
  client.Greet();
  const auto reset_of = [&](uint32_t stream) {
    const Answer answer = client.ReadAnswer(stream);
    EXPECT_EQ(answer.status, 0);
    return answer.reset;
  };
  Fields three = PostFields("/echo");
  three.emplace_back("content-length", "3");
  client.AskWithBody(1, three);  // 8.1.1: too short
  client.SendFrame(kData, kEndStream, 1, "12");
  EXPECT_EQ(reset_of(1), NGHTTP2_PROTOCOL_ERROR);
  client.AskWithBody(3, three);  // 8.1.1: too long
  client.SendFrame(kData, 0, 3, "1234");
  EXPECT_EQ(reset_of(3), NGHTTP2_PROTOCOL_ERROR);
  client.AskWithBody(5, PostFields("/echo"));  // 8.1: trailers end the stream
  client.SendFrame(kHeaders, kEndHeaders, 5, client.Encode({{"a", "b"}}));
  EXPECT_EQ(reset_of(5), NGHTTP2_PROTOCOL_ERROR);
  client.AskWithBody(7, PostFields("/echo"));  // 8.1: no pseudo fields in trailers
  client.SendFrame(kHeaders, kEndHeaders | kEndStream, 7, client.Encode({{":path", "/x"}}));
  EXPECT_EQ(reset_of(7), NGHTTP2_PROTOCOL_ERROR);
  client.AskWithBody(9, PostFields("/echo"));  // 6.9.1: above 2^31-1
  client.SendFrame(kWindowUpdate, 0, 9, Big(0x7fffffff, 4));
  EXPECT_EQ(reset_of(9), NGHTTP2_FLOW_CONTROL_ERROR);
  client.AskWithBody(11, PostFields("/echo"));  // 6.9.2: the same by SETTINGS
  client.SendFrame(kWindowUpdate, 0, 11, Big(0x7fffffff - 65'535, 4));
  client.SendFrame(kSettings, 0, 0, Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 65'536));
  EXPECT_EQ(reset_of(11), NGHTTP2_FLOW_CONTROL_ERROR);
  client.Get(13, "/hello");
  EXPECT_EQ(client.ReadAnswer(13).body, "hello");
}

TEST_F(H2Errors, FramesOfAStreamThatTheClientEndedAreErrors) {
  const uint16_t port = Start();
  for (const uint8_t type : {kData, kHeaders}) {
    H2RawClient client(port);
    client.Greet();
    client.Get(1, "/waits");
    Await(running_);
    client.SendFrame(type, kEndHeaders | kEndStream, 1,
                     type == kHeaders ? client.Encode(GetFields("/hello")) : "x");
    const auto code = client.ReadToGoAway();  // 5.1, half-closed (remote)
    EXPECT_EQ(code, NGHTTP2_STREAM_CLOSED);
    ASSERT_TRUE(answers_.TryPush(7));
    Await(ended_);
  }
}

TEST_F(H2Errors, DataOfAStreamThatIsOverIsAnErrorHoweverItComes) {
  const uint16_t port = Start();
  const std::string data = FrameText(kData, kEndStream, 1, "x");
  for (const size_t piece : {size_t{1}, size_t{8}, size_t{9}, data.size()}) {
    H2RawClient client(port);
    client.Greet();
    client.Get(1, "/hello");
    EXPECT_EQ(client.ReadAnswer(1).body, "hello");
    for (size_t at = 0; at < data.size(); at += piece) client.Send(data.substr(at, piece));
    EXPECT_EQ(client.ReadToGoAway(), NGHTTP2_STREAM_CLOSED) << piece;  // 5.1, closed
  }
  // One that the client has reset, with the reset in the same bytes.
  H2RawClient client(port);
  client.Greet();
  client.AskWithBody(1, PostFields("/waits"));
  client.Send(FrameText(kRstStream, 0, 1, std::string("\0\0\0\x8", 4)) + data);
  EXPECT_EQ(client.ReadToGoAway(), NGHTTP2_STREAM_CLOSED);
}

TEST_F(H2Errors, AStreamThatDependsOnItselfIsAnError) {
  H2RawClient client(Start());
  client.Greet();
  client.SendFrame(kPriority, 0, 3, std::string("\0\0\0\3\x10", 5));  // RFC 7540, 5.3.1
  EXPECT_EQ(client.ReadToGoAway(), NGHTTP2_PROTOCOL_ERROR);
}

TEST_F(H2Errors, WhatIsUnknownIsIgnored) {
  H2RawClient client(Start());
  client.Greet(Setting(0x7777, 5));              // 6.5.2
  client.SendFrame(0x77, 0xff, 0, "something");  // 4.1, 5.5
  client.SendFrame(0x77, 0xff, 1, "something");
  client.SendFrame(kPriority, 0, 3, std::string("\0\0\0\1\x10", 5));  // 5.3: deprecated
  client.SendFrame(kPing, 0, 0x80000000, "12345678");                 // 4.1: the reserved bit
  // 4.1: flags that mean nothing for this frame.
  client.SendFrame(kHeaders, 0xd2 | kEndHeaders | kEndStream, 1,
                   client.Encode(GetFields("/hello")));
  EXPECT_EQ(client.ReadAnswer(1).body, "hello");
  EXPECT_TRUE(client.goaways().empty());
}

}  // namespace
}  // namespace starling::http

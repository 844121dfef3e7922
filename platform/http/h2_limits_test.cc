// What an HTTP/2 connection does at its bounds, and against who would wear the server out.
#include <gmock/gmock.h>

#include "platform/http/h2_raw_client.h"
#include "platform/http/h2_test_server.h"

namespace starling::http {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Answer = H2RawClient::Answer;

class H2Limits : public H2TestServer {
 protected:
  // Sends until the server has had enough, and gives how it said so.
  static std::optional<uint32_t> Flood(H2RawClient& client, std::string_view frames) {
    for (int i = 0; i < 200'000 && client.Send(frames); ++i) {
    }
    return client.ReadToGoAway();
  }
  bool IsCountedAsFlood() {
    return Becomes([](const ServerStats& stats) {
      return stats.http2_floods == 1 && stats.active_connections == 0;
    });
  }
};

TEST_F(H2Limits, StreamsAboveTheBoundAreRefused) {
  H2RawClient client(Start({.max_streams = 2}));
  client.Greet();
  client.Get(1, "/waits");
  client.Get(3, "/waits");
  // Before the client has acknowledged the bound, 5.1.2.
  client.Get(5, "/hello");
  EXPECT_EQ(client.ReadAnswer(5).reset, NGHTTP2_REFUSED_STREAM);
  ASSERT_TRUE(answers_.TryPush(7));
  EXPECT_EQ(client.ReadAnswer(1).body, "7");
  client.Get(7, "/hello");
  EXPECT_EQ(client.ReadAnswer(7).body, "hello");
}

TEST_F(H2Limits, AHandlerCountsUntilItEndsAlsoWhenItsStreamIsReset) {
  H2RawClient client(Start({.max_streams = 2}));
  client.Greet();
  for (const uint32_t stream : {1u, 3u}) {
    client.Get(stream, "/waits");
    client.SendFrame(kRstStream, 0, stream, Big(NGHTTP2_CANCEL, 4));
  }
  client.Get(5, "/hello");
  EXPECT_EQ(client.ReadAnswer(5).reset, NGHTTP2_REFUSED_STREAM);
  EXPECT_EQ(server_->Stats().in_flight, 2u);
  ASSERT_TRUE(answers_.TryPush(7) && answers_.TryPush(7));
  EXPECT_TRUE(Becomes([](const ServerStats& stats) { return stats.in_flight == 0; }));
  client.Get(7, "/hello");
  EXPECT_EQ(client.ReadAnswer(7).body, "hello");
}

TEST_F(H2Limits, RapidResetEndsTheConnection) {
  H2RawClient client(Start());
  client.Greet();
  uint32_t stream = 1;
  for (int i = 0; i < 2000; ++i, stream += 2) {
    client.Get(stream, "/watches");
    if (!client.SendFrame(kRstStream, 0, stream, Big(NGHTTP2_CANCEL, 4))) break;
  }
  EXPECT_EQ(client.ReadToGoAway(), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(IsCountedAsFlood());
  EXPECT_LT(server_->Stats().requests, 300u);
}

TEST_F(H2Limits, ResetsThatTheClientMakesUsSendEndTheConnection) {
  H2RawClient client(Start());
  client.Greet();
  uint32_t stream = 1;
  for (int i = 0; i < 2000; ++i, stream += 2) {
    client.AskWithBody(stream, PostFields("/echo"));
    if (!client.SendFrame(kWindowUpdate, 0, stream, Big(0x7fffffff, 4))) break;
  }
  EXPECT_EQ(client.ReadToGoAway(), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(IsCountedAsFlood());
}

TEST_F(H2Limits, AFewResetsAreNoFlood) {
  H2RawClient client(Start());
  client.Greet();
  for (uint32_t stream = 1; stream < 200; stream += 2) {
    client.Get(stream, "/hello");
    client.SendFrame(kRstStream, 0, stream, Big(NGHTTP2_CANCEL, 4));
  }
  EXPECT_TRUE(client.Pings());
}

TEST_F(H2Limits, FloodsOfFramesThatCarryNothingEndTheConnection) {
  struct Case {
    const char* what;
    std::string frame;
  };
  const Case cases[] = {
      {"PING", FrameText(kPing, 0, 0, "12345678")},
      {"PING, acknowledged", FrameText(kPing, kAck, 0, "12345678")},
      {"SETTINGS", FrameText(kSettings, 0, 0, {})},
      {"PRIORITY", FrameText(kPriority, 0, 5, std::string("\0\0\0\0\x10", 5))},
      {"WINDOW_UPDATE", FrameText(kWindowUpdate, 0, 0, Big(1, 4))},
      {"DATA without bytes", FrameText(kData, 0, 1, {})},
      {"DATA of padding alone", FrameText(kData, kPadded, 1, std::string("\x02\0\0", 3))},
  };
  const uint16_t port = Start();
  uint64_t floods = 0;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    H2RawClient client(port);
    client.Greet();
    client.AskWithBody(1, PostFields("/echo"));
    EXPECT_EQ(Flood(client, c.frame), NGHTTP2_ENHANCE_YOUR_CALM);
    client.socket().Close();
    ++floods;
    ASSERT_TRUE(Becomes([&](const ServerStats& stats) {
      return stats.http2_floods == floods && stats.active_connections == 0;
    }));
  }
  EXPECT_EQ(server_->Stats().http2_protocol_errors, 0u);
}

TEST_F(H2Limits, SettingsWithoutEndEndTheConnection) {
  H2RawClient client(Start());
  client.Greet();
  std::string many;
  for (int i = 0; i < 2000; ++i) many += Setting(static_cast<uint16_t>(0x1000 + i), 1);
  client.SendFrame(kSettings, 0, 0, many);
  EXPECT_EQ(client.ReadToGoAway(), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(IsCountedAsFlood());
}

TEST_F(H2Limits, ContinuationWithoutEndEndsTheConnection) {
  H2RawClient client(Start());
  client.Greet();
  client.SendFrame(kHeaders, kEndStream, 1, client.Encode(GetFields("/hello")));
  EXPECT_EQ(Flood(client, FrameText(kContinuation, 0, 1, client.Encode({{"a", "b"}}))),
            NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(IsCountedAsFlood());
}

TEST_F(H2Limits, AFieldSectionThatGrowsWithoutBoundEndsTheConnection) {
  H2RawClient client(Start());
  client.Greet();
  // One field of 2,000 bytes goes into the table and is then named by one byte again and again.
  Fields fields = GetFields("/hello");
  fields.emplace_back("bomb", std::string(2000, 'b'));
  client.Ask(1, fields);
  EXPECT_EQ(client.ReadAnswer(1).status, 200);
  client.SendFrame(kHeaders, kEndHeaders | kEndStream, 3,
                   client.Encode(GetFields("/hello")) + std::string(10'000, '\xbe'));
  EXPECT_EQ(client.ReadToGoAway(), NGHTTP2_ENHANCE_YOUR_CALM);
  EXPECT_TRUE(IsCountedAsFlood());
}

TEST_F(H2Limits, BodiesAboveTheirBoundAreAnsweredAndTheirRestIsDropped) {
  H2RawClient client(Start({.max_body_bytes = 100}));
  client.Greet();
  client.AskWithBody(1, PostFields("/echo"));
  client.SendFrame(kData, 0, 1, std::string(101, 'b'));
  Answer answer = client.ReadAnswer(1);
  EXPECT_EQ(answer.status, 413);
  EXPECT_THAT(answer.body, HasSubstr("limit of 100 bytes"));
  EXPECT_TRUE(client.Pings());
  EXPECT_EQ(client.AnswerSoFar(1).reset, NGHTTP2_NO_ERROR);
  client.SendFrame(kData, kEndStream, 1, std::string(1000, 'b'));  // was under way
  client.AskWithBody(3, PostFields("/large"));                     // its route's bound is higher
  client.SendFrame(kData, kEndStream, 3, std::string(101, 'b'));
  EXPECT_EQ(client.ReadAnswer(3).body, "101");
}

TEST_F(H2Limits, BodiesOfAConnectionHaveABoundTogether) {
  H2RawClient client(Start({.max_connection_body_bytes = 1000}));
  client.Greet();
  client.AskWithBody(1, PostFields("/echo"));
  client.SendFrame(kData, 0, 1, std::string(900, 'b'));
  client.AskWithBody(3, PostFields("/echo"));
  client.SendFrame(kData, 0, 3, std::string(101, 'b'));
  const Answer refused = client.ReadAnswer(3);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.fields.at("retry-after"), "1");
  client.SendFrame(kData, kEndStream, 1, {});
  EXPECT_EQ(client.ReadAnswer(1).status, 200);
  // What is answered is given back; and one alone is bounded by its own bound only.
  client.AskWithBody(5, PostFields("/large"));
  client.SendFrame(kData, kEndStream, 5, std::string(2000, 'b'));
  EXPECT_EQ(client.ReadAnswer(5).body, "2000");
}

TEST_F(H2Limits, RequestsAboveTheServersBoundAreRefused) {
  H2RawClient client(Start({.max_in_flight = 1}));
  client.Greet();
  client.Get(1, "/waits");
  client.Get(3, "/hello");
  EXPECT_EQ(client.ReadAnswer(3).status, 503);
  EXPECT_EQ(server_->Stats().rejected_requests, 1u);
  ASSERT_TRUE(answers_.TryPush(7));
  EXPECT_EQ(client.ReadAnswer(1).body, "7");
}

TEST_F(H2Limits, SilentConnectionsAreToldAndClosed) {
  const uint16_t port =
      Start({.header_timeout = milliseconds(30), .idle_timeout = milliseconds(60)});
  RawSocket silent(port);
  silent.Send(kPreface);
  EXPECT_THAT(silent.ReadToEnd(),
              testing::EndsWith(FrameText(kGoAway, 0, 0, Big(0, 4) + Big(NGHTTP2_NO_ERROR, 4))));
  H2RawClient idle(port);
  idle.Greet();
  idle.Get(1, "/hello");
  EXPECT_EQ(idle.ReadAnswer(1).body, "hello");
  EXPECT_EQ(idle.ReadToGoAway(), NGHTTP2_NO_ERROR);
  EXPECT_FALSE(idle.socket().reset());
  EXPECT_EQ(server_->Stats().timeouts, 0u);
}

TEST_F(H2Limits, AHandlerThatTakesItsTimeIsNotIdle) {
  H2RawClient client(Start({.idle_timeout = milliseconds(20), .write_timeout = milliseconds(20)}));
  client.Greet();
  client.Get(1, "/waits");
  Await(running_);
  std::this_thread::sleep_for(milliseconds(60));
  ASSERT_TRUE(answers_.TryPush(7));
  EXPECT_EQ(client.ReadAnswer(1).body, "7");
}

TEST_F(H2Limits, SlowBodiesAreAnsweredWith408) {
  H2RawClient client(Start({.body_timeout = milliseconds(30)}));
  client.Greet();
  client.AskWithBody(1, PostFields("/echo"));
  client.SendFrame(kData, 0, 1, "begun");
  EXPECT_EQ(client.ReadAnswer(1).status, 408);
  EXPECT_EQ(server_->Stats().timeouts, 1u);
  client.Get(3, "/hello");
  EXPECT_EQ(client.ReadAnswer(3).body, "hello");
}

TEST_F(H2Limits, SlowHeadsEndTheConnection) {
  H2RawClient client(Start({.header_timeout = milliseconds(30)}));
  client.Greet();
  client.SendFrame(kHeaders, kEndStream, 1, client.Encode(GetFields("/hello")));  // no END_HEADERS
  // Not read frame by frame: an acknowledgement of SETTINGS would be an error here.
  EXPECT_THAT(client.socket().ReadToEnd(),
              testing::EndsWith(FrameText(kGoAway, 0, 0, Big(1, 4) + Big(NGHTTP2_NO_ERROR, 4))));
  EXPECT_TRUE(Becomes([](const ServerStats& stats) { return stats.timeouts == 1; }));
}

TEST_F(H2Limits, AnswersThatAreNotTakenAreReset) {
  H2RawClient client(Start({.write_timeout = milliseconds(30)}));
  client.Greet(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10));
  client.Get(1, "/bytes/100");
  client.Get(3, "/endless");
  EXPECT_EQ(client.ReadAnswer(1).reset, NGHTTP2_CANCEL);
  EXPECT_EQ(client.ReadAnswer(3).reset, NGHTTP2_CANCEL);
  Await(ended_);
  EXPECT_EQ(server_->Stats().timeouts, 2u);
  client.Get(5, "/nothing");
  EXPECT_EQ(client.ReadAnswer(5).status, 204);
}

TEST_F(H2Limits, WhoReadsNothingAtAllIsCut) {
  H2RawClient client(Start({.write_timeout = milliseconds(50)}));
  client.Greet(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff));
  client.SendFrame(kWindowUpdate, 0, 0, Big(0x7fff0000, 4));
  client.Get(1, "/endless");
  Await(ended_);
  EXPECT_TRUE(Becomes([](const ServerStats& stats) {
    return stats.timeouts == 1 && stats.active_connections == 0;
  }));
}

TEST_F(H2Limits, ManyAnswersThatTheKernelDoesNotTakeAtOnceAllCome) {
  H2RawClient client(Start());
  client.Greet(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0x7fffffff));
  client.SendFrame(kWindowUpdate, 0, 0, Big(0x7fff0000, 4));
  for (uint32_t stream = 1; stream < 40; stream += 2) client.Get(stream, "/bytes/1000000");
  for (uint32_t stream = 1; stream < 40; stream += 2) {
    const Answer answer = client.ReadAnswer(stream);
    EXPECT_EQ(answer.body.size(), 1'000'000u);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_FALSE(answer.reset.has_value()) << *answer.reset;
    EXPECT_TRUE(answer.ended);
  }
}

}  // namespace
}  // namespace starling::http

// HTTP/2 as it should be: requests, answers, streams, their order and their flow (RFC 9113, 3, 5,
// 8).
#include <gmock/gmock.h>

#include "platform/http/h2_raw_client.h"
#include "platform/http/h2_test_server.h"

namespace starling::http {
namespace {

using Answer = H2RawClient::Answer;
using Frame = H2RawClient::Frame;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using H2Requests = H2TestServer;

TEST_F(H2Requests, AreAnsweredOverOneConnection) {
  H2RawClient client(Start());
  client.Greet();
  for (const uint32_t stream : {1u, 3u, 5u}) {
    client.Get(stream, "/hello");
    const Answer answer = client.ReadAnswer(stream);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "hello");
    EXPECT_EQ(answer.fields.at("content-type"), "text/plain");
    EXPECT_EQ(answer.fields.at("content-length"), "5");
    EXPECT_THAT(answer.fields.at("date"), testing::EndsWith(" GMT"));
  }
  const ServerStats stats = server_->Stats();
  EXPECT_EQ(stats.http2_connections, 1u);
  EXPECT_EQ(stats.active_connections, 1u);
  EXPECT_EQ(stats.requests, 3u);
  EXPECT_EQ(stats.http2_protocol_errors, 0u);
}

TEST_F(H2Requests, BeginWithAPrefaceThatMayComeByteByByte) {
  H2RawClient client(Start());
  for (const char c : kPreface) client.Send(std::string_view(&c, 1));
  client.SendFrame(kSettings, 0, 0, {});
  const std::optional<Frame> first = client.ReadFrame();
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->type, kSettings);  // the server's preface, 3.4
  client.Get(1, "/hello");
  EXPECT_EQ(client.ReadAnswer(1).body, "hello");
}

TEST_F(H2Requests, AreNotTakenOfWhoBeginsAlmostLikeHttp2) {
  const uint16_t port = Start();
  RawSocket socket(port);
  socket.Send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
  EXPECT_EQ(StatusOf(socket.ReadToEnd()), 505);
  RawSocket post(port);
  post.Send("P");
  EXPECT_EQ(StatusOf(post.Ask("OST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")), 200);
  EXPECT_EQ(server_->Stats().http2_connections, 0u);
}

TEST_F(H2Requests, ReachTheHandlerAsTheyWereSent) {
  H2RawClient client(Start());
  client.Greet();
  Fields fields = PostFields("/echo?a=1");
  fields.insert(
      fields.end(),
      {{"accept", "*/*"}, {"cookie", "a=1"}, {"cookie", "b=2"}, {"te", "trailers"}, {"host", "X"}});
  client.AskWithBody(1, fields);
  client.SendFrame(kData, 0, 1, "some ");
  client.SendFrame(kData, kPadded | kEndStream, 1, std::string("\x03text\0\0\0", 8));
  EXPECT_EQ(client.ReadAnswer(1).body,
            "2 POST /echo a=1\nhost: x\naccept: */*\nte: trailers\ncookie: a=1; b=2\nsome text");
}

TEST_F(H2Requests, MayHaveTheirFieldsInSeveralFrames) {
  H2RawClient client(Start());
  client.Greet();
  const std::string block = client.Encode(GetFields("/echo/7"));
  client.SendFrame(kHeaders, kEndStream, 1, block.substr(0, 3));
  client.SendFrame(kContinuation, 0, 1, block.substr(3, 2));
  client.SendFrame(kContinuation, kEndHeaders, 1, block.substr(5));
  EXPECT_THAT(client.ReadAnswer(1).body, HasSubstr("GET /echo/7"));
}

TEST_F(H2Requests, TrailersAreCheckedAndDropped) {
  H2RawClient client(Start());
  client.Greet();
  client.AskWithBody(1, PostFields("/echo"));
  client.SendFrame(kData, 0, 1, "body");
  client.SendFrame(kHeaders, kEndHeaders | kEndStream, 1, client.Encode({{"x-digest", "secret"}}));
  const Answer answer = client.ReadAnswer(1);
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("body"));
  EXPECT_THAT(answer.body, Not(HasSubstr("secret")));
}

TEST_F(H2Requests, GetFieldsWithoutThoseOfAConnection) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/fields");
  const Answer answer = client.ReadAnswer(1);
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.fields.at("x-mixed"), "a  b");
  EXPECT_EQ(answer.fields.at("content-length"), "2");
  for (const char* name : {"connection", "keep-alive", "transfer-encoding"})
    EXPECT_EQ(answer.fields.count(name), 0u) << name;
}

TEST_F(H2Requests, OfHeadGetTheHeadAlone) {
  H2RawClient client(Start());
  client.Greet();
  Fields fields = GetFields("/bytes/70000");
  fields[0].second = "HEAD";
  client.Ask(1, fields);
  Answer answer = client.ReadAnswer(1);
  EXPECT_EQ(answer.fields.at("content-length"), "70000");
  EXPECT_EQ(answer.body, "");
  fields[3].second = "/stream";
  client.Ask(3, fields);
  answer = client.ReadAnswer(3);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(client.Pings());
  EXPECT_EQ(stream_status_.code(), StatusCode::kCancelled);
  client.Get(5, "/nothing");
  answer = client.ReadAnswer(5);
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.fields.count("content-length"), 0u);
}

TEST_F(H2Requests, ThatTheRouterAnswers) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/unknown");
  EXPECT_EQ(client.ReadAnswer(1).status, 404);
  client.Ask(3, PostFields("/hello"));
  const Answer answer = client.ReadAnswer(3);
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.fields.at("allow"), "GET, HEAD, OPTIONS");
  Fields options = GetFields("*");
  options[0].second = "OPTIONS";
  client.Ask(5, options);
  EXPECT_NE(client.ReadAnswer(5).status, 0);
}

TEST_F(H2Requests, RunTogetherAndAreAnsweredAsTheyEnd) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/waits");
  Await(running_);
  client.Get(3, "/hello");
  EXPECT_EQ(client.ReadAnswer(3).body, "hello");
  EXPECT_EQ(client.AnswerSoFar(1).status, 0);
  ASSERT_TRUE(answers_.TryPush(7));
  EXPECT_EQ(client.ReadAnswer(1).body, "7");
}

TEST_F(H2Requests, AStreamIsAnsweredPieceByPiece) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/stream");
  const Answer answer = client.ReadAnswer(1);
  EXPECT_EQ(answer.body, "{\"a\":1}\n{\"a\":2}\n");
  EXPECT_EQ(answer.fields.at("content-type"), "application/x-ndjson");
  EXPECT_EQ(answer.fields.count("content-length"), 0u);
}

TEST_F(H2Requests, AStreamWhoseLengthIsKnownKeepsToIt) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/sized?12");
  const Answer whole = client.ReadAnswer(1);
  EXPECT_EQ(whole.fields.at("content-length"), "12");
  EXPECT_EQ(whole.fields.at("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(whole.body, "hello, world");
  EXPECT_TRUE(whole.ended);
  uint32_t stream = 3;
  for (const char* path : {"/sized?7", "/sized?100"}) {
    client.Get(stream, path);
    EXPECT_EQ(client.ReadAnswer(stream).reset, NGHTTP2_INTERNAL_ERROR) << path;
    stream += 2;
  }
  Fields head = GetFields("/sized?12");
  head[0].second = "HEAD";
  client.Ask(stream, head);
  EXPECT_EQ(client.ReadAnswer(stream).fields.at("content-length"), "12");
}

TEST_F(H2Requests, ABrokenStreamIsReset) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/breaks");
  const Answer answer = client.ReadAnswer(1);
  EXPECT_EQ(answer.body, "part");
  EXPECT_EQ(answer.reset, NGHTTP2_INTERNAL_ERROR);
  client.Get(3, "/throws");
  EXPECT_EQ(client.ReadAnswer(3).status, 500);
  EXPECT_EQ(server_->Stats().handler_exceptions, 1u);
}

TEST_F(H2Requests, AnswersKeepToTheWindowOfTheStreamAndOfTheConnection) {
  H2RawClient client(Start());
  client.Greet(Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10));
  client.Get(1, "/bytes/100");
  EXPECT_TRUE(client.Pings());
  EXPECT_EQ(client.AnswerSoFar(1).body.size(), 10u);
  client.SendFrame(kWindowUpdate, 0, 1, Big(25, 4));
  EXPECT_TRUE(client.Pings());
  EXPECT_EQ(client.AnswerSoFar(1).body.size(), 35u);
  // 6.9.2: a new initial window changes those of open streams, here by 5 more.
  client.SendFrame(kSettings, 0, 0, Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 15));
  EXPECT_TRUE(client.Pings());
  EXPECT_EQ(client.AnswerSoFar(1).body.size(), 40u);
  client.SendFrame(kWindowUpdate, 0, 1, Big(1000, 4));
  EXPECT_EQ(client.ReadAnswer(1).body.size(), 100u);

  // The connection's, 65,535 of which 100 are used.
  client.SendFrame(kSettings, 0, 0, Setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1'000'000));
  client.Get(3, "/bytes/200000");
  EXPECT_TRUE(client.Pings());
  EXPECT_EQ(client.AnswerSoFar(3).body.size(), 65'435u);
  client.SendFrame(kWindowUpdate, 0, 0, Big(500'000, 4));
  EXPECT_EQ(client.ReadAnswer(3).body.size(), 200'000u);
}

TEST_F(H2Requests, BodiesLargerThanAWindowComeThrough) {
  H2RawClient client(Start());
  client.Greet();
  client.AskWithBody(1, PostFields("/large"));
  const std::string chunk(16'384, 'b');
  int64_t window = 65'535;
  int64_t left = 4'000'000;
  int64_t connection_window = 65'535;
  while (left > 0) {
    while (window < 16'384 || connection_window < 16'384) {
      const std::optional<Frame> frame = client.ReadFrame(kWindowUpdate);
      ASSERT_TRUE(frame.has_value());
      (frame->stream == 0 ? connection_window : window) += FromBig(frame->payload);
    }
    const auto size = std::min<int64_t>(left, 16'384);
    left -= size;
    window -= size;
    connection_window -= size;
    client.SendFrame(kData, left == 0 ? kEndStream : kNoFlag, 1,
                     std::string_view(chunk).substr(0, static_cast<size_t>(size)));
  }
  EXPECT_EQ(client.ReadAnswer(1).body, "4000000");
}

TEST_F(H2Requests, WaitForLeaveToSendTheirBody) {
  H2RawClient client(Start());
  client.Greet();
  Fields fields = PostFields("/echo");
  fields.emplace_back("expect", "100-continue");
  client.AskWithBody(1, fields);
  ASSERT_TRUE(client.ReadFrame(kHeaders).has_value());
  EXPECT_THAT(client.AnswerSoFar(1).interim, ElementsAre(100));
  client.SendFrame(kData, kEndStream, 1, "body");
  EXPECT_THAT(client.ReadAnswer(1).body, HasSubstr("body"));
  // Without a route there is nothing to wait for.
  fields[3].second = "/unknown";
  client.AskWithBody(3, fields);
  const Answer answer = client.ReadAnswer(3);
  EXPECT_EQ(answer.status, 404);
  EXPECT_TRUE(answer.interim.empty());
  EXPECT_TRUE(client.Pings());
  EXPECT_EQ(client.AnswerSoFar(3).reset, NGHTTP2_NO_ERROR);  // 8.1
}

TEST_F(H2Requests, AreCancelledWithTheirStreamAndWithTheirConnection) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/watches");
  Await(running_);
  client.SendFrame(kRstStream, 0, 1, Big(NGHTTP2_CANCEL, 4));
  Await(ended_);
  client.Get(3, "/watches");
  Await(running_);
  client.Get(5, "/endless");
  ASSERT_TRUE(client.ReadFrame(kData).has_value());
  client.socket().Close();
  Await(ended_);
  Await(ended_);
  EXPECT_TRUE(Becomes([](const ServerStats& stats) {
    return stats.active_connections == 0 && stats.client_disconnects == 1;
  }));
}

TEST_F(H2Requests, EndInPeaceWhenTheClientSaysGoodbye) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/waits");
  Await(running_);
  client.SendFrame(kGoAway, 0, 0, Big(0, 4) + Big(0xffff, 4) + "why");  // 7: an unknown code
  ASSERT_TRUE(answers_.TryPush(7));
  EXPECT_EQ(client.ReadAnswer(1).body, "7");
  EXPECT_FALSE(client.ReadFrame().has_value());
  EXPECT_FALSE(client.socket().reset());
}

TEST_F(H2Requests, OfADrainingServerAreAnsweredAndThenNoMoreAreTaken) {
  H2RawClient client(Start({.drain_idle_grace = std::chrono::milliseconds(100)}));
  client.Greet();
  client.Get(1, "/waits");
  Await(running_);
  std::optional<size_t> cut;
  std::thread drains([&] { cut = runtime_->Block(server_->Drain(std::chrono::seconds(20))); });
  // First a notice that leaves requests under way their time, then the last stream's number (6.8).
  const std::optional<Frame> notice = client.ReadFrame(kGoAway);
  ASSERT_TRUE(notice.has_value());
  EXPECT_EQ(FromBig(notice->payload.substr(0, 4)), 0x7fffffffu);
  client.Get(3, "/hello");
  EXPECT_EQ(client.ReadAnswer(3).body, "hello");
  const std::optional<Frame> last = client.ReadFrame(kGoAway);
  ASSERT_TRUE(last.has_value());
  EXPECT_EQ(FromBig(last->payload.substr(0, 4)), 3u);
  EXPECT_EQ(FromBig(last->payload.substr(4, 4)), uint32_t{NGHTTP2_NO_ERROR});
  client.Get(5, "/hello");  // too late, and not taken
  ASSERT_TRUE(answers_.TryPush(7));
  EXPECT_EQ(client.ReadAnswer(1).body, "7");
  EXPECT_EQ(client.ReadAnswer(5).status, 0);
  client.socket().Close();
  drains.join();
  EXPECT_EQ(cut, 0u);
}

TEST_F(H2Requests, ThatOutliveADrainAreCutAndCounted) {
  H2RawClient client(Start());
  client.Greet();
  client.Get(1, "/watches");
  client.Get(3, "/watches");
  Await(running_);
  Await(running_);
  EXPECT_EQ(runtime_->Block(server_->Drain(std::chrono::milliseconds(20))), 2u);
  Await(ended_);
  Await(ended_);
}

}  // namespace
}  // namespace starling::http

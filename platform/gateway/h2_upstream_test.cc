// The gateway as a client of HTTP/2, against a server that the test plays frame by frame.
#include <poll.h>

#include "platform/gateway/gateway_test_fixture.h"
#include "platform/gateway/h2_raw_server.h"

namespace starling::gateway {
namespace {

using http::Big;
using http::Fields;
using http::RawSocket;
using http::StatusOf;
using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr uint32_t kRefusedStream = 7, kCancel = 8, kInternal = 2, kCalm = 11;

class H2ToUpstream : public GatewayTest {
 protected:
  static UpstreamConfig ToH2(std::vector<std::string> endpoints) {
    UpstreamConfig config = To(std::move(endpoints));
    config.protocol = "h2";
    return config;
  }
  void StartWith(const H2RawServer& upstream) {
    RouteConfig route = Route("/{rest=**}", "up");
    route.retries = 0;
    Start({{"up", ToH2({upstream.address()})}}, {route});
  }
  static std::string GetText(std::string_view path, std::string_view fields = "") {
    return fmt::format("GET {} HTTP/1.1\r\nHost: shop.example\r\nX-Mine: yes\r\n{}\r\n", path,
                       fields);
  }
  // GET / on stream 1 of a client; the upstream's side of it, which has read it there.
  std::unique_ptr<H2RawPeer> AskForRoot(http::H2RawClient& client) {
    client.Greet();
    client.Get(1, "/");
    auto peer = upstream_.Accept();
    peer->Greet();
    (void)peer->ReadRequest(1);
    return peer;
  }
  H2RawServer upstream_;
};

TEST_F(H2ToUpstream, AsksAsHttp2Does) {
  StartWith(upstream_);
  RawSocket client(port_);
  client.Send(
      "POST /a%2Fb?q=1 HTTP/1.1\r\nHost: shop.example\r\nX-Mine: Yes\r\nTE: trailers\r\n"
      "Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello");
  const auto peer = upstream_.Accept();
  peer->Greet();
  http::H2RawClient::Answer request = peer->ReadRequest(1);
  EXPECT_EQ(request.fields[":method"], "POST");
  EXPECT_EQ(request.fields[":path"], "/a%2Fb?q=1");
  EXPECT_EQ(request.fields[":authority"], "shop.example");
  EXPECT_EQ(request.fields[":scheme"], "http");
  EXPECT_EQ(request.fields["x-mine"], "Yes");
  EXPECT_EQ(request.fields["te"], "trailers");
  EXPECT_EQ(request.fields["content-length"], "5");
  EXPECT_EQ(request.fields["x-forwarded-for"], "127.0.0.1");
  for (const char* name : {"host", "connection", "transfer-encoding"})
    EXPECT_EQ(request.fields.count(name), 0u) << name;
  EXPECT_EQ(request.body, "hello");
  peer->Head(1, {{":status", "103"}, {"link", "x"}});
  peer->Head(1, {{":status", "201"}, {"x-made", "1"}});
  peer->Frame(http::kData, 0, 1, "yes");
  peer->Head(1, {{"x-sum", "42"}, {"set-cookie", "evil"}}, http::kEndStream);
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n");
  std::string answer = client.ReadUntil("\r\n\r\n");
  answer += client.ReadUntil("\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 "));
  EXPECT_THAT(answer, HasSubstr("x-made: 1\r\n"));
  EXPECT_THAT(answer, EndsWith("3\r\nyes\r\n0\r\nx-sum: 42\r\n\r\n"));
}

TEST_F(H2ToUpstream, PassesInterimAnswersOn) {
  StartWith(upstream_);
  http::H2RawClient client(port_);
  const auto peer = AskForRoot(client);
  peer->Head(1, {{":status", "100"}});
  peer->Head(1, {{":status", "103"}, {"link", "</a>"}, {"date", "today"}});
  ASSERT_TRUE(client.ReadFrame(http::kHeaders).has_value());
  ASSERT_TRUE(client.ReadFrame(http::kHeaders).has_value()) << "before the answer is there";
  peer->Answer(1, {{":status", "200"}}, "done");
  const http::H2RawClient::Answer answer = client.ReadAnswer(1);
  EXPECT_THAT(answer.interim, testing::ElementsAre(100, 103));
  EXPECT_EQ(answer.interim_fields.at("link"), "</a>");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "done");
  EXPECT_EQ(answer.fields.count("link"), 0u);
}

TEST_F(H2ToUpstream, TakesOnlySoManyInterimAnswers) {
  StartWith(upstream_);
  http::H2RawClient client(port_);
  const auto peer = AskForRoot(client);
  for (int i = 0; i < 33; ++i) {
    peer->Head(1, {{":status", "103"}});
    if (i == 32) break;  // the answer comes instead
    ASSERT_TRUE(client.ReadFrame(http::kHeaders).has_value()) << i;
  }
  EXPECT_EQ(client.ReadAnswer(1).status, 503);
}

TEST_F(H2ToUpstream, SendsALongRequestPieceByPiece) {
  StartWith(upstream_);
  RawSocket client(port_);
  client.Send(
      "PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nfirst\r\n");
  const auto peer = upstream_.Accept();
  peer->Greet();
  auto frame = peer->raw().ReadFrame(http::kData);
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(frame->payload, "first");
  client.Send("4\r\nlast\r\n0\r\n\r\n");
  http::H2RawClient::Answer request = peer->ReadRequest(1);
  EXPECT_EQ(request.body, "firstlast");
  EXPECT_EQ(request.fields.count("content-length"), 0u);
  // Nobody has looked at it: what is kept of it goes again.
  peer->GoAway(0);
  const auto other = upstream_.Accept();
  other->Greet();
  EXPECT_EQ(other->ReadRequest(1).body, "firstlast");
  other->Answer(1, {{":status", "200"}}, "done");
  EXPECT_THAT(client.ReadToEnd(), HasSubstr("done"));
}

// Requests of one connection of a client come to one io thread.
TEST_F(H2ToUpstream, SharesAConnectionAndTakesAnotherWhenItIsFull) {
  StartWith(upstream_);
  http::H2RawClient client(port_);
  client.Greet();
  for (uint32_t stream = 1; stream <= 5; stream += 2)
    client.Get(stream, fmt::format("/{}", stream));
  const auto first = upstream_.Accept();
  first->Greet(http::Setting(3, 2));
  EXPECT_EQ(first->ReadRequest(1).fields[":path"], "/1");
  EXPECT_EQ(first->ReadRequest(3).fields[":path"], "/3");
  const auto second = upstream_.Accept();
  second->Greet();
  EXPECT_EQ(second->ReadRequest(1).fields[":path"], "/5");
  second->Answer(1, {{":status", "200"}}, "five");
  first->Answer(3, {{":status", "200"}}, "three");
  first->Answer(1, {{":status", "200"}}, "one");
  EXPECT_EQ(client.ReadAnswer(1).body, "one");
  EXPECT_EQ(client.ReadAnswer(3).body, "three");
  EXPECT_EQ(client.ReadAnswer(5).body, "five");
  // There is room again on the first.
  client.Get(7, "/7");
  EXPECT_EQ(first->ReadRequest(5).fields[":path"], "/7");
}

TEST_F(H2ToUpstream, SendsAgainWhatTheServerRefusedToLookAt) {
  RouteConfig route = Route("/{rest=**}", "up");
  route.retries = 1;
  Start({{"up", ToH2({upstream_.address()})}}, {route});
  RawSocket client(port_);
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
  const auto peer = upstream_.Accept();
  peer->Greet();
  EXPECT_EQ(peer->ReadRequest(1).body, "a");
  peer->Reset(1, kRefusedStream);
  EXPECT_EQ(peer->ReadRequest(3).body, "a");
  peer->Answer(3, {{":status", "200"}}, "done");
  EXPECT_THAT(client.ReadToEnd(), HasSubstr("done"));
}

TEST_F(H2ToUpstream, SendsNothingTwiceThatTheServerMayHaveLookedAt) {
  RouteConfig route = Route("/{rest=**}", "up");
  route.retries = 3;
  Start({{"up", ToH2({upstream_.address()})}}, {route});
  for (const auto& [code, status] : std::initializer_list<std::pair<uint32_t, int>>{
           {kInternal, 503}, {kCancel, 503}, {kCalm, 503}, {0, 503}}) {
    RawSocket client(port_);
    client.Send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
    const auto peer = upstream_.Accept();
    peer->Greet();
    EXPECT_EQ(peer->ReadRequest(1).body, "a");
    peer->Reset(1, code);
    // Another connection: the last one gets no more.
    peer->GoAway(1);
    EXPECT_EQ(StatusOf(client.ReadToEnd()), status) << code;
  }
}

TEST_F(H2ToUpstream, SendsAgainWhatGoAwayLeavesOutAndEndsTheOthers) {
  StartWith(upstream_);  // no retries: this costs none
  http::H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, http::PostFields("/1"));
  client.SendFrame(http::kData, http::kEndStream, 1, "a");
  const auto first = upstream_.Accept();
  first->Greet();
  EXPECT_EQ(first->ReadRequest(1).body, "a");
  client.AskWithBody(3, http::PostFields("/3"));
  client.SendFrame(http::kData, http::kEndStream, 3, "b");
  EXPECT_EQ(first->ReadRequest(3).body, "b");
  first->GoAway(1);
  const auto second = upstream_.Accept();
  second->Greet();
  EXPECT_EQ(second->ReadRequest(1).body, "b");
  second->Answer(1, {{":status", "200"}}, "three");
  EXPECT_EQ(client.ReadAnswer(3).body, "three");
  first->Answer(1, {{":status", "200"}}, "one");
  EXPECT_EQ(client.ReadAnswer(1).body, "one");
}

TEST_F(H2ToUpstream, TakesOfALongAnswerWhatItsClientTakes) {
  StartWith(upstream_);
  RawSocket client(port_);
  client.Send(GetText("/"));
  const auto peer = upstream_.Accept();
  peer->Greet();
  (void)peer->ReadRequest(1);
  peer->Head(1, {{":status", "200"}});
  // All that the windows allow, and the client reads nothing: no more may be let in than fits.
  const std::string piece(16384, 'x');
  size_t allowed = size_t{256} * 1024, sent = 0;
  while (sent < size_t{64} << 20) {
    while (allowed >= piece.size()) {
      peer->Frame(http::kData, 0, 1, piece);
      allowed -= piece.size();
      sent += piece.size();
    }
    pollfd waits{.fd = peer->raw().socket().descriptor(), .events = POLLIN};
    if (::poll(&waits, 1, 1000) == 0) break;
    const auto frame = peer->raw().ReadFrame();
    ASSERT_TRUE(frame.has_value());
    if (frame->type == http::kWindowUpdate && frame->stream == 1)
      allowed += http::FromBig(frame->payload);
  }
  EXPECT_LT(sent, size_t{32} << 20);  // the kernel's buffers, and ours
}

TEST_F(H2ToUpstream, LeavesAStreamWhoseClientIsGoneAndKeepsTheConnection) {
  StartWith(upstream_);
  http::H2RawClient client(port_);
  client.Greet();
  client.Get(1, "/1");
  const auto peer = upstream_.Accept();
  peer->Greet();
  (void)peer->ReadRequest(1);
  client.SendFrame(http::kRstStream, 0, 1, Big(kCancel, 4));
  const auto reset = peer->raw().ReadFrame(http::kRstStream);
  ASSERT_TRUE(reset.has_value());
  EXPECT_EQ(http::FromBig(reset->payload), kCancel);
  client.Get(3, "/3");
  EXPECT_EQ(peer->ReadRequest(3).fields[":path"], "/3");
}

TEST_F(H2ToUpstream, GivesUpAfterTheTimeoutAndAsksWhetherTheServerIsThere) {
  RouteConfig route = Route("/{rest=**}", "up");
  route.timeout = milliseconds(500);
  Start({{"up", ToH2({upstream_.address()})}}, {route});
  RawSocket client(port_);
  client.Send(GetText("/"));
  const auto peer = upstream_.Accept();
  peer->Greet();
  // An answer, so that nothing of the greeting is still on its way: a byte would speak for it.
  (void)peer->ReadRequest(1);
  peer->Answer(1, {{":status", "200"}, {"content-length", "5"}}, "there");
  EXPECT_EQ(StatusOf(client.ReadResponse()), 200);
  client.Send(GetText("/"));
  (void)peer->ReadRequest(3);
  EXPECT_EQ(StatusOf(client.ReadResponse()), 504);
  const auto ping = peer->raw().ReadFrame(http::kPing);
  EXPECT_TRUE(ping.has_value());
}

TEST_F(H2ToUpstream, AsksASilentServerByPing) {
  UpstreamConfig config = ToH2({upstream_.address()});
  config.keepalive = milliseconds(30);
  Start({{"up", config}}, {Route("/{rest=**}", "up")});
  RawSocket client(port_);
  client.Send(GetText("/", "Connection: close\r\n"));
  const auto peer = upstream_.Accept();
  peer->Greet();
  (void)peer->ReadRequest(1);
  for (int i = 0; i < 3; ++i) {
    const auto ping = peer->raw().ReadFrame(http::kPing);
    ASSERT_TRUE(ping.has_value());
    peer->Frame(http::kPing, http::kAck, 0, ping->payload);
  }
  peer->Answer(1, {{":status", "200"}}, "there");
  EXPECT_THAT(client.ReadToEnd(), HasSubstr("there"));
}

TEST_F(H2ToUpstream, SaysGoodbyeToWhoIsNotAskedAnyMore) {
  UpstreamConfig config = ToH2({upstream_.address()});
  config.idle_timeout = milliseconds(50);
  Start({{"up", config}}, {Route("/{rest=**}", "up")});
  RawSocket client(port_);
  client.Send(GetText("/"));
  const auto peer = upstream_.Accept();
  peer->Greet();
  (void)peer->ReadRequest(1);
  peer->Answer(1, {{":status", "204"}}, "");
  EXPECT_EQ(StatusOf(client.ReadUntil("\r\n\r\n")), 204);
  EXPECT_EQ(peer->raw().ReadToGoAway(), 0u);
}

TEST_F(H2ToUpstream, SaysThatAServerDoesNotSpeakIt) {
  StartWith(upstream_);
  RawSocket client(port_);
  client.Send(GetText("/"));
  const auto peer = upstream_.Accept();
  peer->raw().Send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  const std::string answer = client.ReadResponse();
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_THAT(answer, HasSubstr("it does not speak HTTP/2"));
}

TEST_F(H2ToUpstream, SaysThatNobodyIsThere) {
  std::string address;
  { address = H2RawServer().address(); }
  Start({{"up", ToH2({address})}}, {Route("/{rest=**}", "up")});
  const std::string answer = Get("/");
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_THAT(answer, HasSubstr("cannot connect: Connection refused"));
}

TEST_F(H2ToUpstream, IsTheSameForAllUpstreamsOfARoute) {
  RouteConfig route = Route("/", "a");
  route.to = {{"a", 1}, {"b", 1}};
  EXPECT_THAT(
      std::string(CheckRoutes({{"a", ToH2({"127.0.0.1:1"})}, {"b", To({"127.0.0.1:2"})}}, {route})
                      .message()),
      HasSubstr("must speak the same"));
}

// What an upstream may send that is no answer. `ends`: the connection goes, too.
struct HostileAnswer {
  const char* what;
  std::function<void(H2RawPeer&)> send;
  const char* says;
};

TEST_F(H2ToUpstream, TakesNoMalformedAnswer) {
  const auto head = [](Fields fields) {
    return
        [fields = std::move(fields)](H2RawPeer& peer) { peer.Head(1, fields, http::kEndStream); };
  };
  const auto frame = [](uint8_t type, int flags, uint32_t stream, const std::string& payload) {
    return [=](H2RawPeer& peer) { peer.Frame(type, flags, stream, payload); };
  };
  const HostileAnswer rows[] = {
      {"no status", head({{"x", "y"}}), "malformed"},
      {"a status that is none", head({{":status", "2x0"}}), "malformed"},
      {"two statuses", head({{":status", "200"}, {":status", "200"}}), "malformed"},
      {"a pseudo field of requests", head({{":status", "200"}, {":path", "/"}}), "malformed"},
      {"a pseudo field behind others", head({{"x", "y"}, {":status", "200"}}), "malformed"},
      {"101", head({{":status", "101"}}), "malformed"},
      {"a name in capitals", head({{":status", "200"}, {"X-A", "b"}}), "malformed"},
      {"Connection", head({{":status", "200"}, {"connection", "close"}}), "malformed"},
      {"Transfer-Encoding", head({{":status", "200"}, {"transfer-encoding", "chunked"}}),
       "malformed"},
      {"a line break in a value", head({{":status", "200"}, {"x", "a\r\nset-cookie: b"}}),
       "malformed"},
      {"a line break in a name", head({{":status", "200"}, {"x\r\ny", "a"}}), "malformed"},
      {"a NUL in a value", head({{":status", "200"}, {"x", std::string("a\0b", 3)}}), "malformed"},
      {"two lengths", head({{":status", "200"}, {"content-length", "1"}, {"content-length", "2"}}),
       "malformed"},
      {"a length that is none", head({{":status", "200"}, {"content-length", "+1"}}), "malformed"},
      {"less than its length",
       [](H2RawPeer& peer) {
         peer.Answer(1, {{":status", "200"}, {"content-length", "10"}}, "short");
       },
       "malformed"},
      {"more than its length",
       [](H2RawPeer& peer) {
         peer.Answer(1, {{":status", "200"}, {"content-length", "1"}}, "longer");
       },
       "malformed"},
      {"a field above the limit", head({{":status", "200"}, {"x", std::string(40'000, 'a')}}), ""},
      {"too many fields",
       [](H2RawPeer& peer) {
         Fields fields{{":status", "200"}};
         for (int i = 0; i < 200; ++i) fields.emplace_back(fmt::format("x-{}", i), "y");
         peer.Head(1, fields, http::kEndStream);
       },
       "malformed"},
      {"a body before its head", frame(http::kData, http::kEndStream, 1, "body"),
       "it broke HTTP/2"},
      {"a head on a stream that nobody opened",
       [](H2RawPeer& peer) {
         peer.Head(99, {{":status", "200"}});
       },
       "it broke HTTP/2"},
      {"a stream of the server's own",
       [](H2RawPeer& peer) {
         peer.Head(2, {{":status", "200"}});
       },
       "it broke HTTP/2"},
      {"a promise (PUSH_PROMISE)",
       [](H2RawPeer& peer) {
         peer.Frame(http::kPushPromise, http::kEndHeaders, 1,
                    Big(2, 4) + peer.raw().Encode(http::GetFields("/pushed")));
       },
       "malformed"},
      {"a field section that is no HPACK",
       frame(http::kHeaders, http::kEndHeaders, 1, "\xff\xff\xff"), "it broke HTTP/2"},
      {"DATA on stream 0", frame(http::kData, 0, 0, "x"), "it broke HTTP/2"},
      {"a frame above the largest size", frame(http::kData, 0, 1, std::string(20'000, 'x')),
       "it broke HTTP/2"},
      {"more than the window",
       [](H2RawPeer& peer) {
         peer.Head(1, {{":status", "200"}});
         // Beyond what the client's connection holds, too, which opens the window again.
         for (int i = 0; i < 2000; ++i) peer.Frame(http::kData, 0, 1, std::string(16'384, 'x'));
       },
       nullptr},
      {"a window of 0 more", frame(http::kWindowUpdate, 0, 0, Big(0, 4)), "it broke HTTP/2"},
      {"SETTINGS of 5 bytes", frame(http::kSettings, 0, 0, "12345"), "it broke HTTP/2"},
      {"PING of 7 bytes", frame(http::kPing, 0, 0, "1234567"), "it broke HTTP/2"},
      {"GOAWAY and the end",
       [](H2RawPeer& peer) {
         peer.GoAway(1, 2);
         peer.raw().socket().Close();
       },
       "closed the connection"},
      {"CONTINUATION without HEADERS", frame(http::kContinuation, http::kEndHeaders, 1, "x"),
       "it broke HTTP/2"},
      {"a flood of PING",
       [](H2RawPeer& peer) {
         for (int i = 0; i < 3000; ++i) peer.Frame(http::kPing, 0, 0, "12345678");
       },
       "too many frames"},
      {"a flood of SETTINGS",
       [](H2RawPeer& peer) {
         for (int i = 0; i < 3000; ++i) peer.Frame(http::kSettings, 0, 0, http::Setting(3, 100));
       },
       "too many frames"},
      {"a flood of empty DATA",
       [](H2RawPeer& peer) {
         peer.Head(1, {{":status", "200"}});
         for (int i = 0; i < 3000; ++i) peer.Frame(http::kData, 0, 1, "");
       },
       nullptr},
      {"the end without a word", [](H2RawPeer& peer) { peer.raw().socket().Close(); }, ""},
  };
  RouteConfig route = Route("/{rest=**}", "up");
  route.retries = 0;
  route.timeout = std::chrono::seconds(8);
  for (const HostileAnswer& row : rows) {
    SCOPED_TRACE(row.what);
    H2RawServer upstream;
    Start({{"up", ToH2({upstream.address()})}}, {route});
    RawSocket client(port_);
    client.Send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
    const auto peer = upstream.Accept();
    peer->Greet();
    (void)peer->ReadRequest(1);
    row.send(*peer);
    const std::string answer = client.ReadToEnd();
    if (row.says == nullptr) {
      EXPECT_THAT(answer, Not(EndsWith("0\r\n\r\n")));  // cut
    } else {
      EXPECT_EQ(StatusOf(answer), 503) << answer;
      EXPECT_THAT(answer, HasSubstr(row.says));
    }
    EXPECT_THAT(answer, Not(HasSubstr("set-cookie")));
  }
}

TEST_F(H2ToUpstream, ChecksHealthOverHttp2) {
  UpstreamConfig config = ToH2({upstream_.address()});
  config.health.path = "/healthz";
  config.health.interval = milliseconds(10);
  Start({{"up", config}}, {Route("/{rest=**}", "up")});
  for (int i = 0; i < 2; ++i) {
    const auto peer = upstream_.Accept();
    peer->Greet();
    http::H2RawClient::Answer request = peer->ReadRequest(1);
    EXPECT_EQ(request.fields[":method"], "GET");
    EXPECT_EQ(request.fields[":path"], "/healthz");
    peer->Answer(1, {{":status", "200"}}, "well");
  }
}

}  // namespace
}  // namespace starling::gateway

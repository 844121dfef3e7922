// WebSocket through the gateway: handshakes good and bad, and the tunnel behind a good one.
#include "platform/gateway/websocket.h"

#include <future>

#include "platform/gateway/byte_server.h"
#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using http::RawSocket;
using http::StatusOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
constexpr std::string_view kFields =
    "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

std::string Handshake(std::string_view fields = kFields, std::string_view more = "") {
  return fmt::format("GET /chat HTTP/1.1\r\nHost: shop.example\r\n{}{}\r\n", fields, more);
}

// A masked text frame of a client (RFC 6455, 5.7), and a server's.
const std::string kHelloMasked("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
const std::string kHello("\x81\x05Hello", 7);

class WebSockets : public GatewayTest {
 protected:
  RouteConfig WebSocketRoute() {
    RouteConfig route = Route("/{rest=**}", "up");
    route.websocket = true;
    return route;
  }
  void StartTo(const std::string& address) { Start({{"up", To({address})}}, {WebSocketRoute()}); }
  // Switches, and gives back what comes until "bye" came, then ends.
  static void Echo(ByteServer::Peer& peer) {
    peer.ReadUntil("\r\n\r\n");
    peer.Write(std::string(kSwitch) + "\r\n");
    for (;;) {
      const std::string bytes = peer.Read();
      if (bytes.empty()) return;
      peer.Write(bytes);
      if (bytes.find("bye") != std::string::npos) return;
    }
  }
  std::string Metrics() { return telemetry_.metrics().Expose(); }
  bool Opens(int count) {
    const std::string line =
        fmt::format("starling_gateway_tunnels{{route=\"/{{rest=**}}\"}} {}\n", count);
    for (int i = 0; i < 5000; ++i) {
      if (Metrics().find(line) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
};

TEST_F(WebSockets, PassBytesBothWaysAfter101) {
  std::promise<std::string> head;
  ByteServer upstream([&](ByteServer::Peer& peer) {
    head.set_value(peer.ReadUntil("\r\n\r\n"));
    peer.Write(std::string(kSwitch) + "Sec-WebSocket-Protocol: chat\r\n\r\n" + kHello);
    const std::string said = peer.ReadUntil(kHelloMasked);
    EXPECT_EQ(said, kHelloMasked);
    peer.Write("not even a frame");
  });
  StartTo(upstream.address());
  RawSocket socket(port_);
  socket.Send(Handshake(kFields, "Sec-WebSocket-Protocol: chat\r\nOrigin: https://a.example\r\n"));
  const std::string answer = socket.ReadUntil("\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 101 Switching Protocols\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: Upgrade\r\n"));
  EXPECT_THAT(answer, HasSubstr("Upgrade: websocket\r\n"));
  EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
  EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Protocol: chat\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_EQ(socket.ReadBytes(kHello.size()), kHello);
  EXPECT_TRUE(Opens(1));
  socket.Send(kHelloMasked);
  EXPECT_EQ(socket.ReadToEnd(), "not even a frame");
  EXPECT_FALSE(socket.reset());
  EXPECT_TRUE(Opens(0));
  const std::string sent = head.get_future().get();
  EXPECT_THAT(sent, HasSubstr("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_THAT(sent, HasSubstr("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
  EXPECT_THAT(sent, Not(HasSubstr("keep-alive")));
}

TEST_F(WebSockets, MegabytesComeThroughWhole) {
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("\r\n\r\n");
    peer.Write(std::string(kSwitch) + "\r\n");
    size_t got = 0;
    while (got < 5'000'000) {
      const std::string bytes = peer.Read();
      if (bytes.empty()) return;
      got += bytes.size();
      if (!peer.Write(bytes)) return;
    }
  });
  StartTo(upstream.address());
  RawSocket socket(port_);
  socket.Send(Handshake());
  socket.ReadUntil("\r\n\r\n");
  std::thread sender([&] {
    for (int i = 0; i < 5; ++i) socket.Send(std::string(1'000'000, static_cast<char>('a' + i)));
  });
  const std::string all = socket.ReadToEnd();
  sender.join();
  ASSERT_EQ(all.size(), 5'000'000u);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(all[static_cast<size_t>(i) * 1'000'000], 'a' + i);
    EXPECT_EQ(all[static_cast<size_t>(i + 1) * 1'000'000 - 1], 'a' + i);
  }
}

TEST_F(WebSockets, AClientThatIsDoneStillGetsTheRest) {
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("\r\n\r\n");
    peer.Write(std::string(kSwitch) + "\r\n");
    EXPECT_EQ(peer.ReadUntil("never"), "done");  // to the end
    peer.Write("the rest");
  });
  StartTo(upstream.address());
  RawSocket socket(port_);
  socket.Send(Handshake());
  socket.ReadUntil("\r\n\r\n");
  socket.Send("done");
  socket.FinishSending();
  EXPECT_EQ(socket.ReadToEnd(), "the rest");
}

TEST_F(WebSockets, AClientThatIsGoneEndsTheUpstreams) {
  std::promise<std::string> all;
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("\r\n\r\n");
    peer.Write(std::string(kSwitch) + "\r\n");
    all.set_value(peer.ReadUntil("never"));
  });
  StartTo(upstream.address());
  RawSocket socket(port_);
  socket.Send(Handshake());
  socket.ReadUntil("\r\n\r\n");
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
  socket.Close();
  EXPECT_EQ(all.get_future().get(), "");
  EXPECT_TRUE(Opens(0));
}

TEST_F(WebSockets, SilenceOfBothSidesEndsThem) {
  ByteServer upstream(Echo);
  RouteConfig route = WebSocketRoute();
  route.quiet_timeout = std::chrono::milliseconds(100);
  Start({{"up", To({upstream.address()})}}, {route});
  RawSocket socket(port_);
  socket.Send(Handshake());
  EXPECT_EQ(StatusOf(socket.ReadUntil("\r\n\r\n")), 101);
  EXPECT_EQ(socket.ReadToEnd(), "");
  EXPECT_TRUE(Opens(0));
}

TEST_F(WebSockets, HandshakesThatAreNotGoodDoNotArrive) {
  ByteServer upstream(Echo);
  RouteConfig route = WebSocketRoute();
  route.origins = {"https://shop.example", "http://localhost:8080"};
  route.access = "user";
  Start({{"up", To({upstream.address()})}}, {route});
  const std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const std::string version = "Sec-WebSocket-Version: 13\r\n";
  const std::string upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
  const std::string rest = "Authorization: Bearer ada\r\nOrigin: https://shop.example\r\n";
  const struct {
    const char* what;
    std::string request;
    int status;
  } rows[] = {
      {"no credential", Handshake(kFields, "Origin: https://shop.example\r\n"), 401},
      {"another origin",
       Handshake(kFields, "Authorization: Bearer ada\r\nOrigin: https://shop.example.evil\r\n"),
       403},
      {"no origin", Handshake(kFields, "Authorization: Bearer ada\r\n"), 403},
      {"two origins", Handshake(kFields, rest + "Origin: https://evil.example\r\n"), 403},
      {"no version", Handshake(upgrade + key, rest), 426},
      {"an old version", Handshake(upgrade + key + "Sec-WebSocket-Version: 8\r\n", rest), 426},
      {"two versions", Handshake(upgrade + key + version + version, rest), 426},
      {"no key", Handshake(upgrade + version, rest), 400},
      {"a short key", Handshake(upgrade + version + "Sec-WebSocket-Key: YWJj\r\n", rest), 400},
      {"two keys", Handshake(upgrade + version + key + key, rest), 400},
      {"Connection without Upgrade",
       Handshake("Upgrade: websocket\r\nConnection: keep-alive\r\n" + key + version, rest), 400},
      {"another protocol beside",
       Handshake("Upgrade: websocket, h2c\r\nConnection: Upgrade\r\n" + key + version, rest), 400},
      {"a body", Handshake(kFields, rest + "Content-Length: 2\r\n") + "hi", 400},
      {"POST", "POST" + Handshake(kFields, rest).substr(3), 400},
      {"HTTP/1.0", "GET /chat HTTP/1.0\r\nHost: x\r\n" + std::string(kFields) + rest + "\r\n", 400},
  };
  for (const auto& row : rows) {
    const std::string answer = Ask(row.request);
    EXPECT_EQ(StatusOf(answer), row.status) << row.what;
    if (row.status == 426) {
      EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Version: 13\r\n"));
    }
  }
  EXPECT_EQ(upstream.connections(), 0);
  RawSocket good(port_);
  good.Send(Handshake(kFields, rest));
  EXPECT_EQ(StatusOf(good.ReadUntil("\r\n\r\n")), 101);
}

TEST_F(WebSockets, A101ThatNobodyAskedForIsNoAnswer) {
  const struct {
    const char* what;
    std::string request;
    std::string answer;
  } rows[] = {
      {"without Upgrade", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", std::string(kSwitch) + "\r\n"},
      {"to h2c", Handshake("Upgrade: h2c\r\nConnection: Upgrade\r\n"),
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"},
      {"to another", Handshake(),
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"},
      {"without Upgrade in the answer", Handshake(),
       "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"},
      {"without Connection in the answer", Handshake(),
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"},
      {"with a length", Handshake(), std::string(kSwitch) + "Content-Length: 5\r\n\r\nhello"},
  };
  std::atomic<const std::string*> answer{nullptr};
  ByteServer upstream([&](ByteServer::Peer& peer) {
    const std::string head = peer.ReadUntil("\r\n\r\n");
    if (head.find("h2c") != std::string::npos) ADD_FAILURE() << head;
    peer.Write(*answer.load());
    EXPECT_EQ(peer.Read(), "");  // nothing of the client's comes behind
  });
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    answer = &row.answer;
    StartTo(upstream.address());
    RawSocket socket(port_);
    socket.Send(row.request);
    EXPECT_EQ(StatusOf(socket.ReadResponse()), 503);
  }
}

TEST_F(WebSockets, AServerThatDoesNotSwitchIsSentNothingMore) {
  std::promise<std::string> rest;
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("\r\n\r\n");
    peer.Write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    rest.set_value(peer.ReadUntil("never"));
  });
  StartTo(upstream.address());
  // What comes behind a handshake is a request to the gateway, until somebody switches.
  RawSocket socket(port_);
  socket.Send(Handshake() + "GET /smuggled HTTP/9.9\r\n\r\n");
  EXPECT_EQ(StatusOf(socket.ReadResponse()), 403);
  EXPECT_EQ(StatusOf(socket.ReadResponse()), 505);
  EXPECT_EQ(rest.get_future().get(), "");
}

TEST_F(WebSockets, HaveTheirOwnBoundAndNoPlaceAmongRequests) {
  ByteServer upstream(Echo);
  RouteConfig route = WebSocketRoute();
  route.max_tunnels = 1;
  edge_.concurrency = &limiter_;
  Start({{"up", To({upstream.address()})}}, {route});
  {
    RawSocket first(port_);
    first.Send(Handshake());
    EXPECT_EQ(StatusOf(first.ReadUntil("\r\n\r\n")), 101);
    EXPECT_EQ(limiter_.in_flight(), 0);
    const std::string refused = Ask(Handshake());
    EXPECT_EQ(StatusOf(refused), 503);
    EXPECT_THAT(refused, HasSubstr("Retry-After: 1\r\n"));
    first.Send("bye");
    EXPECT_EQ(first.ReadToEnd(), "bye");
  }
  EXPECT_TRUE(Opens(0));
  RawSocket next(port_);
  next.Send(Handshake());
  EXPECT_EQ(StatusOf(next.ReadUntil("\r\n\r\n")), 101);
}

TEST_F(WebSockets, EndWithADrainThatIsOver) {
  ByteServer upstream(Echo);
  StartTo(upstream.address());
  RawSocket socket(port_);
  socket.Send(Handshake());
  EXPECT_EQ(StatusOf(socket.ReadUntil("\r\n\r\n")), 101);
  EXPECT_EQ(RunSync(server_->Drain(std::chrono::milliseconds(50))), 1u);
  EXPECT_EQ(socket.ReadToEnd(), "");
  EXPECT_TRUE(Opens(0));
}

TEST_F(WebSockets, AreForRoutesThatSaySo) {
  RawServer upstream([](const std::string& request, int) -> RawServer::Answer {
    EXPECT_THAT(request, Not(HasSubstr("Upgrade")));
    return {Ok("plain")};
  });
  Start({{"up", To({upstream.address()})}}, {Route("/{rest=**}", "up")});
  EXPECT_THAT(Ask(Handshake()), HasSubstr("plain"));
}

TEST_F(WebSockets, RoutesAreRefusedWithAWordWhenTheyAreWrong) {
  RouteConfig route = WebSocketRoute();
  route.methods = {"POST"};
  const std::map<std::string, UpstreamConfig> up{{"up", To({"127.0.0.1:1"})}};
  EXPECT_THAT(std::string(Set(up, {route}).message()), HasSubstr("begins with GET"));
  route = WebSocketRoute();
  route.origins = {"shop.example"};
  EXPECT_THAT(std::string(Set(up, {route}).message()), HasSubstr("write https://shop.example"));
  route.websocket = false;
  EXPECT_THAT(std::string(Set(up, {route}).message()), HasSubstr("websocket: true"));
}

}  // namespace
}  // namespace starling::gateway

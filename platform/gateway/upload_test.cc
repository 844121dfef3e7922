// Requests whose bodies go on piece by piece.
#include "platform/gateway/upload.h"

#include <fstream>
#include <future>

#include "platform/gateway/byte_server.h"
#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::RawSocket;
using http::StatusOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class UploadTest : public GatewayTest {
 protected:
  void StartTo(const std::vector<std::string>& endpoints, bool buffer = false) {
    RouteConfig route = Route("/{rest=**}", "up");
    route.max_body = config::Bytes(1u << 30);
    route.buffer_requests = buffer;
    Start({{"up", To(endpoints)}}, {route});
  }
};

constexpr std::string_view kChunked =
    "POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string PutHead(size_t length, std::string_view fields = "") {
  return fmt::format("PUT /up HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n", length, fields);
}

// Kilobytes of this process' memory.
size_t Resident() {
  std::ifstream statm("/proc/self/statm");
  size_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE)) / 1024;
}

TEST_F(UploadTest, GoesOnPieceByPieceUnderItsLength) {
  std::promise<std::string> head, begun, rest;
  ByteServer upstream([&](ByteServer::Peer& peer) {
    head.set_value(peer.ReadUntil("\r\n\r\n"));
    begun.set_value(peer.ReadUntil("begun"));
    rest.set_value(peer.ReadUntil("ended"));
    peer.Write(Ok("taken"));
  });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  socket.Send(PutHead(100'010) + "begun");
  // It is there before the client has sent the rest.
  const std::string sent_head = head.get_future().get();
  EXPECT_THAT(sent_head, HasSubstr("Content-Length: 100010\r\n"));
  EXPECT_THAT(sent_head, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_EQ(begun.get_future().get(), "begun");
  socket.Send(std::string(100'000, 'x') + "ended");
  EXPECT_EQ(rest.get_future().get(), std::string(100'000, 'x') + "ended");
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "taken");
}

TEST_F(UploadTest, OfUnknownLengthGoesInChunksAndTheConnectionIsUsedAgain) {
  RawServer upstream([](const std::string& request, int) -> RawServer::Answer {
    return {Ok(request.substr(request.find("\r\n\r\n") + 4))};
  });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  for (int i = 0; i < 3; ++i) {
    socket.Send(std::string(kChunked) + "3;x=y\r\nabc\r\n");
    socket.Send("2\r\nde\r\n0\r\nTrailer-Field: 1\r\n\r\n");
    EXPECT_EQ(BodyOf(socket.ReadResponse()), "abcde");
  }
  EXPECT_EQ(upstream.connections(), 1);
  EXPECT_THAT(upstream.requests().at(0), Not(HasSubstr("Content-Length")));
  EXPECT_THAT(upstream.requests().at(0), Not(HasSubstr("Trailer")));
  // A small one of known length is read whole.
  EXPECT_EQ(BodyOf(socket.Ask(PutHead(5) + "hello")), "hello");
  EXPECT_THAT(upstream.requests().at(3), HasSubstr("Content-Length: 5\r\n"));
}

TEST_F(UploadTest, AnAnswerBeforeItsEndIsGivenOn) {
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("begun");
    peer.Write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
  });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  socket.Send(PutHead(50'000'000) + "begun");
  const std::string answer = socket.ReadResponse();
  EXPECT_EQ(StatusOf(answer), 413);
  EXPECT_EQ(BodyOf(answer), "no!");
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
}

TEST_F(UploadTest, AnAnswerMayStreamWhileItIsSent) {
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("\r\n\r\n");
    peer.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    peer.ReadUntil("one");
    peer.Write("3\r\nONE\r\n");
    peer.ReadUntil("two");
    peer.Write("3\r\nTWO\r\n0\r\n\r\n");
  });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  socket.Send(std::string(kChunked) + "3\r\none\r\n");
  EXPECT_THAT(socket.ReadUntil("ONE\r\n"), StartsWith("HTTP/1.1 200 "));
  socket.Send("3\r\ntwo\r\n0\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("0\r\n\r\n"), HasSubstr("TWO"));
}

TEST_F(UploadTest, IsNotRepeatedOnceItHadAConnection) {
  const ByteServer::Talk leaves = [](ByteServer::Peer& peer) { peer.ReadUntil("begun"); };
  ByteServer one(leaves), other(leaves);
  StartTo({one.address(), other.address()});
  RawSocket socket(port_);
  socket.Send(PutHead(100'000) + "begun" + std::string(99'995, 'x'));
  EXPECT_EQ(StatusOf(socket.ReadResponse()), 503);
  EXPECT_EQ(one.connections() + other.connections(), 1);
}

TEST_F(UploadTest, IsRepeatedWhereTheRouteGathersIt) {
  std::atomic<int> tries{0};
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("ended");
    if (++tries == 2) peer.Write(Ok("second"));
  });
  StartTo({upstream.address()}, /*buffer=*/true);
  RawSocket socket(port_);
  socket.Send(PutHead(100'005) + std::string(100'000, 'x'));
  EXPECT_EQ(upstream.connections(), 0);
  socket.Send("ended");
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "second");
}

TEST_F(UploadTest, WhatTheClientBreaksIsNotTakenForTheWhole) {
  std::promise<std::string> seen;
  ByteServer upstream([&](ByteServer::Peer& peer) { seen.set_value(peer.ReadUntil("0\r\n\r\n")); });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  socket.Send(std::string(kChunked) + "3\r\nabc\r\nxyz\r\n0\r\n\r\n");
  EXPECT_EQ(StatusOf(socket.ReadResponse()), 400);
  EXPECT_THAT(seen.get_future().get(), EndsWith("3\r\nabc"));
}

TEST_F(UploadTest, AClientThatIsGoneLeavesTheUpstream) {
  std::promise<std::string> seen;
  ByteServer upstream([&](ByteServer::Peer& peer) { seen.set_value(peer.ReadUntil("never")); });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  socket.Send(PutHead(100'000) + "abc");
  socket.Close();
  EXPECT_THAT(seen.get_future().get(), EndsWith("abc"));
}

TEST_F(UploadTest, AnUpstreamThatTakesNothingHoldsTheClientBack) {
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future().share();
  ByteServer upstream([&](ByteServer::Peer&) { ended.wait(); });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  const timeval soon{.tv_sec = 0, .tv_usec = 300'000};
  ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
  socket.Send(PutHead(200'000'000));
  size_t sent = 0;
  const std::string piece(1'000'000, 'x');
  for (ssize_t size = 1; size > 0 && sent<150'000'000; sent += size> 0 ? size : 0)
    size = ::send(socket.descriptor(), piece.data(), piece.size(), MSG_NOSIGNAL);
  EXPECT_LT(sent, 50'000'000u) << "more than the kernel's buffers hold";
  end.set_value();
}

TEST_F(UploadTest, Of200MebibytesHoldsNoMemory) {
  constexpr size_t kBytes = size_t{200} << 20;
  ByteServer upstream([&](ByteServer::Peer& peer) {
    peer.ReadUntil("\r\n\r\n");
    size_t got = 0;
    while (got < kBytes) {
      const std::string more = peer.Read();
      if (more.empty()) return;
      got += more.size();
    }
    peer.Write(Ok(std::to_string(got)));
  });
  StartTo({upstream.address()});
  RawSocket socket(port_);
  const std::string piece(size_t{1} << 20, 'x');
  const size_t before = Resident();
  size_t most = before;
  socket.Send(PutHead(kBytes));
  for (size_t i = 0; i < kBytes / piece.size(); ++i) {
    ASSERT_TRUE(socket.Send(piece));
    most = std::max(most, Resident());
  }
  EXPECT_EQ(BodyOf(socket.ReadResponse()), std::to_string(kBytes));
#ifndef __SANITIZE_ADDRESS__  // which keeps what was freed for a while
  EXPECT_LT(most - before, 8'000u) << "kB";
#endif
}

}  // namespace
}  // namespace starling::gateway

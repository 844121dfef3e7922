// An upstream for tests that speaks HTTP/2 frame by frame, as the test says, on a loopback port.
//
//   H2RawServer server;
//   client.Send("GET / HTTP/1.1...");            // to the gateway
//   auto peer = server.Accept();                 // the gateway's connection
//   peer->Greet();                               // preface read, SETTINGS sent
//   EXPECT_EQ(peer->ReadRequest(1).fields[":path"], "/");
//   peer->Answer(1, {{":status", "200"}}, "body");
//
// Nothing runs beside the test.
#pragma once

#include <memory>

#include "platform/http/h2_raw_client.h"

namespace starling::gateway {

class H2RawPeer {
 public:
  explicit H2RawPeer(int descriptor) : peer_(http::RawSocket::Accepted{descriptor}) {}

  void Greet(std::string_view settings = {}) {
    EXPECT_EQ(peer_.socket().ReadBytes(http::kPreface.size()), http::kPreface);
    Frame(http::kSettings, 0, 0, settings);
  }
  void Frame(uint8_t type, int flags, uint32_t stream, std::string_view payload) {
    peer_.SendFrame(type, flags, stream, payload);
  }
  // Once it is whole, or reset.
  http::H2RawClient::Answer ReadRequest(uint32_t stream) { return peer_.ReadAnswer(stream); }
  void Head(uint32_t stream, const http::Fields& fields, int flags = 0) {
    Frame(http::kHeaders, http::kEndHeaders | flags, stream, peer_.Encode(fields));
  }
  void Answer(uint32_t stream, const http::Fields& fields, std::string_view body) {
    Head(stream, fields);
    Frame(http::kData, http::kEndStream, stream, body);
  }
  void Reset(uint32_t stream, uint32_t code) {
    Frame(http::kRstStream, 0, stream, http::Big(code, 4));
  }
  void GoAway(uint32_t last, uint32_t code = 0) {
    Frame(http::kGoAway, 0, 0, http::Big(last, 4) + http::Big(code, 4));
  }
  http::H2RawClient& raw() { return peer_; }

 private:
  http::H2RawClient peer_;
};

class H2RawServer {
 public:
  H2RawServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(listener_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~H2RawServer() { ::close(listener_); }
  H2RawServer(const H2RawServer&) = delete;

  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }
  // Waits for 10 s.
  std::unique_ptr<H2RawPeer> Accept() {
    const int descriptor = ::accept(listener_, nullptr, nullptr);
    EXPECT_GE(descriptor, 0) << "nobody came";
    return std::make_unique<H2RawPeer>(descriptor);
  }

 private:
  int listener_;
  uint16_t port_ = 0;
};

}  // namespace starling::gateway

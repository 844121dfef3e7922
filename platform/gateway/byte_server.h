// An upstream for tests that talks in bytes: each connection is a thread that runs `talk`.
//
//   ByteServer server([](ByteServer::Peer& peer) {
//     peer.ReadUntil("\r\n\r\n"); peer.Write("HTTP/1.1 200 OK\r\n"); ...
//   });
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace starling::gateway {

class ByteServer {
 public:
  class Peer {
   public:
    explicit Peer(int socket) : socket_(socket) {}
    // What comes next; "": nothing will.
    std::string Read() {
      if (!buffer_.empty()) return std::exchange(buffer_, {});
      std::string bytes(size_t{64} * 1024, '\0');
      const ssize_t size = ::recv(socket_, bytes.data(), bytes.size(), 0);
      bytes.resize(size > 0 ? static_cast<size_t>(size) : 0);
      return bytes;
    }
    // All up to `text` and it; all there was when the connection ended before.
    std::string ReadUntil(std::string_view text) {
      std::string all;
      for (;;) {
        const std::string more = Read();
        all += more;
        const size_t at = all.find(text);
        if (more.empty()) return all;
        if (at == std::string::npos) continue;
        buffer_ = all.substr(at + text.size());
        all.resize(at + text.size());
        return all;
      }
    }
    bool Write(std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(sent));
      }
      return true;
    }
    void FinishSending() { ::shutdown(socket_, SHUT_WR); }

   private:
    const int socket_;
    std::string buffer_;
  };
  using Talk = std::function<void(Peer&)>;

  explicit ByteServer(Talk talk) : talk_(std::move(talk)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      std::abort();
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~ByteServer() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int connection : sockets_) ::shutdown(connection, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int connection : sockets_) ::close(connection);
    ::close(listener_);
  }
  ByteServer(const ByteServer&) = delete;

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int connections() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(sockets_.size());
  }

 private:
  void Accept() {
    while (!ending_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) continue;
      const std::lock_guard lock(mutex_);
      sockets_.push_back(connection);
      threads_.emplace_back([this, connection] {
        Peer peer(connection);
        talk_(peer);
        ::shutdown(connection, SHUT_RDWR);
      });
    }
  }

  const Talk talk_;
  int listener_;
  uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace starling::gateway

// An upstream for tests that says exactly what it is told to, on a loopback port of its own.
//
//   RawServer server([](const std::string& request, int n) -> RawServer::Answer {
//     return {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
//   });
//   server.port(); server.requests();    // as they came, bodies included
//
// Each connection has a thread; a request ends after its Content-Length, or its last chunk: of one
// in chunks `requests` has the body without their sizes, and nothing when it does not end.
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
#include <vector>

#include "platform/base/clock.h"

namespace starling::gateway {

class RawServer {
 public:
  struct Answer {
    std::string bytes;
    bool close = false;
    Duration before = Duration(0);        // waits, and then answers
    std::vector<std::string> later = {};  // each 20 ms after the one before
  };
  using Handler = std::function<Answer(const std::string& request, int number)>;

  explicit RawServer(Handler handler) : handler_(std::move(handler)) {
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
  ~RawServer() {
    ending_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int connection : connections_) ::shutdown(connection, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
    for (const int connection : connections_) ::close(connection);
    ::close(listener_);
  }
  RawServer(const RawServer&) = delete;

  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(connections_.size());
  }
  // Of them, those whose client has closed, or that were closed after an answer.
  int ended() const { return ended_; }

 private:
  void Accept() {
    while (!ending_) {
      const int connection = ::accept(listener_, nullptr, nullptr);
      if (connection < 0) continue;
      const std::lock_guard lock(mutex_);
      connections_.push_back(connection);
      threads_.emplace_back([this, connection] { Serve(connection); });
    }
  }

  void Serve(int connection) {
    std::string buffer;
    while (!ending_) {
      const std::string request = Read(connection, buffer);
      if (request.empty()) break;
      int number;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        number = static_cast<int>(requests_.size());
      }
      const Answer answer = handler_(request, number);
      std::this_thread::sleep_for(answer.before);
      Write(connection, answer.bytes);
      for (const std::string& piece : answer.later) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        Write(connection, piece);
      }
      if (answer.close) break;
    }
    ::shutdown(connection, SHUT_RDWR);
    ++ended_;
  }

  static std::string Read(int connection, std::string& buffer) {
    for (;;) {
      const size_t end = buffer.find("\r\n\r\n");
      if (end != std::string::npos) {
        if (buffer.find("Transfer-Encoding: chunked\r\n") < end)
          return ReadChunks(connection, buffer, end + 4);
        size_t length = 0;
        const size_t field = buffer.find("Content-Length: ");
        if (field < end) length = std::strtoul(buffer.c_str() + field + 16, nullptr, 10);
        if (buffer.size() >= end + 4 + length) {
          std::string request = buffer.substr(0, end + 4 + length);
          buffer.erase(0, end + 4 + length);
          return request;
        }
      }
      if (!Fill(connection, buffer)) return "";
    }
  }

  static bool Fill(int connection, std::string& buffer) {
    char bytes[4096];
    const ssize_t size = ::recv(connection, bytes, sizeof(bytes), 0);
    if (size > 0) buffer.append(bytes, static_cast<size_t>(size));
    return size > 0;
  }

  static std::string ReadChunks(int connection, std::string& buffer, size_t at) {
    std::string request = buffer.substr(0, at);
    for (;;) {
      const size_t line = buffer.find("\r\n", at);
      const size_t length =
          line == std::string::npos ? 0 : std::strtoul(buffer.c_str() + at, nullptr, 16);
      if (line == std::string::npos || buffer.size() < line + 4 + length) {
        if (!Fill(connection, buffer)) return "";
        continue;
      }
      request.append(buffer, line + 2, length);
      at = line + 4 + length;
      if (length > 0) continue;
      buffer.erase(0, at);
      return request;
    }
  }

  static void Write(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

  const Handler handler_;
  int listener_;
  uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<int> ended_{0};
  std::mutex mutex_;
  std::vector<int> connections_;
  std::vector<std::string> requests_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace starling::gateway

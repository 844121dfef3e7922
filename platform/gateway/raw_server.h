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

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "platform/base/clock.h"
#include "platform/gateway/byte_server.h"

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

  explicit RawServer(Handler handler)
      : handler_(std::move(handler)), server_([this](ByteServer::Peer& peer) { Serve(peer); }) {}

  uint16_t port() const { return server_.port(); }
  std::string address() const { return server_.address(); }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int connections() { return server_.connections(); }
  // Of them, those whose client has closed, or that were closed after an answer.
  int ended() const { return ended_; }

 private:
  void Serve(ByteServer::Peer& peer) {
    std::string buffer;
    for (;;) {
      const std::string request = Read(peer, buffer);
      if (request.empty()) break;
      int number;
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        number = static_cast<int>(requests_.size());
      }
      const Answer answer = handler_(request, number);
      std::this_thread::sleep_for(answer.before);
      peer.Write(answer.bytes);
      for (const std::string& piece : answer.later) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        peer.Write(piece);
      }
      if (answer.close) break;
    }
    ++ended_;
  }

  static std::string Read(ByteServer::Peer& peer, std::string& buffer) {
    for (;;) {
      const size_t end = buffer.find("\r\n\r\n");
      if (end != std::string::npos) {
        if (buffer.find("Transfer-Encoding: chunked\r\n") < end)
          return ReadChunks(peer, buffer, end + 4);
        size_t length = 0;
        const size_t field = buffer.find("Content-Length: ");
        if (field < end) length = std::strtoul(buffer.c_str() + field + 16, nullptr, 10);
        if (buffer.size() >= end + 4 + length) {
          std::string request = buffer.substr(0, end + 4 + length);
          buffer.erase(0, end + 4 + length);
          return request;
        }
      }
      if (!Fill(peer, buffer)) return "";
    }
  }

  static bool Fill(ByteServer::Peer& peer, std::string& buffer) {
    const std::string more = peer.Read();
    buffer += more;
    return !more.empty();
  }

  static std::string ReadChunks(ByteServer::Peer& peer, std::string& buffer, size_t at) {
    std::string request = buffer.substr(0, at);
    for (;;) {
      const size_t line = buffer.find("\r\n", at);
      const size_t length =
          line == std::string::npos ? 0 : std::strtoul(buffer.c_str() + at, nullptr, 16);
      if (line == std::string::npos || buffer.size() < line + 4 + length) {
        if (!Fill(peer, buffer)) return "";
        continue;
      }
      request.append(buffer, line + 2, length);
      at = line + 4 + length;
      if (length > 0) continue;
      buffer.erase(0, at);
      return request;
    }
  }

  const Handler handler_;
  std::atomic<int> ended_{0};
  std::mutex mutex_;  // of requests_
  std::vector<std::string> requests_;
  ByteServer server_;  // goes first: its threads use the rest
};

}  // namespace starling::gateway

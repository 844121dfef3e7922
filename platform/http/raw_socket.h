// A blocking socket for tests: says exactly these bytes, and reads until something is known. Ten
// seconds of silence are a failure, not a wait for ever.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace starling::http {

class RawSocket {
 public:
  explicit RawSocket(uint16_t port)
      : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    const int on = 1;
    ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        ::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  // One that a server has accepted.
  struct Accepted {
    int descriptor;
  };
  explicit RawSocket(Accepted accepted) : descriptor_(accepted.descriptor), connected_(true) {
    const timeval timeout{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  }
  ~RawSocket() { Close(); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  bool connected() const { return connected_; }
  int descriptor() const { return descriptor_; }

  bool Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      text.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }

  // All until the server closes; `reset()` says whether it did so by a reset.
  std::string ReadToEnd() {
    while (Fill()) {
    }
    return std::exchange(buffer_, {});
  }

  // One response with Content-Length, head included; what was read when the connection ended
  // before.
  std::string ReadResponse() {
    size_t head_end;
    while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!Fill()) return std::exchange(buffer_, {});
    }
    size_t size = head_end + 4;
    const size_t field = buffer_.find("Content-Length: ");
    if (field < head_end) size += std::stoul(buffer_.substr(field + 16));
    while (buffer_.size() < size) {
      if (!Fill()) return std::exchange(buffer_, {});
    }
    std::string response = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return response;
  }

  // Until `text` was seen; everything before it and it are taken. "" when the connection ended
  // first.
  std::string ReadUntil(std::string_view text) {
    size_t at;
    while ((at = buffer_.find(text)) == std::string::npos) {
      if (!Fill()) return {};
    }
    std::string taken = buffer_.substr(0, at + text.size());
    buffer_.erase(0, at + text.size());
    return taken;
  }

  // Exactly so many bytes; fewer when the connection ended before.
  std::string ReadBytes(size_t size) {
    while (buffer_.size() < size && Fill()) {
    }
    std::string taken = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return taken;
  }

  std::string Ask(std::string_view request) {
    Send(request);
    return ReadResponse();
  }

  void FinishSending() { ::shutdown(descriptor_, SHUT_WR); }
  bool reset() const { return reset_; }
  void Close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

 private:
  bool Fill() {
    char bytes[16384];
    const ssize_t size = ::recv(descriptor_, bytes, sizeof(bytes), 0);
    if (size > 0) {
      buffer_.append(bytes, static_cast<size_t>(size));
      return true;
    }
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      ADD_FAILURE() << "the server said nothing for 10 s";
    reset_ = size < 0;
    return false;
  }

  int descriptor_;
  bool connected_ = false;
  bool reset_ = false;
  std::string buffer_;
};

// 404 of "HTTP/1.1 404 Not Found\r\n..."; 0 when it is no response.
inline int StatusOf(std::string_view response) {
  return response.starts_with("HTTP/1.1 ") ? std::atoi(std::string(response.substr(9, 3)).c_str())
                                           : 0;
}
inline std::string BodyOf(std::string_view response) {
  const size_t end = response.find("\r\n\r\n");
  return end == std::string_view::npos ? std::string() : std::string(response.substr(end + 4));
}

}  // namespace starling::http

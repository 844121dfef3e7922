// WebSocket through the gateway (RFC 6455): what is a handshake, who may make one, and how many
// tunnels there are.
//
// The handshake is an HTTP request like others: access rule, limits and header fields apply. It
// goes on with Connection and Upgrade written anew; when the server answers 101, bytes pass both
// ways as they are, each side held back by the other, until one ends or nothing passes for
// quiet_timeout. Pure, but for the count, which is thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "platform/http/message.h"

namespace starling::gateway {

inline constexpr std::string_view kWebSocket = "websocket";

// Whether the request asks to switch to WebSocket, well or badly.
bool AsksForWebSocket(const http::Request& request);

// Whether its handshake may go on (RFC 6455, 4.2.1; `origins` against pages of others that use a
// user's credentials, 10.2; none: any). INVALID_ARGUMENT says what is wrong, FAILED_PRECONDITION
// that it is another version (426), PERMISSION_DENIED that it is from another origin.
Status CheckHandshake(const http::Request& request, bool has_body,
                      const std::vector<std::string>& origins);

// "https://shop.example", "http://localhost:8080": as browsers write it.
bool IsOrigin(std::string_view text);

// How many tunnels of a route are open. A changed configuration counts on.
class TunnelCount {
 public:
  // That of the route with this path, for the life of the process.
  static std::shared_ptr<TunnelCount> Of(const std::string& path);

  class Place {
   public:
    Place() = default;
    explicit Place(std::shared_ptr<TunnelCount> count) : count_(std::move(count)) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (count_ != nullptr) count_->open_.fetch_sub(1, std::memory_order_relaxed);
    }
    explicit operator bool() const { return count_ != nullptr; }

   private:
    std::shared_ptr<TunnelCount> count_;
  };
  // An empty place: `most` are taken.
  static Place Take(const std::shared_ptr<TunnelCount>& count, int most);
  int open() const { return open_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> open_{0};
};

}  // namespace starling::gateway

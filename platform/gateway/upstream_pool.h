// What an Upstream has for each endpoint, and what it knows of a try. Internal to upstream*.cc.
#pragma once

#include <boost/asio/post.hpp>

#include "platform/gateway/h2_upstream.h"
#include "platform/gateway/upstream.h"
#include "platform/gateway/upstream_connection.h"

namespace starling::gateway {

// Whether a request may be sent twice (RFC 9110, 9.2.2).
inline bool IsIdempotent(http::Verb verb) {
  switch (verb) {
    case http::Verb::kGet:
    case http::Verb::kHead:
    case http::Verb::kPut:
    case http::Verb::kDelete:
    case http::Verb::kOptions:
      return true;
    default:
      return false;
  }
}

// The idle connections to one endpoint, by io thread: each list is touched by its thread alone.
struct Upstream::Pool {
  std::string host;
  uint16_t port;
  std::vector<std::shared_ptr<ProxyThread>> threads;
  std::vector<std::vector<std::unique_ptr<UpstreamConnection>>> idle;
  std::vector<H2Upstream> h2;  // of an upstream that speaks it, by io thread

  ~Pool() {
    // Sockets end on their own threads.
    for (size_t i = 0; i < idle.size(); ++i) {
      if (idle[i].empty()) continue;
      boost::asio::post(
          threads[i]->context(),
          [thread = threads[i], connections = std::make_shared<decltype(idle)::value_type>(
                                    std::move(idle[i]))] { connections->clear(); });
    }
  }

  std::unique_ptr<UpstreamConnection> Take(size_t thread, Duration idle_timeout) {
    auto& list = idle[thread];
    if (list.empty()) return nullptr;
    std::unique_ptr<UpstreamConnection> last = std::move(list.back());
    list.pop_back();
    // The last used is the last: when that is too old, all are.
    if (std::chrono::steady_clock::now() - last->idle_since <= idle_timeout) return last;
    list.clear();
    return nullptr;
  }
  void GiveBack(size_t thread, std::unique_ptr<UpstreamConnection> connection, size_t most,
                Duration idle_timeout) {
    auto& list = idle[thread];
    connection->idle_since = std::chrono::steady_clock::now();
    // The first is the oldest.
    size_t old = list.size() >= most ? 1 : 0;
    while (old < list.size() && connection->idle_since - list[old]->idle_since > idle_timeout)
      ++old;
    list.erase(list.begin(), list.begin() + static_cast<ptrdiff_t>(old));
    list.push_back(std::move(connection));
  }
};

// What became of one try.
struct Upstream::Attempt {
  Status status;           // OK: the exchange is answered
  bool may_repeat = true;  // it cannot have done anything, or may be done twice
  bool clients = false;    // the client is to blame
  int answer = 0;          // the HTTP status, when there was one
};

}  // namespace starling::gateway

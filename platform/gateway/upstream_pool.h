// What an Upstream has for each endpoint, and what it knows of a try. Internal to upstream*.cc.
#pragma once

#include <atomic>
#include <boost/asio/post.hpp>
#include <mutex>

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

// A request under way, counted while it lives.
class UnderWay {
 public:
  explicit UnderWay(std::atomic<int>& count) : count_(count) {
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  ~UnderWay() { count_.fetch_sub(1, std::memory_order_relaxed); }
  UnderWay(const UnderWay&) = delete;

 private:
  std::atomic<int>& count_;
};

// The idle connections to one endpoint, by io thread: each list is touched by its thread alone.
struct Upstream::Pool {
  std::string host;
  uint16_t port;
  std::vector<std::shared_ptr<ProxyThread>> threads;
  std::vector<std::vector<std::unique_ptr<UpstreamConnection>>> idle;
  std::vector<H2Upstream> h2;      // of an upstream that speaks it, by io thread
  std::atomic<int> in_flight{0};   // requests, of all threads
  std::atomic<int> idle_count{0};  // connections, of all threads

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
    idle_count.fetch_sub(1, std::memory_order_relaxed);
    // One may be too old still, when the sweep is late.
    if (std::chrono::steady_clock::now() - last->idle_since <= idle_timeout) return last;
    return nullptr;
  }
  void GiveBack(size_t thread, std::unique_ptr<UpstreamConnection> connection, size_t most) {
    auto& list = idle[thread];
    connection->idle_since = std::chrono::steady_clock::now();
    if (list.size() >= most) CloseFirst(thread, 1);
    list.push_back(std::move(connection));
    idle_count.fetch_add(1, std::memory_order_relaxed);
  }
  void Sweep(size_t thread, Duration idle_timeout) {
    const auto& list = idle[thread];
    const Instant now = std::chrono::steady_clock::now();
    size_t old = 0;
    while (old < list.size() && now - list[old]->idle_since > idle_timeout) ++old;
    CloseFirst(thread, old);
  }

 private:
  // The first are the oldest.
  void CloseFirst(size_t thread, size_t count) {
    auto& list = idle[thread];
    list.erase(list.begin(), list.begin() + static_cast<ptrdiff_t>(count));
    idle_count.fetch_sub(static_cast<int>(count), std::memory_order_relaxed);
  }
};

// Those that there are: an endpoint that is not named any more keeps its own until its last request
// has ended.
struct Upstream::Pools {
  std::mutex mutex;
  std::vector<std::pair<std::string, std::weak_ptr<Pool>>> by_address;

  void Add(const std::string& address, const std::shared_ptr<Pool>& pool) {
    const std::lock_guard lock(mutex);
    std::erase_if(by_address, [](const auto& one) { return one.second.expired(); });
    by_address.emplace_back(address, pool);
  }
  std::vector<std::pair<std::string, std::shared_ptr<Pool>>> Live() {
    std::vector<std::pair<std::string, std::shared_ptr<Pool>>> live;
    const std::lock_guard lock(mutex);
    for (const auto& [address, weak] : by_address) {
      if (auto pool = weak.lock()) live.emplace_back(address, std::move(pool));
    }
    return live;
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

#include "platform/http/client_pool.h"

#include <sys/socket.h>

#include <algorithm>

namespace starling::http {
namespace {

// Nothing to read: neither the end, nor bytes that nobody asked for.
bool IsQuiet(ClientSocket& socket) {
  char byte;
  const ssize_t size = ::recv(socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

}  // namespace

ClientPool::ClientPool(boost::asio::io_context& context, const ClientOptions& options)
    : context_(context), options_(options), purge_(context) {}

StatusOr<bool> ClientPool::Take(const std::string& name, SlotWaiter& waiter) {
  Origin& origin = origins_[name];
  if (origin.slots_taken >= options_.max_connections_per_origin) {
    if (origin.waiters.size() >= options_.max_waiting) {
      return ResourceExhausted("{} calls already wait for one of the {} connections to {}",
                               origin.waiters.size(), options_.max_connections_per_origin, name);
    }
    origin.waiters.push_back(&waiter);
    return false;
  }
  ++origin.slots_taken;
  waiter.granted = true;
  while (!origin.idle.empty() && waiter.connection == nullptr) {
    Idle idle = std::move(origin.idle.back());
    origin.idle.pop_back();
    if (IsQuiet(idle.connection->socket)) waiter.connection = std::move(idle.connection);
  }
  return true;
}

void ClientPool::Leave(const std::string& name, SlotWaiter& waiter) {
  std::erase(origins_[name].waiters, &waiter);
}

void ClientPool::GiveBack(const std::string& name, std::unique_ptr<ClientConnection> connection) {
  Origin& origin = origins_[name];
  if (!origin.waiters.empty()) {
    SlotWaiter& first = *origin.waiters.front();
    origin.waiters.pop_front();
    first.granted = true;
    first.connection = std::move(connection);
    first.wake->cancel();
    return;
  }
  --origin.slots_taken;
  if (connection == nullptr || closed_) return;
  origin.idle.push_back({std::move(connection), std::chrono::steady_clock::now()});
  ArmPurge();
}

void ClientPool::ArmPurge() {
  if (purge_armed_ || closed_) return;
  purge_armed_ = true;
  purge_.expires_after(options_.idle_timeout);
  purge_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (self == nullptr || error) return;
    self->purge_armed_ = false;
    self->Purge();
  });
}

void ClientPool::Purge() {
  const Instant oldest = std::chrono::steady_clock::now() - options_.idle_timeout;
  bool left = false;
  for (auto at = origins_.begin(); at != origins_.end();) {
    Origin& origin = at->second;
    std::erase_if(origin.idle, [&](const Idle& idle) { return idle.since <= oldest; });
    left = left || !origin.idle.empty();
    const bool unused = origin.idle.empty() && origin.slots_taken == 0 && origin.waiters.empty();
    at = unused ? origins_.erase(at) : std::next(at);
  }
  if (left) ArmPurge();
}

void ClientPool::Close() {
  closed_ = true;
  purge_.cancel();
  for (auto& [name, origin] : origins_) origin.idle.clear();
}

}  // namespace starling::http

// The client's connections on one io thread, by origin. Internal to the client; runs on that thread
// only.
//
// An origin has at most max_connections_per_origin slots. A call that finds none free waits in
// line; a slot given back goes to the first in line, with its connection when that is still good.
// Idle connections are closed after idle_timeout by one timer a thread.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "platform/http/client.h"

namespace starling::http {

using ClientSocket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

// A connection to a server, with TLS over it or without.
struct ClientConnection {
  explicit ClientConnection(boost::asio::io_context& context) : socket(context) {}
  ClientSocket socket;
  std::unique_ptr<boost::asio::ssl::stream<ClientSocket&>> tls;  // nullptr: http
};

// A caller waiting for a slot; its timer is cancelled when it has one.
struct SlotWaiter {
  boost::asio::steady_timer* wake;
  bool granted = false;
  std::unique_ptr<ClientConnection> connection;  // comes with the slot, or null: connect
};

class ClientPool : public std::enable_shared_from_this<ClientPool> {
 public:
  ClientPool(boost::asio::io_context& context, const ClientOptions& options);

  // A slot at once: its idle connection or null. False when there is none, and the waiter is in
  // line, unless the line is full too: RESOURCE_EXHAUSTED.
  StatusOr<bool> Take(const std::string& origin, SlotWaiter& waiter);
  // Out of the line, without a slot.
  void Leave(const std::string& origin, SlotWaiter& waiter);
  // Gives a slot back, with its connection if that can be used again.
  void GiveBack(const std::string& origin, std::unique_ptr<ClientConnection> connection);
  void Close();

  boost::asio::io_context& context() { return context_; }

 private:
  struct Idle {
    std::unique_ptr<ClientConnection> connection;
    Instant since;
  };
  struct Origin {
    size_t slots_taken = 0;
    std::vector<Idle> idle;  // the last used is the last; they hold no slot
    std::deque<SlotWaiter*> waiters;
  };
  void ArmPurge();
  void Purge();

  boost::asio::io_context& context_;
  const ClientOptions options_;
  std::unordered_map<std::string, Origin> origins_;
  boost::asio::steady_timer purge_;
  bool purge_armed_ = false;
  bool closed_ = false;
};

}  // namespace starling::http

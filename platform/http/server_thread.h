// What one io thread of a server has: its acceptor, its connections, its sweep. Internal to the
// server.
//
//   accept -> Connection (see connection.h) ... -> gone
//   sweep, every sweep_interval: the Date line, deadlines, clients that left while a handler runs
//   drain: listener takes no new handshake, its backlog is accepted, then it closes; connections
//   finish and close
//
// Everything here runs on that io thread, but for construction, Listen and the counters.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "platform/base/snapshot.h"
#include "platform/http/server.h"
#include "platform/http/transport.h"

struct pollfd;

namespace starling::http {

using Acceptor = boost::asio::basic_socket_acceptor<Tcp, boost::asio::io_context::executor_type>;

class Connection;
class Http1Connection;
class TlsHandshake;
struct Handover;

// What the threads of a server share. It holds nothing that belongs to an io_context.
struct ServerCore {
  ServerCore(ServerOptions server_options, std::shared_ptr<const Router> first_router)
      : options(std::move(server_options)), router(std::move(first_router)) {}
  const ServerOptions options;
  Snapshot<Router> router;
  std::atomic<size_t> connections{0};
  std::atomic<size_t> in_flight{0};
  std::atomic<int> listening{0};  // threads whose listener is open
  std::atomic<int> cutting{0};    // threads that are to cut and have not yet
  std::atomic<size_t> cut_requests{0};
};

// Counts that one thread writes and any thread reads.
class ThreadCounter {
 public:
  void Add() {
    value_.store(value_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct ThreadCounters {
  ThreadCounter accepted, rejected_connections, requests, rejected_requests, malformed_requests,
      timeouts, client_disconnects, handler_exceptions, tls_handshakes, tls_resumed, tls_failures,
      http2_connections, http2_protocol_errors, http2_floods;
};

class ServerThread : public std::enable_shared_from_this<ServerThread> {
 public:
  ServerThread(std::shared_ptr<ServerCore> core, boost::asio::io_context& context, int index);
  ~ServerThread();

  // Binds, with SO_REUSEPORT when several threads share the port, and gives the port.
  StatusOr<uint16_t> Listen(const Tcp::endpoint& endpoint, int listeners);
  // The same three steps from any thread: run on the io thread.
  void Start();
  void Drain();
  void Cut();   // every connection, at once; counts the requests that broke
  void Stop();  // closes all; the thread object goes when its coroutines have ended

  ServerCore& core() { return *core_; }
  const ServerOptions& options() const { return core_->options; }
  boost::asio::io_context& context() { return context_; }
  int index() const { return index_; }
  std::string_view date_line() const { return date_line_; }
  bool draining() const { return draining_; }
  // Until when a silent connection is kept; only while draining.
  Instant drain_idle_deadline() const { return drain_idle_deadline_; }
  ThreadCounters counters;

  void Link(Connection* connection);
  void Unlink(Connection* connection);

  // Where connections read into that use all of what they read at once.
  std::span<char> read_buffer();

 private:
  Task<void> Accept();
  Task<void> AcceptBacklog();
  Task<void> Sweep();
  Task<void> ServeTls(std::shared_ptr<TlsHandshake> handshake);
  Task<void> ServeHttp1(std::shared_ptr<Http1Connection> connection);
  Task<void> ServeHttp2(Handover handover);
  Task<void> Reject(Socket socket);
  void TakeConnection(Socket socket, const Tcp::endpoint& peer);
  void CloseListener();
  void SweepConnections();
  template <typename F>
  void Post(F f);

  const std::shared_ptr<ServerCore> core_;
  boost::asio::io_context& context_;
  const int index_;
  Acceptor acceptor_;
  boost::asio::steady_timer sweep_timer_;
  Connection* first_ = nullptr;
  uint64_t next_connection_ = 0;
  int rejecting_ = 0;
  std::vector<char> read_buffer_;
  std::string date_line_;
  int64_t date_second_ = 0;
  bool listening_ = false;
  bool draining_ = false;
  bool stopped_ = false;
  Instant drain_idle_deadline_{};
  std::vector<pollfd> polled_;
  std::vector<Connection*> polled_connections_;
};

}  // namespace starling::http

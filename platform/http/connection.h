// What the server knows of each of its connections, whatever it speaks. Internal to the server.
//
//   accepted ──(TLS listener)──> TlsHandshake ──ALPN──┬──http/1.1──> Http1Connection
//      │                                              └──h2────────> H2Connection
//      └──────> Http1Connection ──its first bytes are HTTP/2's preface──> H2Connection
//
// Each is one coroutine on one io thread; one hands its transport over to the next.
#pragma once

#include <memory>
#include <string>

#include "platform/http/router.h"
#include "platform/http/server_thread.h"
#include "platform/http/transport.h"

namespace starling::http {

// Who is at the other end.
struct Peer {
  std::string address;
  uint64_t connection_id = 0;
  bool tls = false;
  std::shared_ptr<const ClientCertificate> certificate;
};

// What a connection leaves to the one that goes on with its socket.
struct Handover {
  Transport transport;
  Peer peer;
  std::string received;  // bytes that were read and not used
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // One of the core's `connections`, until it is destroyed.
  Connection(std::shared_ptr<ServerThread> thread, Transport transport, Peer peer);
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // By the sweep.
  virtual void CheckDeadline(Instant now) = 0;
  virtual bool WantsClientCheck() { return false; }
  virtual void ClientIsGone() {}

  // The server begins to drain.
  virtual void Drain() {}
  // Ends everything now, and gives how many requests that broke.
  virtual size_t Cut() = 0;

  int descriptor() { return transport_.descriptor(); }

 protected:
  // Fills what a request has of its connection.
  void Introduce(Request& request) const;
  // Runs the route's handler, or refuses when too many run on the server. False: the handler threw.
  Task<bool> RunHandler(const Router& router, const Router::Match& match, Exchange& exchange);
  void Observe(const Exchange& exchange) const;
  // Nothing more is sent; reads and drops what still comes, until the client closes too or the
  // socket is cancelled.
  Task<void> DropInput();
  void Close();

  const std::shared_ptr<ServerThread> thread_;
  Transport transport_;
  const Peer peer_;

 private:
  friend class ServerThread;  // the list's links
  Connection* next_ = nullptr;
  Connection* previous_ = nullptr;
};

}  // namespace starling::http

// The HTTP server: HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113) on one port, over TLS or without; one
// acceptor and its connections on each io thread of a Runtime.
//
//   Server server(runtime, {.port = 8080}, router);
//   STARLING_ASSIGN_OR_RETURN(uint16_t port, server.Start());
//   ...
//   const size_t cut = co_await server.Drain(std::chrono::seconds(20));
//
// Guarantees
//   A connection lives on one io thread; its requests are answered in order, those pipelined
//   together in one write. Bounds, each counted in Stats: what is too large is refused (head 431,
//   target 414, body 413), who is too slow gets 408 and is closed, connections above
//   max_connections get 503 with Retry-After and are closed, requests above max_in_flight get 503
//   with Retry-After. Timeouts are kept by one sweep a thread: they fire up to sweep_interval late.
//   Malformed requests are refused with 400 and the connection is closed: see request_parser.h. A
//   response is sent before its connection is closed; what a client still sends then is read for
//   linger_timeout and dropped, so that it sees the answer and not a reset.
//
// HTTP/2 is spoken to who agrees on it by ALPN over TLS, or begins with its preface without TLS.
//   Streams are requests like others, and run concurrently on their connection's thread. Where
//   HTTP/1.1 would close a connection, one stream ends: 413, 408 and 431 are answered, then it is
//   reset. Bounds of a connection: max_streams at once (more are refused, RFC 9113, 5.1.2; a
//   handler counts until it has ended, whether or not the client has reset its stream), the bodies
//   of all its streams together by max_connection_body_bytes (503), and how often a client may send
//   what costs us and brings nothing: PING, SETTINGS, PRIORITY, empty frames, resets. Who breaks
//   the protocol gets GOAWAY with its error, who floods ENHANCE_YOUR_CALM; both are counted. A
//   stream whose client takes nothing for write_timeout is reset.
//
// Start, Drain, SetRouter and Stats may be called from any thread. Destroy the server before its
// Runtime; destruction without Drain cuts every connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/http/router.h"
#include "platform/http/tls.h"

namespace starling::http {

struct ServerOptions {
  std::string address = "127.0.0.1";  // a literal IPv4 or IPv6 address; "::" takes both
  uint16_t port = 0;                  // 0: any free one, given by Start
  size_t max_header_bytes = size_t{16} << 10;
  uint64_t max_body_bytes = uint64_t{1} << 20;         // a route may have its own: RouteOptions
  Duration header_timeout = std::chrono::seconds(10);  // from a head's first byte to its last
  Duration body_timeout =
      std::chrono::seconds(30);  // for the whole body, and a second more for each 64 KiB that came
  Duration idle_timeout = std::chrono::seconds(75);   // between two requests of a connection
  Duration write_timeout = std::chrono::seconds(30);  // without the client taking a byte
  Duration linger_timeout = std::chrono::seconds(1);
  Duration sweep_interval = std::chrono::milliseconds(250);
  // In Drain, how long a silent keep-alive connection may still bring a request before it is
  // closed.
  Duration drain_idle_grace = std::chrono::milliseconds(500);
  size_t max_connections = 10'000;  // over all io threads
  size_t max_in_flight = 10'000;    // requests with a handler running, over all io threads
  size_t max_pipelined = 64;        // answers gathered for one write
  int listen_backlog = 1024;
  size_t max_streams = 100;                                 // HTTP/2, of one connection at once
  uint64_t max_connection_body_bytes = uint64_t{16} << 20;  // HTTP/2, of all its streams
  std::shared_ptr<Tls> tls;                                 // nullptr: without TLS
  // Called on the io thread when an answer is complete, with the time since its request's head was.
  // For access logs and metrics; must not block or throw.
  std::function<void(const Exchange& exchange, Duration took)> observer;
};

struct ServerStats {
  uint64_t accepted = 0;              // connections, those rejected included
  uint64_t rejected_connections = 0;  // above max_connections
  uint64_t active_connections = 0;    // now
  uint64_t requests = 0;              // answered by a route or by the router
  uint64_t in_flight = 0;             // now
  uint64_t rejected_requests = 0;     // above max_in_flight
  uint64_t malformed_requests = 0;    // refused by the parser, sizes included
  uint64_t timeouts = 0;              // slow heads, bodies and readers; idle closes are not counted
  uint64_t client_disconnects = 0;    // seen while a handler ran or an answer was written
  uint64_t handler_exceptions = 0;
  uint64_t tls_handshakes = 0;  // that ended well
  uint64_t tls_resumed = 0;     // of them, by a ticket
  uint64_t tls_failures = 0;    // no common version or protocol, bad client certificate, no TLS
  uint64_t http2_connections = 0;
  uint64_t http2_protocol_errors = 0;  // connections ended since the client broke the protocol
  uint64_t http2_floods = 0;  // connections ended since the client sent too much of nothing
};

class Server {
 public:
  using Options = ServerOptions;
  Server(Runtime& runtime, Options options, std::shared_ptr<const Router> router);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds and listens on every io thread; gives the port. UNAVAILABLE naming the address and the
  // remedy when it cannot. Blocks for less than a millisecond. Once only.
  StatusOr<uint16_t> Start();

  // Requests whose head comes from now on are answered by this router.
  void SetRouter(std::shared_ptr<const Router> router);

  // Stops in peace: takes no new connection (those in the accept backlog are served), answers what
  // was received, each connection's last answer with `Connection: close`. After `limit`, or when
  // nothing is left, cuts what remains, firing its cancellation tokens, and gives how many requests
  // that broke. Waits 2 s more for their handlers to end.
  Task<size_t> Drain(Duration limit);

  ServerStats Stats() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace starling::http

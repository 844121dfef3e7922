// An HTTP/1.1 client with connection pools, over TCP or TLS.
//
//   Client client(runtime, {});
//   ClientRequest request{.verb = Verb::kPost, .url = "http://127.0.0.1:4318/v1/traces", .body =
//   bytes}; StatusOr<ClientResponse> response = co_await client.Send(std::move(request));
//
// The result is an error only when there is no answer: INVALID_ARGUMENT (the URL), UNAVAILABLE
// (refused, reset, no such host), DEADLINE_EXCEEDED, CANCELLED, RESOURCE_EXHAUSTED (the answer is
// above max_response_bytes, or max_waiting calls already wait for a connection). An answer of any
// status is a result; StatusFromHttp makes it a Status.
//
// A body that goes on for long, such as a stream of changes, is read piece by piece:
//
//   request.on_piece = [&](std::string_view piece) { return lines.Add(piece); };
//
// A pool belongs to one io thread and one origin, so a connection never changes threads; calls from
// other threads hop to an io thread first. A request is sent again, once, when a pooled connection
// turns out to have been closed before any byte of the answer, and only if it is idempotent: by its
// verb, or by an Idempotency-Key header. Nothing else is retried. Redirects are not followed.
//
// https: TLS 1.2 and 1.3. The server's certificate must name the URL's host and be signed by one of
// ca_file, or of the system's; there is no way to do without (UNAVAILABLE says why it is not
// believed). ca_file is read once, when the client is made: FAILED_PRECONDITION when it is none.
// Thread-safe. Destroy the client before its Runtime and after its calls have ended.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "platform/async/cancellation.h"
#include "platform/async/runtime.h"
#include "platform/http/message.h"

namespace starling::http {

struct ClientRequest {
  Verb verb = Verb::kGet;
  std::string url;  // "https://host[:port]/path?query", already encoded; IPv6 hosts in brackets
  Headers headers;  // Host, Content-Length and Connection are the client's to write
  std::string body;
  Duration timeout = std::chrono::seconds(10);  // for everything, waiting for a connection included
  CancellationToken cancellation = {};
  // When there is one, it is given the body of a 2xx answer as it comes, and the result's body is
  // empty. It runs on the call's io thread; a status that is not OK ends the call with it. Then
  // `timeout` bounds the time until the answer's head, `quiet_timeout` that between pieces, and
  // max_response_bytes nothing. The connection is the call's own for as long as it lasts.
  std::function<Status(std::string_view piece)> on_piece = {};
  Duration quiet_timeout = std::chrono::seconds(60);
};

struct ClientResponse {
  int status = 0;
  Headers headers;
  std::string body;
};

struct ClientOptions {
  size_t max_connections_per_origin = 16;  // an io thread; above, calls wait in order
  size_t max_waiting = 1024;  // calls that wait for a connection, an origin and io thread
  Duration idle_timeout = std::chrono::seconds(30);
  uint64_t max_response_bytes = uint64_t{16} << 20;
  size_t max_header_bytes = size_t{64} << 10;
  std::string ca_file = {};  // PEM: who signs https servers' certificates; empty: the system's
};

struct ClientStats {
  uint64_t connections_opened = 0;
  uint64_t connections_reused = 0;
  uint64_t retries = 0;
};

class Client {
 public:
  using Options = ClientOptions;
  Client(Runtime& runtime, Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Task<StatusOr<ClientResponse>> Send(ClientRequest request);

  ClientStats Stats() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace starling::http

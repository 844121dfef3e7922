// A group of servers that answer the same requests: a team's own service, in any language.
//
//   auto upstream = Upstream::Make({.name = "search", .endpoints = {{"127.0.0.1:9001"}}},
//                                  runtime, metrics).value();
//   Status status = co_await upstream->Forward(exchange.request, exchange, {.policy = policy,
//   .target =
//   "/find?q=tea"});
//
// Which endpoint gets a request is the balancer's choice (discovery/balancer.h): two drawn at
// random, the one with fewer requests in flight and lower latency taken; one that fails five times
// in a row, or much more often than the others, is left out for a while. With a health check, an
// endpoint that does not answer it gets nothing; when none does, all get requests, since then the
// check is more likely wrong than all of them.
//
// A try that failed is repeated on another endpoint, `retries` times at most and within the
// upstream's retry budget (10 % of requests), when the request may be sent twice: by its method
// (RFC 9110, 9.2.2), or since not a byte of it was sent, as when the endpoint could not be reached.
// A connection that its server closed while it was idle costs no try. What was answered with 502,
// 503 or 504 is tried again under the same rules; the last answer is given on as it is.
//
// A body that the exchange streams goes on as it comes, while the answer may come (upload.h): such
// a request is not tried again once a connection was there, since what was read of it is gone. Its
// policy.timeout runs from its end.
//
// Connections are kept, by io thread and endpoint, and never change threads. Those that nobody used
// for idle_timeout are closed by a sweep, at most a quarter of it (and at most a second) late.
// Answers up to
// kGathered are read before they are given on; of longer ones, and of those whose length is not
// known, each piece goes to the client as it comes, and only when the client took the one before.
//
// Thread-safe. Destroy it before its Runtime; requests under way keep what they need.
#pragma once

#include <absl/functional/function_ref.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/discovery/balancer.h"
#include "platform/http/exchange.h"
#include "platform/resilience/retry_budget.h"
#include "platform/telemetry/metrics.h"

namespace starling::http {
class ClientTls;
}  // namespace starling::http

namespace starling::gateway {

struct HealthCheck {
  std::string path = "/healthz";  // 2xx and 3xx are well
  Duration interval = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(2);
  int failures = 2;   // in a row, until it is left out
  int successes = 1;  // in a row, until it is back
};

enum class Protocol : uint8_t {
  kHttp1,
  kH2,  // HTTP/2, without TLS at once (RFC 9113, 3.3); what gRPC needs
};

struct UpstreamOptions {
  std::string name;
  Protocol protocol = Protocol::kHttp1;
  std::vector<discovery::Endpoint> endpoints;  // addresses as "host:port"
  Duration connect_timeout = std::chrono::seconds(1);
  Duration idle_timeout = std::chrono::seconds(30);
  size_t max_idle = 128;             // connections kept, an endpoint and io thread
  Duration keepalive = Duration(0);  // HTTP/2: silence until a PING; 0: none
  size_t max_header_bytes = size_t{32} * 1024;
  std::optional<HealthCheck> health;
  resilience::RetryBudget::Options retries;
  std::shared_ptr<http::ClientTls> tls;  // of all endpoints; offers the protocol; nullptr: none
};

inline constexpr uint64_t kGathered = uint64_t{64} * 1024;

// How a route's requests are sent on.
struct ForwardPolicy {
  // Until the head of the answer, with all tries; then as long again for a body that is gathered.
  Duration timeout = std::chrono::seconds(30);
  Duration try_timeout = Duration(0);  // of one try; 0: none of its own
  // Between two pieces of an answer: also how long a stream of events may be silent.
  Duration quiet_timeout = std::chrono::seconds(60);
  int retries = 1;
  bool pass_authorization = false;  // otherwise the caller's credentials end here
};

struct Forwarding {
  const ForwardPolicy& policy;
  std::string_view target;  // "/path?query", encoded
  // Sent instead of what the client said under these names.
  std::span<const std::pair<std::string_view, std::string_view>> headers = {};
  // Called when an answer's head is known, before any of it goes out: to add fields. Gives how many
  // bytes of a body are gathered before the first goes on; `whole` asks that one of unknown length
  // is, too.
  struct Gather {
    uint64_t most = kGathered;
    bool whole = false;
  };
  absl::FunctionRef<Gather(http::Response&)> on_head;
  // Called when it goes on piece by piece from here.
  absl::FunctionRef<void()> on_stream;
  bool trusted_peer = false;  // what it says in X-Forwarded-* is true
  // A call of gRPC: what breaks an answer that streams is told in its trailers; names with '_' go
  // on.
  bool grpc = false;
  Instant call_deadline = Instant::max();  // of all of it
  // Asks to switch to it, and when the answer is 101 passes bytes both ways until they end.
  std::string_view upgrade = {};
};

// What is known of an endpoint, for operators.
struct EndpointState {
  std::string address;
  bool healthy = true;   // by its health check; true without one
  bool drained = false;  // gets no new requests, since an operator said so
  int in_flight = 0;     // requests that it works on for us now
  int idle = 0;          // connections to it that wait for the next one
  Duration latency{0};   // what it takes to answer, lately; 0: not known
  bool ejected = false;  // left out for its failures
  Duration back_in{0};   // of one that is ejected: when it is tried again
  uint64_t ejections = 0;
};

class UpstreamAnswer;
class UpstreamConnection;
struct H2UpstreamOptions;
class StreamedBody;
class UpstreamMembers;
class ProxyThread;

class Upstream {
 public:
  // INVALID_ARGUMENT names an address that is none, or says that there are no endpoints.
  static StatusOr<std::shared_ptr<Upstream>> Make(UpstreamOptions options, Runtime& runtime,
                                                  telemetry::Metrics& metrics);
  ~Upstream();
  Upstream(const Upstream&) = delete;

  const std::string& name() const { return options_.name; }

  // Answers the exchange with what the upstream said to `request`, its own or another of its
  // client, and gives OK for whatever that was. An error says why there is no answer, and leaves
  // the response to the caller, unless the exchange is streaming: then it was cut. UNAVAILABLE
  // (nobody could be reached, or the answer broke), DEADLINE_EXCEEDED, CANCELLED (the client is
  // gone), or what reading its body gave (http::BodyPiece). What `how` names must live until the
  // end. A body that streams goes on as it comes (HTTP/2 upstreams), and may be sent again as long
  // as 64 KiB hold it.
  Task<Status> Forward(const http::Request& request, http::Exchange& exchange, Forwarding how);

  Protocol protocol() const { return options_.protocol; }
  std::vector<discovery::EndpointHealth> Health() const { return balancer_->Health(); }
  // All endpoints as they were configured, with those that get nothing now.
  std::vector<EndpointState> Endpoints() const;
  // A drained endpoint gets no new requests, in this process; those under way end as they began and
  // its idle connections are closed. NOT_FOUND names an address that is none of them.
  Status SetDrained(std::string_view address, bool drained);

 private:
  struct Pool;
  struct Pools;
  struct Attempt;
  struct Checks;
  using Threads = std::vector<std::shared_ptr<ProxyThread>>;
  Upstream(UpstreamOptions options, Runtime& runtime, telemetry::Metrics& metrics);
  Task<Status> ForwardBody(const http::Request& request, http::Exchange& exchange, Forwarding how);
  Task<Status> ForwardTries(const http::Request& request, http::Exchange& exchange, Forwarding how,
                            StreamedBody* body);
  Task<Attempt> Try(const http::Request& request, http::Exchange& exchange, const Forwarding& how,
                    discovery::Pick& pick, Instant deadline, bool last);
  Task<Attempt> TryH2(const http::Request& request, http::Exchange& exchange, const Forwarding& how,
                      discovery::Pick& pick, Instant deadline, bool last, StreamedBody* body);
  Task<Attempt> Read(const http::Request& request, http::Exchange& exchange, const Forwarding& how,
                     UpstreamAnswer& connection, bool last);
  // Sends a body that streams, and reads the answer meanwhile.
  Task<Attempt> ReadWhileSending(const http::Request& request, http::Exchange& exchange,
                                 const Forwarding& how, UpstreamConnection& connection);
  Task<Status> Stream(http::Exchange& exchange, const Forwarding& how, UpstreamAnswer& connection);
  Task<Status> Tunnel(http::Exchange& exchange, const Forwarding& how,
                      UpstreamConnection& connection);
  static std::shared_ptr<Pool> OpenPool(const discovery::Endpoint& endpoint, const Threads& threads,
                                        const std::optional<H2UpstreamOptions>& h2);
  static Task<void> WatchTls(std::weak_ptr<http::ClientTls> tls, std::string name,
                             BlockingPool& pool);
  static Task<void> SweepIdle(std::weak_ptr<Pools> pools, size_t thread, Duration idle_timeout);

  const UpstreamOptions options_;
  Threads threads_;
  resilience::RetryBudget budget_;
  telemetry::Counter &retries_, &failures_;
  const std::shared_ptr<Pools> pools_;
  std::shared_ptr<discovery::Balancer> balancer_;
  std::shared_ptr<UpstreamMembers> members_;
  std::shared_ptr<Checks> checks_;  // nullptr: none
};

}  // namespace starling::gateway

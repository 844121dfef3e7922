// What holds for every request that comes in at the edge, whatever answers it: its place among
// those that run, its trace, who calls, and the caller's limit.
//
//   EdgeEntry entry(options, exchange, "/v1/products/{id}");
//   Status status = entry.LetIn(gate, streaming);
//   if (status.ok()) status = co_await entry.Identify();  // entry.IdentifyNow() saves the wait
//   if (status.ok()) entry.Announce();
//   ...                                            // entry.caller(), entry.trace()
//   entry.Leave(status);                           // a problem document, when it is not OK
//
// One for each request; used by the exchange's thread. About 0.5 us with a sampled-out trace.
#pragma once

#include <atomic>
#include <memory>
#include <string_view>

#include "platform/http/exchange.h"
#include "platform/identity/edge_credentials.h"
#include "platform/resilience/concurrency_limiter.h"
#include "platform/rpc/gateway_limits.h"
#include "platform/security/authenticator.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {

class IdempotencyStore;

// What these name must outlive every exchange.
struct EdgeOptions {
  security::Authenticator* authenticator = nullptr;  // nullptr: nobody has credentials
  // Cookies and certificates beside tokens, with an authenticator of its own; nullptr: tokens
  // alone.
  const identity::EdgeCredentials* credentials = nullptr;
  telemetry::Telemetry* telemetry = nullptr;
  GatewayLimits* limits = nullptr;  // nullptr: whoever calls is served
  // How many requests run at once, streams apart; nullptr: any number. Beyond, 503, the least
  // important first, before it is asked who calls.
  resilience::ConcurrencyLimiter* concurrency = nullptr;
  // Of routes to upstreams; services know theirs. nullptr: there is none.
  IdempotencyStore* idempotency = nullptr;
  // The largest body that a request with `Content-Encoding: gzip` may unpack to, for the services'
  // own routes; 0: none is unpacked.
  uint64_t max_unpacked_bytes = 0;
  bool operator==(const EdgeOptions&) const = default;
};

// Of the requests of one kind: how important they are, how long they usually take.
struct EdgeGate {
  std::atomic<resilience::Priority> priority{};  // changes while it serves
  resilience::ConcurrencyLimiter::Kind usual;
  telemetry::Counter* shed = nullptr;
};

class EdgeEntry {
 public:
  // `name` is the span's: it lives as long as the process.
  EdgeEntry(const EdgeOptions& options, http::Exchange& exchange, std::string_view name);

  // Takes a place; RESOURCE_EXHAUSTED with Retry-After when there is none for this priority. A
  // stream only asks for one. `gate` must outlive the entry.
  Status LetIn(EdgeGate& gate, bool streaming);
  // Who calls, and whether the caller's limit lets it: UNAUTHENTICATED for a credential that is not
  // good, RESOURCE_EXHAUSTED above the limit.
  Task<Status> Identify();
  // The same when it needs no wait; false: ask Identify.
  bool IdentifyNow(Status& status);
  // How the caller stands with its limit, in the response's header.
  void Announce() { verdict_.Announce(exchange_.response.headers); }
  // The same with traceparent and x-request-id: for an answer that is about to be streamed.
  void Decorate();
  // For an answer that turned out to be a stream: it asks for no place any more, and how long it
  // lasts says nothing of how busy we are.
  void FreePlace() { place_ = {}; }
  // The end of the request: frees its place, makes the problem document of an error that can still
  // be told, adds traceparent and x-request-id, ends the span.
  void Leave(const Status& status);

  Duration Took() const { return std::chrono::steady_clock::now() - start_; }
  const std::shared_ptr<const security::Identity>& caller() const { return caller_; }
  // Who has no credential is known by this: the address of the client, in hex.
  std::string Customer() const;
  const telemetry::TraceContext& trace() const { return span_.context(); }
  resilience::Priority priority() const { return gate_->priority.load(std::memory_order_relaxed); }
  GatewayLimits::Verdict& verdict() { return verdict_; }
  uint64_t max_unpacked_bytes() const { return options_.max_unpacked_bytes; }

 private:
  void AddTrace();

  const EdgeOptions& options_;
  http::Exchange& exchange_;
  telemetry::Span span_;
  const Instant start_;
  EdgeGate* gate_ = nullptr;
  resilience::ConcurrencyLimiter::Admission place_;
  GatewayLimits::Verdict verdict_;
  std::shared_ptr<const security::Identity> caller_;
  bool decorated_ = false;
};

}  // namespace starling::rpc

// The HTTP edge: turns requests into calls of services, by the routes that contracts declare.
//
//   HttpEdge edge({.authenticator = &authenticator, .telemetry = &telemetry});
//   http::Router router;
//   STARLING_RETURN_IF_ERROR(edge.AddRoutes(registry, router));
//
// For each request: trace (W3C traceparent, or a new one), caller (Authorization: Bearer), deadline
// (the method's, or a shorter one in `X-Request-Timeout: 250ms`), idempotency key, If-Match; then
// the call; then the answer as JSON with an ETag, 304 when If-None-Match names it, or a problem
// document. With limits, whose turn it is is asked once the caller is known, and each answer says
// what is left. A call that is not done at its deadline is answered with 504 and cancelled; it ends
// in the background. A stream is NDJSON, cut when it fails midway. Handlers are thread-safe; the
// edge, the registry and what the options name must outlive the router. About 2 us a call.
#pragma once

#include <map>

#include "platform/http/router.h"
#include "platform/resilience/concurrency_limiter.h"
#include "platform/rpc/gateway_limits.h"
#include "platform/rpc/registry.h"
#include "platform/security/authenticator.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {

class HttpEdge {
 public:
  struct Options {
    security::Authenticator* authenticator = nullptr;  // nullptr: nobody has credentials
    telemetry::Telemetry* telemetry = nullptr;
    GatewayLimits* limits = nullptr;  // nullptr: whoever calls is served
    // How many requests run at once, streams apart; nullptr: any number. Beyond, 503, the least
    // important first, before it is asked who calls.
    resilience::ConcurrencyLimiter* concurrency = nullptr;
  };
  explicit HttpEdge(Options options) : options_(options) {}
  // ALREADY_EXISTS names two methods with one route.
  Status AddRoutes(const Registry& registry, http::Router& router);
  // By service.Method: in place of what the contract says. While it serves, too.
  void SetPriorities(const std::map<std::string, resilience::Priority>& priorities);

  // A method at the edge: what changes while it serves.
  struct Method {
    const MethodDescriptor* descriptor = nullptr;
    std::string name;  // "catalog.GetProduct"
    std::atomic<resilience::Priority> priority;
    resilience::ConcurrencyLimiter::Kind usual;
    telemetry::Counter* shed = nullptr;
  };

 private:
  const Options options_;
  std::vector<std::shared_ptr<Method>> methods_;
};

}  // namespace starling::rpc

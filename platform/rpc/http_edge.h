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
#include "platform/rpc/edge_entry.h"
#include "platform/rpc/registry.h"

namespace starling::rpc {

class HttpEdge {
 public:
  using Options = EdgeOptions;
  explicit HttpEdge(Options options) : options_(options) {}
  // ALREADY_EXISTS names two methods with one route. May be called again, for another router.
  Status AddRoutes(const Registry& registry, http::Router& router);
  // By service.Method: in place of what the contract says. While it serves, too.
  void SetPriorities(const std::map<std::string, resilience::Priority>& priorities);

  // A method at the edge: what changes while it serves.
  struct Method {
    resilience::Priority usual_priority;  // as its contract says
    EdgeGate gate;
  };

 private:
  const Options options_;
  std::map<std::string, std::shared_ptr<Method>> methods_;  // by "catalog.GetProduct"
};

}  // namespace starling::rpc

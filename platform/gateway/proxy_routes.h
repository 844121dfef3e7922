// Routes of the configuration: which requests go to which upstream, and who may send them.
//
//   Upstreams upstreams(runtime, metrics);
//   STARLING_RETURN_IF_ERROR(upstreams.Set(config.upstreams));
//   http::Router router;                              // with the services' routes
//   STARLING_RETURN_IF_ERROR(AddProxyRoutes(config.routes, upstreams, cache, edge, router));
//
// A request passes what every request at the edge passes (rpc/edge_entry.h), then the route's
// access rule, then goes on by Upstream::Forward. The upstream is told who calls in
// X-Starling-Caller ("user:u42", "key:0192") and X-Starling-User; nothing that a client writes
// there arrives.
//
// A route with `cache` goes through the cache (cache/http_cache.h), once it is known that its
// caller may ask; keys begin with the route's path and a digest of whom it asks and with what, and
// name the host and the path in its normal form.
//
// Of routes with the same host, path and method the first in the list is taken whose header fields
// the request has. Paths are matched in their normal form, and the upstream gets that form: it can
// take no path for another than the gateway did.
#pragma once

#include <memory>
#include <vector>

#include "platform/gateway/answers/answer_filter.h"
#include "platform/gateway/cache/http_cache.h"
#include "platform/gateway/route_config.h"
#include "platform/gateway/route_table.h"
#include "platform/gateway/upstreams.h"
#include "platform/http/router.h"
#include "platform/rpc/edge_entry.h"

namespace starling::gateway {

// INVALID_ARGUMENT or ALREADY_EXISTS name the route as gateway.routes[3]; `router` is then of no
// use. What `edge` names must outlive the router, and all requests. `table`: where the routes are
// told of, and what of them is kept over a change; nullptr: nowhere, and nothing. `answers`: the
// router's filter, which routes with rules of their own refine; nullptr: none.
Status AddProxyRoutes(const std::vector<RouteConfig>& routes, const Upstreams& upstreams,
                      const std::shared_ptr<HttpCache>& cache, const rpc::EdgeOptions& edge,
                      http::Router& router, RouteTable* table = nullptr,
                      const std::shared_ptr<const AnswerFilter>& answers = nullptr);

}  // namespace starling::gateway

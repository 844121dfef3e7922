// A route as it serves: made by proxy_routes.cc, answered by proxy_answer.cc, shown by who lists a
// RouteTable. Immutable once made, and shared by the requests that are being answered and, while
// nothing of it changes, by the routers of one configuration after another.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/id.h"
#include "platform/gateway/cache/http_cache.h"
#include "platform/gateway/mirror.h"
#include "platform/gateway/route_config.h"
#include "platform/gateway/route_rules.h"
#include "platform/gateway/upstream.h"
#include "platform/gateway/websocket.h"
#include "platform/rpc/edge_entry.h"
#include "platform/rpc/route_limits.h"

namespace starling::gateway {

struct ProxyRoute {
  RouteConfig config;
  ForwardPolicy policy;
  Access access;
  Rewrite rewrite;
  std::vector<http::Verb> verbs;
  std::vector<std::pair<std::shared_ptr<Upstream>, int>> to;  // weights above 0
  int total_weight = 0;
  std::string_view name;  // of its spans and metrics
  rpc::EdgeOptions edge;
  mutable rpc::EdgeGate gate;
  telemetry::MethodMetrics* metrics = nullptr;
  std::shared_ptr<HttpCache> cache;  // nullptr: nothing is kept
  std::string cache_prefix;
  bool h2 = false;  // its upstreams speak HTTP/2: calls of gRPC may come
  // What is kept is not compressed, so that one answer is for all: upstreams are not asked to.
  bool keeps_identity = false;
  std::shared_ptr<Mirror> mirror;            // nullptr: none
  std::string key;                           // the route, as all gateways say it
  std::shared_ptr<rpc::RouteLimits> limits;  // nullptr: none of its own
  std::shared_ptr<TunnelCount> tunnels;      // nullptr: no WebSocket

  Upstream& Choose() const {
    if (to.size() == 1) return *to[0].first;
    auto drawn = static_cast<int>(FastRandom() % static_cast<uint64_t>(total_weight));
    for (const auto& [upstream, weight] : to) {
      drawn -= weight;
      if (drawn < 0) return *upstream;
    }
    return *to.back().first;
  }
  bool Takes(const http::Request& request) const {
    for (const auto& [name, value] : config.headers) {
      if (request.headers.Find(name) != value) return false;
    }
    return true;
  }
};

// Lets the request in or says why not, and answers it: from the cache, by what an idempotency key
// keeps, through a tunnel, or by the upstream.
Task<void> AnswerByRoute(std::shared_ptr<const ProxyRoute> route, http::Exchange& exchange);

}  // namespace starling::gateway

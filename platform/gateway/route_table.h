// The configured routes that serve now, and what of them outlives a change of the configuration.
//
//   RouteTable table;
//   std::shared_ptr<rpc::RouteLimits> limits = table.LimitsOf(options, gateway_limits);
//   table.Set(std::move(routes));                        // all of them, once they are made
//   for (const RouteTable::Route& route : table.List()) ...
//
// A route whose limits did not change keeps its buckets and its requests under way, whatever else
// of it, or of the others, changed. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/gateway/route_config.h"
#include "platform/rpc/route_limits.h"
#include "platform/telemetry/metrics.h"

namespace starling::gateway {

class RouteTable {
 public:
  struct Route {
    RouteConfig config;
    std::shared_ptr<const rpc::RouteLimits> limits;  // nullptr: none of its own
    // Of all routes with its path.
    const telemetry::MethodMetrics* metrics = nullptr;
    const telemetry::Counter* shed = nullptr;
  };

  // Those of before when they are of the same route and the same, and still in use; else new ones.
  std::shared_ptr<rpc::RouteLimits> LimitsOf(rpc::RouteLimits::Options options,
                                             rpc::GatewayLimits* limits);
  void Set(std::vector<Route> routes);
  std::vector<Route> List() const;

 private:
  mutable std::mutex mutex_;
  std::vector<Route> routes_;
  std::map<std::string, std::weak_ptr<rpc::RouteLimits>> limits_;  // by key
};

}  // namespace starling::gateway

// The configured routes that serve now, and what of them outlives a change of the configuration.
//
//   RouteTable table;
//   std::shared_ptr<rpc::RouteLimits> limits = table.LimitsOf(options, gateway_limits);
//   table.Set(std::move(routes));                        // all of them, once they are made
//   for (const auto& route : *table.List()) ... route->config
//
// A route whose limits did not change keeps its buckets and its requests under way, whatever else
// of it, or of the others, changed. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/rpc/route_limits.h"

namespace starling::gateway {

struct ProxyRoute;  // proxy_route.h

class RouteTable {
 public:
  using Routes = std::vector<std::shared_ptr<const ProxyRoute>>;

  // Those of before when they are of the same route and the same, and still in use; else new ones.
  std::shared_ptr<rpc::RouteLimits> LimitsOf(rpc::RouteLimits::Options options,
                                             rpc::GatewayLimits* limits);
  void Set(Routes routes);
  std::shared_ptr<const Routes> List() const;  // never nullptr

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Routes> routes_ = std::make_shared<const Routes>();
  std::map<std::string, std::weak_ptr<rpc::RouteLimits>> limits_;  // by key
};

}  // namespace starling::gateway

#include "platform/gateway/route_table.h"

namespace starling::gateway {

std::shared_ptr<rpc::RouteLimits> RouteTable::LimitsOf(rpc::RouteLimits::Options options,
                                                       rpc::GatewayLimits* limits) {
  const std::lock_guard lock(mutex_);
  std::erase_if(limits_, [](const auto& one) { return one.second.expired(); });
  std::weak_ptr<rpc::RouteLimits>& known = limits_[options.key];
  std::shared_ptr<rpc::RouteLimits> made = known.lock();
  if (made == nullptr || made->options() != options) {
    made = std::make_shared<rpc::RouteLimits>(std::move(options), limits);
    known = made;
  }
  return made;
}

void RouteTable::Set(Routes routes) {
  auto made = std::make_shared<const Routes>(std::move(routes));
  const std::lock_guard lock(mutex_);
  routes_.swap(made);
}

std::shared_ptr<const RouteTable::Routes> RouteTable::List() const {
  const std::lock_guard lock(mutex_);
  return routes_;
}

}  // namespace starling::gateway

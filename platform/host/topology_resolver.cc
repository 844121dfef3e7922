#include "platform/host/topology_resolver.h"

#include <algorithm>

namespace starling::host {

TopologyResolver::TopologyResolver(const ProcessConfig& config) : config_(config) {
  topology_changes_ = config_.topology.OnChange([this](const TopologyConfig&) { Take(); });
  peers_changes_ = config_.peers.OnChange([this](const PeersConfig&) { Take(); });
}

std::vector<discovery::Endpoint> TopologyResolver::Find(const std::string& service) const {
  std::vector<discovery::Endpoint> endpoints;
  const auto peers = config_.peers.Get();
  if (const auto peer = peers->services.find(service); peer != peers->services.end()) {
    for (const std::string& address : peer->second.addresses)
      endpoints.push_back({.address = address});
    return endpoints;
  }
  const auto topology = config_.topology.Get();
  for (const auto& [name, process] : topology->processes) {
    const auto& services = process.services;
    if (!process.grpc.empty() &&
        std::find(services.begin(), services.end(), service) != services.end()) {
      endpoints.push_back({.address = process.grpc, .zone = process.zone});
    }
  }
  return endpoints;
}

void TopologyResolver::Take() {
  const std::lock_guard lock(mutex_);
  for (const std::string& service : std::set<std::string>(watched_))
    watchers_.Set(service, Find(service));
}

StatusOr<std::unique_ptr<discovery::Watch>> TopologyResolver::Watch(std::string service,
                                                                    OnChange on_change) {
  {
    const std::lock_guard lock(mutex_);
    watched_.insert(service);
    watchers_.Set(service, Find(service));
  }
  return watchers_.Add(service, std::move(on_change));
}

}  // namespace starling::host

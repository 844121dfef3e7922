// Where services are by the topology, and by `peers` for what is outside of it, which goes before.
// Live: a change of the configuration is a change of the places.
//
// Thread-safe.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include "platform/config/handle.h"
#include "platform/discovery/resolver.h"
#include "platform/discovery/watchers.h"
#include "platform/host/options.h"

namespace starling::host {

class TopologyResolver final : public discovery::Resolver {
 public:
  explicit TopologyResolver(const ProcessConfig& config);
  StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string service,
                                                    OnChange on_change) override;

 private:
  void Take();
  std::vector<discovery::Endpoint> Find(const std::string& service) const;

  const ProcessConfig& config_;
  discovery::Watchers watchers_;
  std::recursive_mutex mutex_;  // lists are taken one after the other
  std::set<std::string> watched_;
  config::Subscription topology_changes_, peers_changes_;
};

}  // namespace starling::host

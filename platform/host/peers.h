// The other processes: a channel to each service that one of them runs.
//
// Where a service is comes from the topology, and from `peers.services` for one outside of it,
// which wins.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/rpc/channel.h"

namespace starling::host {

struct PeersConfig;
struct TopologyConfig;

class Peers {
 public:
  Peers(const TopologyConfig& topology, const PeersConfig& peers, std::string cluster_key)
      : topology_(topology), peers_(peers), cluster_key_(std::move(cluster_key)) {}

  // nullptr when nobody is known to run it.
  std::shared_ptr<rpc::Channel> ChannelTo(std::string_view service) const;

 private:
  const TopologyConfig& topology_;
  const PeersConfig& peers_;
  const std::string cluster_key_;
};

}  // namespace starling::host

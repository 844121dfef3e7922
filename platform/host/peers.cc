#include "platform/host/peers.h"

#include "platform/host/options.h"
#include "platform/rpc/grpc_channel.h"

namespace starling::host {

std::shared_ptr<rpc::Channel> Peers::ChannelTo(std::string_view service) const {
  std::vector<std::string> addresses = AddressesOf(topology_, service);
  if (const auto peer = peers_.services.find(std::string(service)); peer != peers_.services.end())
    addresses = {peer->second.address};
  if (addresses.empty()) return nullptr;
  return rpc::MakeGrpcChannel({.target = addresses.front(), .cluster_key = cluster_key_});
}

}  // namespace starling::host

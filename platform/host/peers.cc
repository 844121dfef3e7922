#include "platform/host/peers.h"

#include "platform/host/options.h"
#include "platform/host/topology_resolver.h"
#include "platform/rpc/grpc_channel.h"
#include "platform/telemetry/telemetry.h"

namespace starling::host {

Peers::Peers(const ProcessConfig& config, std::string zone, telemetry::Telemetry& telemetry)
    : config_(config),
      zone_(std::move(zone)),
      telemetry_(telemetry),
      resolver_(std::make_unique<TopologyResolver>(config)) {}

Peers::~Peers() = default;

rpc::ServiceChannelOptions Peers::OptionsFor(std::string_view service) const {
  const auto resilience = config_.resilience.Get();
  rpc::ServiceChannelOptions options;
  options.service = service;
  options.open = [key = config_.grpc.Get()->cluster_key.Reveal()](
                     const discovery::Endpoint& endpoint) -> std::shared_ptr<rpc::Channel> {
    return rpc::MakeGrpcChannel({.target = endpoint.address, .cluster_key = key});
  };
  options.policy = {.attempts = resilience->attempts};
  options.balancer.zone = zone_;
  options.balancer.ejection = resilience->ejection;
  options.balancer.max_ejection = std::max(resilience->ejection * 10, options.balancer.ejection);
  options.retries.ratio = resilience->retry_ratio;
  options.breaker.failure_rate = resilience->breaker_failure_rate;
  options.breaker.longest_open = resilience->breaker_longest_open;
  options.max_in_flight = resilience->max_in_flight;
  options.connect_patience = resilience->connect_patience;
  return options;
}

StatusOr<std::shared_ptr<rpc::Channel>> Peers::ChannelTo(const rpc::ServiceDescriptor& service) {
  const std::string name(service.name);
  const bool known = config_.peers.Get()->services.contains(name) ||
                     !AddressesOf(*config_.topology.Get(), name).empty();
  if (!known) return nullptr;
  STARLING_ASSIGN_OR_RETURN(auto channel,
                            rpc::ServiceChannel::Open(OptionsFor(name), *resolver_, telemetry_));
  channels_[name] = channel;
  return channel;
}

void Peers::SetPolicies(const MethodsConfig& methods) {
  for (const auto& [service, channel] : channels_) {
    rpc::ServiceChannel::Policies policies;
    for (const auto& [name, policy] : methods.policies) {
      const size_t dot = name.find('.');
      if (name.substr(0, dot) != service || dot == std::string::npos) continue;
      policies[name.substr(dot + 1)] = {
          .attempts = policy.attempts > 0 ? policy.attempts : config_.resilience.Get()->attempts,
          .try_timeout = policy.try_timeout,
          .hedge_after = policy.hedge_after};
    }
    channel->SetPolicies(std::move(policies));
  }
}

}  // namespace starling::host

#include "platform/host/peers.h"

#include "platform/base/id.h"
#include "platform/discovery/dns/dns_resolver.h"
#include "platform/discovery/etcd/etcd_registrar.h"
#include "platform/discovery/etcd/etcd_resolver.h"
#include "platform/host/options.h"
#include "platform/host/topology_resolver.h"
#include "platform/rpc/grpc_channel.h"
#include "platform/telemetry/log.h"
#include "platform/telemetry/telemetry.h"

namespace starling::host {

std::unique_ptr<discovery::Resolver> MakeResolver(const ProcessConfig& config, Runtime& runtime) {
  const auto discovery = config.discovery.Get();
  if (discovery->engine == "etcd") {
    return std::make_unique<discovery::EtcdResolver>(
        runtime, discovery::EtcdResolverOptions{.urls = discovery->urls});
  }
  if (discovery->engine == "dns") {
    return std::make_unique<discovery::DnsResolver>(discovery::DnsResolverOptions{
        .name = discovery->name, .port = discovery->port, .servers = discovery->servers});
  }
  return std::make_unique<TopologyResolver>(config);
}

Peers::Peers(const ProcessConfig& config, std::string zone, std::string version, Runtime& runtime,
             telemetry::Telemetry& telemetry, rpc::LastGoodAnswers& answers)
    : config_(config),
      zone_(std::move(zone)),
      version_(std::move(version)),
      runtime_(runtime),
      telemetry_(telemetry),
      answers_(answers),
      resolver_(MakeResolver(config, runtime)) {}

Status Peers::Join(const std::string& address, const std::string& admin,
                   std::map<std::string, std::string> contracts) {
  const auto discovery = config_.discovery.Get();
  if (discovery->engine != "etcd") return OkStatus();
  registrar_ = std::make_unique<discovery::EtcdRegistrar>(
      runtime_, discovery::EtcdRegistrarOptions{.urls = discovery->urls});
  discovery::Instance instance{.id = NewId(),
                               .address = address,
                               .zone = zone_,
                               .contracts = std::move(contracts),
                               .admin = admin};
  const Status registered = runtime_.Block(registrar_->Register(std::move(instance)));
  if (registered.code() != StatusCode::kUnavailable) return registered;
  // etcd is away: it is told once it is back.
  log::Warning("discovery", "not registered yet").With(registered);
  return OkStatus();
}

void Peers::Leave() {
  if (registrar_ == nullptr) return;
  if (const Status left = runtime_.Block(registrar_->Deregister()); !left.ok())
    log::Warning("discovery", "the registration ends by itself").With(left);
}

Peers::~Peers() = default;

rpc::ServiceChannelOptions Peers::OptionsFor(const rpc::ServiceDescriptor& service) const {
  const auto resilience = config_.resilience.Get();
  rpc::ServiceChannelOptions options;
  options.service = service.name;
  options.open = [key = config_.grpc.Get()->cluster_key.Reveal(),
                  contract = std::string(service.full_name), version = version_,
                  metrics = &telemetry_.metrics()](
                     const discovery::Endpoint& endpoint) -> std::shared_ptr<rpc::Channel> {
    return rpc::MakeGrpcChannel({.target = endpoint.address,
                                 .cluster_key = key,
                                 .contract = contract,
                                 .version = version,
                                 .metrics = metrics});
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
  options.answers = &answers_;
  return options;
}

StatusOr<std::shared_ptr<rpc::Channel>> Peers::ChannelTo(const rpc::ServiceDescriptor& service) {
  const std::string name(service.name);
  const bool known = config_.discovery.Get()->engine != "topology" ||
                     config_.peers.Get()->services.contains(name) ||
                     !AddressesOf(*config_.topology.Get(), name).empty();
  if (!known) return nullptr;
  STARLING_ASSIGN_OR_RETURN(auto channel,
                            rpc::ServiceChannel::Open(OptionsFor(service), *resolver_, telemetry_));
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
          .hedge_after = policy.hedge_after,
          .fallback = {.kind = policy.fallback, .age = policy.fallback_age}};
    }
    channel->SetPolicies(std::move(policies));
  }
}

}  // namespace starling::host

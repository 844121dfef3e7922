#include "platform/discovery/etcd/etcd_resolver.h"

#include "platform/discovery/address.h"
#include "platform/telemetry/log.h"

namespace starling::discovery {
namespace {

std::vector<Endpoint> EndpointsOf(std::string_view prefix, const etcd::Values& values) {
  std::vector<Endpoint> endpoints;
  for (const auto& [key, value] : values) {
    StatusOr<etcd::Registered> registered = etcd::ReadRegistered(value);
    if (!registered.ok()) {
      log::Warning("discovery", "{} is left out", key).With(registered.status());
      continue;
    }
    endpoints.push_back({.address = std::move(registered->address),
                         .zone = std::move(registered->zone),
                         .instance = key.substr(prefix.size()),
                         .contract = std::move(registered->contract),
                         .weight = registered->weight,
                         .admin = std::move(registered->admin)});
  }
  return endpoints;
}

}  // namespace

EtcdResolver::EtcdResolver(Runtime& runtime, EtcdResolverOptions options)
    : runtime_(runtime),
      options_(std::move(options)),
      client_(std::make_shared<etcd::Client>(
          runtime,
          etcd::ClientOptions{
              .urls = options_.urls, .timeout = options_.timeout, .quiet = options_.quiet})) {}

StatusOr<std::unique_ptr<discovery::Watch>> EtcdResolver::Watch(std::string service,
                                                                OnChange on_change) {
  STARLING_RETURN_IF_ERROR(etcd::CheckUrls(options_.urls));
  STARLING_RETURN_IF_ERROR(CheckServiceName(service));
  {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<etcd::PrefixWatch>& watch = watched_[service];
    if (watch == nullptr) {
      const std::string prefix = fmt::format("{}{}/", options_.prefix, service);
      watch = std::make_unique<etcd::PrefixWatch>(
          client_, runtime_.NextExecutor(), prefix,
          [watchers = watchers_, service, prefix](const etcd::Values& values) {
            watchers->Set(service, EndpointsOf(prefix, values));
          });
    }
  }
  return watchers_->Add(service, std::move(on_change));
}

}  // namespace starling::discovery

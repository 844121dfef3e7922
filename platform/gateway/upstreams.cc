#include "platform/gateway/upstreams.h"

#include "platform/http/client_tls.h"

namespace starling::gateway {

Status Upstreams::Set(const std::map<std::string, UpstreamConfig>& configs) {
  std::map<std::string, One> all;
  for (const auto& [name, config] : configs) {
    if (const auto before = all_.find(name);
        before != all_.end() && before->second.config == config) {
      all[name] = before->second;
      continue;
    }
    UpstreamOptions options{.name = name,
                            .protocol = config.protocol == "h2" ? Protocol::kH2 : Protocol::kHttp1,
                            .connect_timeout = config.connect_timeout,
                            .idle_timeout = config.idle_timeout,
                            .keepalive = config.keepalive};
    for (std::string_view address : config.endpoints) {
      const bool secure = address.starts_with(kHttps);
      if (secure) address.remove_prefix(kHttps.size());
      options.endpoints.push_back({std::string(address)});
      if (!secure || options.tls != nullptr) continue;
      StatusOr<std::shared_ptr<http::ClientTls>> tls = http::ClientTls::Load(
          {.ca_file = config.tls.ca,
           .certificate_file = config.tls.certificate,
           .key_file = config.tls.key,
           .name = config.tls.name,
           .protocol = options.protocol == Protocol::kH2 ? "h2" : "http/1.1"});
      if (!tls.ok()) return Annotate(tls.status(), fmt::format("upstreams.{}.tls", name));
      options.tls = *std::move(tls);
    }
    if (!config.health.path.empty()) {
      options.health = HealthCheck{.path = config.health.path,
                                   .interval = config.health.interval,
                                   .timeout = config.health.timeout,
                                   .failures = config.health.failures,
                                   .successes = config.health.successes};
    }
    STARLING_ASSIGN_OR_RETURN(auto upstream,
                              Upstream::Make(std::move(options), runtime_, metrics_));
    if (const std::shared_ptr<Upstream> before = Find(name)) {
      for (const EndpointState& endpoint : before->Endpoints()) {
        // One that is not among them any more is nobody's.
        if (endpoint.drained) (void)upstream->SetDrained(endpoint.address, true);
      }
    }
    all[name] = {config, std::move(upstream)};
  }
  const std::lock_guard lock(mutex_);
  all_.swap(all);
  return OkStatus();
}

std::shared_ptr<Upstream> Upstreams::Find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = all_.find(name);
  return found == all_.end() ? nullptr : found->second.upstream;
}

std::vector<std::string> Upstreams::Names() const {
  std::vector<std::string> names;
  const std::lock_guard lock(mutex_);
  names.reserve(all_.size());
  for (const auto& [name, one] : all_) names.push_back(name);
  return names;
}

std::vector<std::shared_ptr<Upstream>> Upstreams::List() const {
  std::vector<std::shared_ptr<Upstream>> upstreams;
  const std::lock_guard lock(mutex_);
  upstreams.reserve(all_.size());
  for (const auto& [name, one] : all_) upstreams.push_back(one.upstream);
  return upstreams;
}

}  // namespace starling::gateway

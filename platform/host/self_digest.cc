#include "platform/host/self_digest.h"

#include <fmt/format.h>

#include "platform/rpc/contract_version.h"

namespace starling::host {

SelfDigest::SelfDigest(const config::Registry& registry, const ProcessConfig& config,
                       std::span<const std::string_view> contracts, About about)
    : registry_(registry),
      config_(config),
      about_(std::move(about)),
      secrets_(config.grpc.Get()->cluster_key.Reveal()) {
  for (const std::string_view name : contracts) {
    const auto files =
        rpc::ContractFiles(*google::protobuf::DescriptorPool::generated_pool(), name);
    contracts_[std::string(rpc::PackageOf(name))] = rpc::ContractDigest(files);
  }
}

ProcessDigest SelfDigest::Now() const {
  ProcessDigest digest{.process = about_.process,
                       .version = about_.version,
                       .ready = about_.readiness.ready(),
                       .config = Config(),
                       .contracts = contracts_,
                       .models = about_.models(),
                       .pending = registry_.PendingRestart()};
  for (const auto& [name, status] : about_.readiness.parts())
    digest.ready = digest.ready && status.ok();
  for (const config::Problem& problem : registry_.problems()) {
    digest.problems.push_back(
        fmt::format("{}: {} ({})", problem.key, problem.message, problem.source));
  }
  return digest;
}

const std::string& SelfDigest::ContractDigest(std::string_view full_name) const {
  return contracts_.at(std::string(rpc::PackageOf(full_name)));
}

std::map<std::string, std::string> SelfDigest::Config() const {
  return ComparedConfig(registry_, OwnKeys(*config_.topology.Get()), secrets_);
}

void SelfDigest::AddMetrics(telemetry::Metrics& metrics) const {
  for (const auto& [package, digest] : contracts_) {
    metrics
        .AddGauge("starling_contract_digest", "32 bits of the contract's digest; alike in all",
                  {{"package", package}})
        .Set(GaugeOf({{package, digest}}));
  }
  metrics.AddCallback("starling_config_digest",
                      "32 bits of the configuration's digest, without a process' own keys", {},
                      [this] { return GaugeOf(Config()); });
  metrics.AddCallback("starling_models_digest", "32 bits of the digest of what serves", {},
                      [this] { return GaugeOf(about_.models()); });
}

}  // namespace starling::host

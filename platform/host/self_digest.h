// What this process says of itself: the ProcessDigest of now, and its gauges.
//
// Thread-safe, once made; making it costs about ten milliseconds.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>

#include "platform/host/admin_routes.h"
#include "platform/host/digest.h"
#include "platform/host/options.h"

namespace starling::host {

class SelfDigest {
 public:
  struct About {
    std::string process;  // its name in the topology
    std::string version;
    const Readiness& readiness;
    // The version that serves, by service.
    std::function<std::map<std::string, std::string>()> models;
  };
  // `contracts` are the full names of every service there is. All of it outlives this.
  SelfDigest(const config::Registry& registry, const ProcessConfig& config,
             std::span<const std::string_view> contracts, About about);

  ProcessDigest Now() const;
  // Of a service's contract, by its full name.
  const std::string& ContractDigest(std::string_view full_name) const;
  // starling_config_digest, starling_contract_digest{package}, starling_models_digest.
  void AddMetrics(telemetry::Metrics& metrics) const;

 private:
  std::map<std::string, std::string> Config() const;

  const config::Registry& registry_;
  const ProcessConfig& config_;
  const About about_;
  const SecretHashes secrets_;
  std::map<std::string, std::string> contracts_;  // by package
};

}  // namespace starling::host

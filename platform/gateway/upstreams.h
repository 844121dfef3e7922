// The upstreams of the configuration, by name.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/gateway/route_config.h"
#include "platform/gateway/upstream.h"

namespace starling::gateway {

// Set keeps an upstream whose configuration is the same, with its connections and what is
// known of its endpoints; one that changed keeps which of its endpoints are drained. Set is called
// by one thread at a time; the rest is thread-safe.
class Upstreams {
 public:
  Upstreams(Runtime& runtime, telemetry::Metrics& metrics) : runtime_(runtime), metrics_(metrics) {}
  // An error names the upstream, and changes nothing.
  Status Set(const std::map<std::string, UpstreamConfig>& configs);
  std::shared_ptr<Upstream> Find(const std::string& name) const;
  std::vector<std::string> Names() const;
  std::vector<std::shared_ptr<Upstream>> List() const;  // by name

 private:
  struct One {
    UpstreamConfig config;
    std::shared_ptr<Upstream> upstream;
  };
  Runtime& runtime_;
  telemetry::Metrics& metrics_;
  mutable std::mutex mutex_;  // of all_
  std::map<std::string, One> all_;
};

}  // namespace starling::gateway

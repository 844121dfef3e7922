// The routes that a process has beside its services': health, metrics, configuration, OpenAPI.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/config/registry.h"
#include "platform/http/router.h"
#include "platform/http/server.h"
#include "platform/rpc/registry.h"
#include "platform/telemetry/telemetry.h"

namespace starling::host {

// What /readyz asks. Thread-safe.
class Readiness {
 public:
  virtual ~Readiness() = default;
  virtual bool ready() const = 0;
  virtual std::vector<std::pair<std::string, Status>> parts() const = 0;
};

// /healthz, /readyz, /openapi.json
Status AddPublicRoutes(http::Router& router, const Readiness& readiness,
                       const rpc::Registry& services, std::string_view version);
// /healthz, /readyz, /metrics, /config, /digest (what `digest` gives), /debug/spans
Status AddAdminRoutes(http::Router& router, const Readiness& readiness,
                      telemetry::Telemetry& telemetry, const config::Registry& config,
                      std::function<std::string()> digest);
void AddServerMetrics(telemetry::Metrics& metrics, std::vector<const http::Server*> servers);

}  // namespace starling::host

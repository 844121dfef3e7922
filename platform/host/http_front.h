// The public HTTP port of a process, and the one over TLS when gateway.tls has certificates: the
// services' routes, the configuration's routes to upstreams, the limits of callers, the server.
//
//   HttpFront front({.runtime = &runtime, ...}, config);
//   STARLING_ASSIGN_OR_RETURN(int port, front.Start());
//   front.Set(now);                       // a changed section, while it serves
//
// A change of gateway.upstreams or gateway.routes makes a new router, which takes the place of the
// old one at once: requests that are being answered end on the one they began with. One that cannot
// be made is logged, and the old one stays. Set is called by one thread at a time; the rest is
// thread-safe. What the options name must outlive it.
#pragma once

#include <functional>
#include <memory>

#include "platform/gateway/access_log.h"
#include "platform/gateway/proxy_routes.h"
#include "platform/host/call_policies.h"
#include "platform/host/gateway_admin.h"
#include "platform/host/https.h"
#include "platform/host/options.h"
#include "platform/http/server.h"
#include "platform/identity/oidc_login.h"
#include "platform/rpc/http_edge.h"

namespace starling::host {

class HttpFront {
 public:
  struct Options {
    Runtime* runtime;
    telemetry::Telemetry* telemetry;
    security::Authenticator* authenticator;
    identity::OidcLogin* oidc;  // nullptr: nobody signs in at a provider
    resilience::ConcurrencyLimiter* concurrency;
    const Clock* clock;
    const rpc::Registry* services;
    rpc::IdempotencyStore* idempotency;
    std::function<Status(http::Router&)> routes;  // more of them
    CancellationToken stopping;                   // files of certificates are not watched after it
  };
  HttpFront(Options options, const ProcessConfig& config)
      : options_(std::move(options)), config_(config) {}

  // The port. Once only.
  StatusOr<int> Start();
  void Set(const GatewayConfig& now);
  void Set(const identity::SecurityConfig& now);
  void Set(const MethodsConfig& now) { edge_->SetPriorities(PrioritiesOf(now)); }
  int https_port() const { return https_ == nullptr ? 0 : https_->port(); }  // 0: not served
  // Of both listeners at once: see http::Server. May be called again while it drains.
  Task<size_t> Drain(Duration limit);
  // For the admin port; good as long as this is. `drain`: see there.
  GatewayParts Parts(std::function<void(Duration grace)> drain);

 private:
  Status OpenSharedLimits();
  void OpenCache(const CacheConfig& config);
  void AddLimiterMetrics();
  void AddCertificateMetrics();
  Status MakeOwnRoutes();
  StatusOr<std::shared_ptr<const http::Router>> MakeRouter(const GatewayConfig& gateway);

  const Options options_;
  const ProcessConfig& config_;
  std::unique_ptr<rpc::SharedRateLimiter> shared_limits_;
  std::unique_ptr<rpc::GatewayLimits> limits_;
  std::unique_ptr<identity::EdgeCredentials> credentials_;
  std::unique_ptr<rpc::HttpEdge> edge_;
  // The services' and the process's, which no change of the configuration touches.
  std::shared_ptr<const http::Router> own_routes_;
  rpc::EdgeOptions edge_options_;
  std::shared_ptr<gateway::HttpCache> cache_;
  std::unique_ptr<gateway::Upstreams> upstreams_;
  gateway::RouteTable routes_;
  std::unique_ptr<gateway::AccessLog> access_log_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<Https> https_;
};

}  // namespace starling::host

// A process: builds the services it runs, serves them over HTTP (and gRPC), drains, stops.
//
//   StatusOr<std::unique_ptr<Process>> process = Process::Start({.services = {"catalog"}, ...},
//   config);
//   (*process)->WaitForSignal();      // SIGTERM, SIGINT
//   Status stopped = (*process)->Stop();
//
// Order of start: data folder, telemetry, threads, event log, keys, services (created, then
// started), HTTP, gRPC; the others hear of it (discovery) once its services are ready. A step that
// fails undoes those before and says what to do. Stop goes backwards: no new connections, requests
// in flight are answered (at most http.drain_limit), consumers and outboxes end, files close. Used
// by one thread.
//
// A process of a topology (topology.h) runs what is said there, calls the others by gRPC, shares
// the data folder with them, and serves HTTP only where it is said.
//
// Public port, and over TLS that of gateway.tls: the contracts' routes, /healthz, /readyz,
// /openapi.json, and what ProcessOptions::routes adds. Admin port (the next one, loopback):
// /metrics, /healthz, /readyz, /config, /digest (digest.h), /debug/spans, /sagas, and of a process
// with a public port /gateway, for who has a key for it (gateway_admin.h).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/host/hosted_service.h"
#include "platform/host/options.h"
#include "platform/identity/oidc_login.h"
#include "platform/rpc/idempotency.h"
#include "platform/security/authenticator.h"

namespace starling::http {
class Router;
}

namespace starling::host {

// A service that a process can run, for the visible list in apps/starling/services.cc.
struct ServiceEntry {
  std::string_view name;
  const rpc::ServiceDescriptor* descriptor;
  Keeps keeps;
  // Makes the service and binds it.
  StatusOr<std::shared_ptr<HostedService>> (*create)(Environment&, rpc::Registry&,
                                                     rpc::IdempotencyStore*);
  // Makes a client of the service in another process.
  void (*connect)(rpc::Registry&, std::shared_ptr<rpc::Channel>);
  // Registers the service's section of the configuration, when it has one.
  void (*configure)(config::Registry&);
};

template <typename Implementation>
ServiceEntry Serve() {
  using Contract = typename Implementation::Contract;
  return {Contract::Descriptor().name,
          &Contract::Descriptor(),
          Implementation::kKeeps,
          [](Environment& environment, rpc::Registry& registry,
             rpc::IdempotencyStore* idempotency) -> StatusOr<std::shared_ptr<HostedService>> {
            STARLING_ASSIGN_OR_RETURN(std::shared_ptr<Implementation> service,
                                      Implementation::Create(environment));
            registry.AddLocal<Contract>(service, environment.telemetry(), idempotency, {});
            return std::shared_ptr<HostedService>(service);
          },
          [](rpc::Registry& registry, std::shared_ptr<rpc::Channel> channel) {
            registry.AddRemote<Contract>(std::move(channel));
          },
          [](config::Registry& registry) {
            if constexpr (requires { typename Implementation::Config; }) {
              using Config = typename Implementation::Config;
              registry.Section<Config>(Config::kSection, Config::kDoc);
            } else {
              (void)registry;
            }
          }};
}

// The services as a topology sees them, and what they stand on.
std::vector<TopologyService> TopologyServices(std::span<const ServiceEntry> known);
TopologyEngines EnginesOf(const ProcessConfig& config);

// Every section there is, of the process and of all services, so that each command knows every key.
struct Configuration {
  explicit Configuration(const std::vector<ServiceEntry>& known) : process(registry) {
    for (const ServiceEntry& entry : known) entry.configure(registry);
  }
  config::Registry registry;
  const ProcessConfig process;
};

struct ProcessOptions {
  std::vector<ServiceEntry> known;    // every service there is
  std::vector<std::string> services;  // those to run; empty: all
  std::string process;                // its name in the topology, which then says what it runs
  bool grpc = false;                  // serve gRPC whatever the configuration says
  bool serve = true;                  // false: no ports, for a command that works on the data
  std::filesystem::path data = "data";
  std::string command = "starling";  // shown to who finds the data folder in use
  std::string version = "0.1.0";
  // Makes the authenticator of users' sessions once the services are there; may give nullptr.
  std::function<std::unique_ptr<security::Authenticator>(const rpc::Registry&)> sessions;
  // Makes what keeps the sessions of people who sign in at an OpenID provider; may give nullptr.
  std::function<std::unique_ptr<identity::SessionStore>(const rpc::Registry&)> session_store;
  // Makes the event log over the channel to the process that serves `events`, where
  // messaging.engine is service.
  std::function<std::unique_ptr<messaging::EventLog>(std::shared_ptr<rpc::Channel>, Runtime&)>
      remote_events;
  // Adds the program's own routes to the public port, beside the contracts'; called once, when the
  // services are there, which the handlers may call for as long as the process runs.
  std::function<Status(http::Router&, const rpc::Registry&)> routes;
  // Told the admin key when it is made, at the first start.
  std::function<void(std::string_view token)> on_admin_key;
};

class Process {
 public:
  static StatusOr<std::unique_ptr<Process>> Start(ProcessOptions options,
                                                  config::Registry& registry,
                                                  const ProcessConfig& config);
  ~Process();

  int http_port() const;
  int https_port() const;  // 0: not served
  int admin_port() const;
  int grpc_port() const;  // 0: not served
  const rpc::Registry& services() const;
  messaging::EventLog& events();
  Runtime& runtime();

  // Returns on SIGTERM or SIGINT; SIGHUP reads the configuration again. BlockSignals (signals.h)
  // comes first.
  void WaitForSignal();
  // DEADLINE_EXCEEDED says how many requests were cut at the limit.
  Status Stop();

 private:
  class Core;
  explicit Process(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace starling::host

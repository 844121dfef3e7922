// starling up, starling serve: run services until a signal comes.
#include <fmt/format.h>

#include <cstdio>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "apps/starling/version.h"
#include "platform/host/signals.h"
#include "platform/telemetry/log.h"

namespace starling {
namespace {

int Run(const CommonOptions& common, const std::vector<std::string>& services,
        std::string command) {
  host::BlockSignals();
  Configuration config;
  if (const Status loaded = LoadConfig(common, config); !loaded.ok()) return Fail(loaded);
  std::filesystem::path data = common.data;
  if (!common.process.empty()) {
    const std::string own = config.process.topology.Get()->processes.at(common.process).data;
    if (!own.empty()) data = own;
  }

  host::ProcessOptions options{
      .known = Services(),
      .services = services,
      .process = common.process,
      .grpc = !services.empty(),
      .data = data,
      .command = std::move(command),
      .version = kVersion,
      .sessions = MakeSessionAuthenticator,
      .session_store = MakeSessionStore,
      .remote_events = MakeRemoteEvents,
      .routes = StorefrontRoutes(*config.storefront.Get(), *config.process.http.Get()),
      .on_admin_key = [](std::string_view token) {
        fmt::print("admin key (shown only now): {}\n", token);
        std::fflush(stdout);
      }};
  auto process = host::Process::Start(std::move(options), config.registry, config.process);
  if (!process.ok()) return Fail(process.status());
  if ((*process)->http_port() != 0) {
    const std::string url =
        fmt::format("http://{}:{}", config.process.http.Get()->address, (*process)->http_port());
    fmt::print("API     {}\n", url);
    if (const int port = (*process)->https_port(); port != 0) {
      const std::string& address = config.process.gateway.Get()->tls.address;
      fmt::print("TLS     https://{}:{}\n",
                 address.empty() ? config.process.http.Get()->address : address, port);
    }
    if (services.empty() && config.storefront.Get()->enabled) fmt::print("shop    {}/\n", url);
  }
  fmt::print("admin   http://{}:{}/metrics\n", config.process.admin.Get()->address,
             (*process)->admin_port());
  if ((*process)->grpc_port() != 0)
    fmt::print("gRPC    {}:{}\n", config.process.grpc.Get()->address, (*process)->grpc_port());
  fmt::print("ready\n");
  std::fflush(stdout);
  (*process)->WaitForSignal();
  const Status stopped = (*process)->Stop();
  if (!stopped.ok()) return Fail(stopped);
  log::Info("host", "stopped");
  return 0;
}

}  // namespace

int Up(const CommonOptions& common) { return Run(common, {}, "starling up"); }

int ServeServices(const CommonOptions& common, const std::vector<std::string>& services) {
  if (!common.process.empty()) {
    if (!services.empty())
      return Fail(InvalidArgument("--process {} says what runs: name no services beside it",
                                  common.process));
    return Run(common, {}, "starling serve --process " + common.process);
  }
  if (services.empty())
    return Fail(
        InvalidArgument("name the services to run, or a process of a topology with --process"));
  return Run(common, services, fmt::format("starling serve {}", fmt::join(services, " ")));
}

}  // namespace starling

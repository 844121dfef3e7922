// The other processes: where each service is, and a channel to each that this process does not run.
//
// Where a service is comes from `discovery`: what the topology says (and `discovery.services`, for
// what is outside of it), or etcd, or DNS. A change is taken while the process runs.
//
// Thread-safe once made. Outlives the channels' users.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/config/handle.h"
#include "platform/discovery/resolver.h"
#include "platform/rpc/service_channel.h"

namespace starling::host {

struct MethodsConfig;
struct ProcessConfig;

// Who knows where services are, as `discovery` says.
std::unique_ptr<discovery::Resolver> MakeResolver(const ProcessConfig& config, Runtime& runtime);

class Peers {
 public:
  Peers(const ProcessConfig& config, std::string zone, std::string version, Runtime& runtime,
        telemetry::Telemetry& telemetry, rpc::LastGoodAnswers& answers);
  ~Peers();

  // nullptr when nobody is said to run it.
  StatusOr<std::shared_ptr<rpc::Channel>> ChannelTo(const rpc::ServiceDescriptor& service);

  // Tells the others that this process serves services, by name with their contracts' digests, at
  // `address`, and shows health at `admin`, where they hear of it by etcd. Blocks for a call.
  Status Join(const std::string& address, const std::string& admin,
              std::map<std::string, std::string> contracts);
  // Takes that back: first step of a stop. Blocks for a call.
  void Leave();

  // Policies of methods, as the configuration has them now.
  void SetPolicies(const MethodsConfig& methods);

 private:
  rpc::ServiceChannelOptions OptionsFor(const rpc::ServiceDescriptor& service) const;

  const ProcessConfig& config_;
  const std::string zone_;
  const std::string version_;  // of this program
  Runtime& runtime_;
  telemetry::Telemetry& telemetry_;
  rpc::LastGoodAnswers& answers_;
  std::unique_ptr<discovery::Registrar> registrar_;
  const std::unique_ptr<discovery::Resolver> resolver_;
  std::map<std::string, std::shared_ptr<rpc::ServiceChannel>, std::less<>> channels_;
};

}  // namespace starling::host

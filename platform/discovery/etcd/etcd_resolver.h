// Endpoints from etcd: keys /starling/services/<service>/<instance>, put there by EtcdRegistrar.
//
//   EtcdResolver resolver(runtime, {.urls = {"http://10.0.0.5:2379"}});
//
// Each service that is watched costs one connection to etcd, from its first Watch to the end of the
// resolver. A change comes within a round trip. While etcd is away the last list stays, whatever
// leases run out meanwhile; a process that is gone is then found by the balancer alone. A value
// that cannot be read is left out, and logged. A resolver that finds an etcd that was made anew
// gives what is there, maybe nothing: registrars notice within a third of their lease.
//
// Thread-safe. Destroy it before its Runtime.
#pragma once

#include <map>
#include <mutex>

#include "platform/discovery/etcd/prefix_watch.h"
#include "platform/discovery/resolver.h"
#include "platform/discovery/watchers.h"

namespace starling::discovery {

inline constexpr std::string_view kServicesPrefix = "/starling/services/";

struct EtcdResolverOptions {
  std::vector<std::string> urls;
  std::string prefix{kServicesPrefix};
  Duration timeout = std::chrono::seconds(3);  // of one call to one URL
  Duration quiet = std::chrono::seconds(30);   // a connection that says nothing is made anew
};

class EtcdResolver final : public Resolver {
 public:
  EtcdResolver(Runtime& runtime, EtcdResolverOptions options);

  StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string service,
                                                    OnChange on_change) override;

 private:
  Runtime& runtime_;
  const EtcdResolverOptions options_;
  const std::shared_ptr<etcd::Client> client_;
  const std::shared_ptr<Watchers> watchers_ = std::make_shared<Watchers>();
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<etcd::PrefixWatch>> watched_;  // by service
};

}  // namespace starling::discovery

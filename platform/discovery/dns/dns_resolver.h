// Endpoints from DNS, as Kubernetes' headless services and Consul give them.
//
//   DnsResolver pods({.name = "{service}.starling.svc.cluster.local", .port = 9000});   // A, AAAA
//   DnsResolver srv({.name = "_grpc._tcp.{service}.starling.svc.cluster.local"});       // SRV
//
// With a port, each address of the name is an endpoint, and its instance. Without, the name's SRV
// records are read (RFC 2782): those of the lowest priority number, each with its port and weight,
// an endpoint for each address of its target; the target is the instance. Names are whole: no
// search domains.
//
// Asked again when the shortest time to live of all that was read is over, but not sooner than
// `min_ttl` nor later than `max_ttl`. No records, or no such name, is an empty list, asked again
// after `retry`. While a server does not answer, or says that it failed, the last list holds, and
// it is asked again after `retry`.
//
// All of a resolver's queries run on one thread of its own, which runs the watches' calls too.
// Thread-safe. Why c-ares: docs/decisions/016-discovery.md.
#pragma once

#include <string>

#include "platform/base/clock.h"
#include "platform/discovery/resolver.h"

namespace starling::discovery {

struct DnsResolverOptions {
  std::string name = "{service}";
  int port = 0;  // 0: SRV
  // "10.0.0.10:53,10.0.0.11"; "": those of /etc/resolv.conf.
  std::string servers = {};
  Duration timeout = std::chrono::seconds(1);  // of one try
  int tries = 2;                               // of each server
  Duration min_ttl = std::chrono::seconds(1);
  Duration max_ttl = std::chrono::seconds(30);
  Duration retry = std::chrono::seconds(2);
};

class DnsResolver final : public Resolver {
 public:
  // Wrong `servers`, a name without "{service}" or another port than 0 to 65535 are told by Watch:
  // INVALID_ARGUMENT.
  explicit DnsResolver(DnsResolverOptions options);
  ~DnsResolver() override;
  DnsResolver(const DnsResolver&) = delete;
  DnsResolver& operator=(const DnsResolver&) = delete;

  StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string service,
                                                    OnChange on_change) override;

  // How often names were resolved.
  uint64_t rounds() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace starling::discovery

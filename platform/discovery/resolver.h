// Who serves what, where: the port that every way to know it sits behind.
//
//   std::unique_ptr<Watch> watch = resolver.Watch("catalog", [&](std::vector<Endpoint> now) {
//     balancer.SetEndpoints(std::move(now));
//   }).value();
//
//   CO_RETURN_IF_ERROR(co_await registrar.Register({.id = NewId(), .address = "10.0.0.7:9000",
//                                                   .zone = "a", .contracts = {{"catalog", ""}}}));
//   ...
//   (void)co_await registrar.Deregister();   // first step of a drain
//
// Adapters: static_resolver.h (a list in the configuration), etcd/etcd_resolver.h, and
// dns/dns_resolver.h (Kubernetes' headless services). Only etcd has a Registrar: a list is written
// by hand, and Kubernetes registers pods itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "platform/async/task.h"
#include "platform/base/status.h"

namespace starling::discovery {

// One place where a service is served.
struct Endpoint {
  std::string address;   // "127.0.0.1:9000", "[::1]:9000": numeric, or a name as gRPC takes it
  std::string zone;      // "" when unknown
  std::string instance;  // tells a restarted process from the one before; "" when unknown
  std::string contract;  // the digest of the contract's version that it serves; "" when unknown
  uint32_t weight = 1;   // of the calls it should get, beside the others' weights; never 0
  std::string admin;     // where it shows health and metrics; "" when unknown
  auto operator<=>(const Endpoint&) const = default;
};

// Held for as long as changes are wanted. Destroying it waits for a call that runs on another
// thread; after that none runs. It may be destroyed within its own callback, and outlive its
// resolver (nothing comes any more).
class Watch {
 public:
  virtual ~Watch() = default;
};

class Resolver {
 public:
  using OnChange = std::function<void(std::vector<Endpoint>)>;
  virtual ~Resolver() = default;

  // Calls `on_change` with the whole list, sorted, as soon as it is known (maybe before Watch
  // returns) and at each change; never concurrently for one watch, never twice with the same list.
  // The list is empty when it is known that nobody serves the service. While the source is away
  // the last list holds, and nothing is called.
  //
  // INVALID_ARGUMENT for a name that the source cannot have. That nobody knows the service yet is
  // no error. `on_change` runs on a thread of the adapter and must not block. Thread-safe.
  virtual StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string service,
                                                            OnChange on_change) = 0;
};

// A process that serves.
struct Instance {
  std::string id;       // of this start of the process: NewId()
  std::string address;  // where others reach it
  std::string zone;
  uint32_t weight = 1;
  std::map<std::string, std::string> contracts;  // by service: the digest of its contract, or ""
  std::string admin = {};                        // where it shows health and metrics
};

class Registrar {
 public:
  virtual ~Registrar() = default;

  // Registers this process, and keeps it registered until Deregister or the end of the object, also
  // when the source forgets it. UNAVAILABLE when the first try failed: it goes on trying all the
  // same. INVALID_ARGUMENT (what the source cannot keep) and FAILED_PRECONDITION (it is registered
  // already) leave nothing behind.
  virtual Task<Status> Register(Instance instance) = 0;

  // Takes it back: the first step of a drain. UNAVAILABLE when the source could not be told; then
  // the registration ends by itself. OK when nothing is registered.
  virtual Task<Status> Deregister() = 0;
};

}  // namespace starling::discovery

// Registers a process in etcd, for EtcdResolver to find: one key a service, all on one lease.
//
//   EtcdRegistrar registrar(runtime, {.urls = {"http://10.0.0.5:2379"}});
//
// The lease is kept alive three times in its `ttl`; when etcd says that it is no more (the process
// was away for longer, etcd was made anew) another is taken and all is put again. While etcd is
// away it tries on, each `ttl` / 3 at least. A process that dies without Deregister is gone from
// etcd within `ttl`, and so is one whose registrar is destroyed.
//
// Thread-safe. Destroy it before its Runtime.
#pragma once

#include "platform/discovery/etcd/client.h"
#include "platform/discovery/etcd/etcd_resolver.h"
#include "platform/discovery/resolver.h"

namespace starling::discovery {

struct EtcdRegistrarOptions {
  std::vector<std::string> urls;
  std::string prefix{kServicesPrefix};
  Duration ttl = std::chrono::seconds(10);     // rounded down to seconds, at least 1
  Duration timeout = std::chrono::seconds(3);  // of one call to one URL
};

class EtcdRegistrar final : public Registrar {
 public:
  EtcdRegistrar(Runtime& runtime, EtcdRegistrarOptions options);
  ~EtcdRegistrar() override;
  EtcdRegistrar(const EtcdRegistrar&) = delete;
  EtcdRegistrar& operator=(const EtcdRegistrar&) = delete;

  Task<Status> Register(Instance instance) override;
  Task<Status> Deregister() override;

  // How often it was put into etcd.
  uint64_t registrations() const;

 private:
  struct State;
  static Task<Status> Begin(std::shared_ptr<State> state, etcd::Values values);
  static Task<Status> Put(std::shared_ptr<State> state);
  static Task<void> Keep(std::shared_ptr<State> state, uint64_t generation);
  static Task<Status> End(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace starling::discovery

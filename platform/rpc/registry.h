// The services that this process can call: its own, bound in process, and others behind a channel.
//
//   registry.AddLocal<Catalog>(std::make_shared<CatalogService>(...), telemetry, idempotency, {});
//   registry.AddRemote<Profile>(channel);
//   std::shared_ptr<Catalog> catalog = registry.Get<Catalog>();   // nullptr when nobody serves it
//   here
//
// Filled at start, before anything is served; then read from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "platform/rpc/channel.h"
#include "platform/rpc/server_call.h"

namespace starling::rpc {

struct Binding {
  const ServiceDescriptor* descriptor = nullptr;
  std::shared_ptr<void> service;  // the generated interface that descriptor->full_name names
  std::unique_ptr<ServiceRuntime> runtime;  // nullptr for a remote one
  bool local() const { return runtime != nullptr; }
};

class Registry {
 public:
  template <typename Service>
  std::shared_ptr<Service> AddLocal(std::shared_ptr<Service> implementation,
                                    telemetry::Telemetry& telemetry, IdempotencyStore* idempotency,
                                    ServiceRuntime::Options options) {
    auto runtime =
        std::make_unique<ServiceRuntime>(Service::Descriptor(), telemetry, idempotency, options);
    std::shared_ptr<Service> bound = Service::Bind(std::move(implementation), *runtime);
    bindings_.push_back({&Service::Descriptor(), bound, std::move(runtime)});
    return bound;
  }

  template <typename Service>
  std::shared_ptr<Service> AddRemote(std::shared_ptr<Channel> channel) {
    std::shared_ptr<Service> client = Service::Connect(std::move(channel));
    bindings_.push_back({&Service::Descriptor(), client, nullptr});
    return client;
  }

  template <typename Service>
  std::shared_ptr<Service> Get() const {
    for (const Binding& binding : bindings_) {
      if (binding.descriptor == &Service::Descriptor())
        return std::static_pointer_cast<Service>(binding.service);
    }
    return nullptr;
  }

  const std::vector<Binding>& bindings() const { return bindings_; }
  // Lets go of every service, the newest first.
  void Clear() {
    while (!bindings_.empty()) bindings_.pop_back();
  }

 private:
  std::vector<Binding> bindings_;
};

}  // namespace starling::rpc

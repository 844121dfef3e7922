// What a service is to the process that runs it, beside its contract.
//
//   class CatalogService final : public v1::Catalog, public host::HostedService {
//    public:
//     using Contract = v1::Catalog;
//     static constexpr host::Keeps kKeeps = host::Keeps::kDatabase;   // what only one process may
//     have static StatusOr<std::shared_ptr<CatalogService>> Create(host::Environment& environment);
//     Status Start() override { outbox_->Start(); return OkStatus(); }
//     void Stop() override { outbox_->Stop(); }
//
// Create opens what the service owns and may block; Start begins background work once every service
// was created; Drain ends streams that would last as long as the process, before the other calls
// are waited for; Stop ends background work, after the last call was answered. All run on the main
// thread, Start in the list's order, the others in its reverse.
#pragma once

#include <string>
#include <vector>

#include "platform/base/status.h"
#include "platform/host/environment.h"
#include "platform/host/topology.h"

namespace starling::host {

class HostedService {
 public:
  virtual ~HostedService() = default;
  virtual Status Start() { return OkStatus(); }
  virtual void Drain() {}
  virtual void Stop() {}
  // OK, or why the service cannot work now: shown by /readyz.
  virtual Status Health() const { return OkStatus(); }
  // The versions of models that it answers by, the one that serves first: for /digest.
  virtual std::vector<std::string> Models() const { return {}; }
};

}  // namespace starling::host

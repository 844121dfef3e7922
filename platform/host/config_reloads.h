// Changes of a process' configuration while it runs: looked for every second, and at once when
// somebody asks; how they went, and what holds now, is in metrics and in the log.
//
//   ConfigReloads reloads(registry, runtime, metrics);
//   reloads.Start(stopping.token());
//   reloads.Soon();              // as at SIGHUP
//
// starling_config_reloads_total{result}, starling_config_problems, and
// starling_config_refused{key}, which is 1 while what a source says of the key is refused.
#pragma once

#include <atomic>

#include "platform/async/cancellation.h"
#include "platform/async/runtime.h"
#include "platform/config/registry.h"
#include "platform/telemetry/metrics.h"

namespace starling::host {

// What it is made with, and it, must outlive the runtime's threads, or be told to end by `until`
// before.
class ConfigReloads {
 public:
  ConfigReloads(config::Registry& registry, Runtime& runtime, telemetry::Metrics& metrics)
      : registry_(registry), runtime_(runtime), metrics_(metrics) {}

  // Once, from the thread that owns this.
  void Start(CancellationToken until);
  // Thread-safe; does not wait. Who asks while a look is to come has asked for that one.
  void Soon();
  // Nobody is told any more.
  void Stop() { reports_.Release(); }

 private:
  config::Registry& registry_;
  Runtime& runtime_;
  telemetry::Metrics& metrics_;
  config::Subscription reports_;
  std::atomic<bool> waits_{false};
};

}  // namespace starling::host

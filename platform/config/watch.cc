#include "platform/config/watch.h"

namespace starling::config {

Task<void> Watch(Registry& registry, BlockingPool& pool, CancellationToken until,
                 Duration interval) {
  while (!until.IsCancelled()) {
    const Status looked = co_await pool.Run([&]() -> Status {
      if (registry.LoadedSignature() == registry.Signature()) return OkStatus();
      return registry.Reload().status();
    });
    // Reload has told its listeners; a full pool only delays the look.
    (void)looked;
    co_await SleepFor(interval);
  }
}

}  // namespace starling::config

// Reads the configuration again when one of its files, or what the cluster says, changes.
//
//   Spawn(runtime.executor(0), config::Watch(registry, runtime.blocking(), shutdown.token()));
//
// Once every `interval` it compares Registry::Signature with that of the newest load, so that no
// change is lost in between. A refused
// reload is reported through Registry::OnReload once, and again only after the next change. Ends
// within `interval` of cancellation. Looks cost one stat(2) a file, on the pool; when the pool is
// full the look is left out.
#pragma once

#include "platform/async/blocking_pool.h"
#include "platform/async/cancellation.h"
#include "platform/async/task.h"
#include "platform/config/registry.h"

namespace starling::config {

Task<void> Watch(Registry& registry, BlockingPool& pool, CancellationToken until,
                 Duration interval = std::chrono::seconds(1));

}  // namespace starling::config

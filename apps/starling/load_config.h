// Reads the configuration as every command does: starling.yaml (or --config), STARLING_*, --set,
// --port.
#pragma once

#include "apps/starling/commands.h"
#include "platform/config/registry.h"

namespace starling {

Status LoadConfig(const CommonOptions& common, config::Registry& registry);

// Prints an error as people want to read it: one line a mistake. Gives 1.
int Fail(const Status& status);

}  // namespace starling

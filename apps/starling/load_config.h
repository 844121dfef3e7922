// Reads the configuration as every command does: starling.yaml (or --config), --topology,
// STARLING_*, --set, --port.
#pragma once

#include "apps/starling/commands.h"
#include "apps/starling/services.h"
#include "apps/starling/storefront.h"
#include "platform/config/registry.h"

namespace starling {

// Every section there is: of the process, of all services, and of the binary itself.
struct Configuration : host::Configuration {
  Configuration() : host::Configuration(Services()) {}
  const config::Handle<StorefrontConfig> storefront =
      registry.Section<StorefrontConfig>("storefront", "what a shopper sees");
};

Status LoadConfig(const CommonOptions& common, Configuration& config);
// For a command that runs the services for itself: the same, and no training but one that it asks
// for.
Status LoadConfigForTool(CommonOptions common, Configuration& config);

// Prints an error as people want to read it: one line a mistake. Gives 1.
int Fail(const Status& status);

}  // namespace starling

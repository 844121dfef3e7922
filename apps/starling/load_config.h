// Reads the configuration as every command does: etcd when config.etcd says so, starling.yaml (or
// --config), --topology, STARLING_*, --set, --port.
#pragma once

#include "apps/starling/commands.h"
#include "apps/starling/services.h"
#include "apps/starling/storefront.h"
#include "platform/config/registry.h"
#include "platform/discovery/etcd/config_source.h"

namespace starling {

// Every section there is: of the process, of all services, and of the binary itself.
struct Configuration : host::Configuration {
  Configuration() : host::Configuration(Services()) {}
  const config::Handle<StorefrontConfig> storefront =
      registry.Section<StorefrontConfig>("storefront", "what a shopper sees");
  const config::Handle<discovery::EtcdConfigOptions> etcd =
      registry.Section<discovery::EtcdConfigOptions>(discovery::EtcdConfigOptions::kSection,
                                                     discovery::EtcdConfigOptions::kDoc);
};

Status LoadConfig(const CommonOptions& common, Configuration& config);
// Without what the cluster says in etcd: good also while that is wrong, or away.
Status LoadOwnConfig(const CommonOptions& common, Configuration& config);
// For a command that runs the services for itself: as LoadConfig, and no training but one that it
// asks for.
Status LoadConfigForTool(CommonOptions common, Configuration& config);

// Prints an error as people want to read it: one line a mistake. Gives 1.
int Fail(const Status& status);

}  // namespace starling

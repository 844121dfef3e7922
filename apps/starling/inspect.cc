// starling config, openapi: say how things are, change nothing.
#include <fmt/format.h>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "apps/starling/version.h"
#include "platform/rpc/openapi.h"

namespace starling {

int ConfigShow(const CommonOptions& common) {
  Configuration config;
  if (const Status loaded = LoadConfig(common, config); !loaded.ok()) return Fail(loaded);
  fmt::print("{}", config.registry.Show());
  return 0;
}

int ConfigCheck(const CommonOptions& common) {
  Configuration config;
  if (const Status loaded = LoadConfig(common, config); !loaded.ok()) return Fail(loaded);
  fmt::print("the configuration is right (digest {})\n", config.registry.Digest());
  return 0;
}

int ConfigKeys(const CommonOptions&) {
  Configuration config;
  fmt::print("{}", config.registry.Documentation());
  return 0;
}

int PrintOpenApi() {
  std::vector<const rpc::ServiceDescriptor*> descriptors;
  for (const host::ServiceEntry& entry : Services()) descriptors.push_back(entry.descriptor);
  fmt::print("{}\n", rpc::OpenApiDocument(descriptors, kVersion));
  return 0;
}

}  // namespace starling

#include "apps/starling/load_config.h"

#include <cstdio>

namespace starling {

namespace {

// What this machine says: files, environment, command line.
StatusOr<config::Sources> OwnSources(const CommonOptions& common) {
  config::Sources sources;
  sources.environment = config::ProcessEnvironment();
  sources.ignored_variables = {"STARLING_BINARY", "STARLING_TEST_RUN"};
  sources.file = common.config_file;
  if (sources.file.empty() && std::filesystem::exists("starling.yaml"))
    sources.file = "starling.yaml";
  if (!common.topology.empty()) sources.more_files.push_back(common.topology);
  for (const std::string& pair : common.set) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos)
      return InvalidArgument("--set {}: write it as KEY=VALUE", pair);
    sources.overrides.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  if (common.port >= 0) sources.overrides.emplace_back("http.port", std::to_string(common.port));
  return sources;
}

}  // namespace

Status LoadOwnConfig(const CommonOptions& common, Configuration& config) {
  STARLING_ASSIGN_OR_RETURN(config::Sources sources, OwnSources(common));
  return config.registry.Load(std::move(sources));
}

Status LoadConfig(const CommonOptions& common, Configuration& config) {
  config::Registry& registry = config.registry;
  STARLING_ASSIGN_OR_RETURN(config::Sources sources, OwnSources(common));
  STARLING_RETURN_IF_ERROR(discovery::AddEtcd(sources));
  if (common.process.empty()) return registry.Load(std::move(sources));
  if (common.topology.empty())
    return InvalidArgument("--process {} needs --topology, the file that says what it runs",
                           common.process);
  // First as it stands, to know the topology; then with what that says of this process.
  STARLING_RETURN_IF_ERROR(registry.Load(sources));
  STARLING_ASSIGN_OR_RETURN(sources.assigned,
                            host::SettingsOf(*config.process.topology.Get(), common.process));
  sources.assigned_by = fmt::format("{}: topology.processes.{}", common.topology, common.process);
  return registry.Load(std::move(sources));
}

Status LoadConfigForTool(CommonOptions common, Configuration& config) {
  common.set.insert(common.set.end(), {"training.every=0s", "training.after_events=0",
                                       "training.low_priority=false"});
  return LoadConfig(common, config);
}

int Fail(const Status& status) {
  const auto violations = FieldViolations(status);
  if (violations.empty()) {
    fmt::print(stderr, "starling: {}\n", std::string(status.message()));
  } else {
    for (const FieldViolation& violation : violations) {
      fmt::print(stderr, "starling: {}: {}\n", violation.field, violation.description);
    }
  }
  return 1;
}

}  // namespace starling

// starling topology: shows, checks and plans which process runs what.
#include "platform/host/topology.h"

#include <fmt/format.h>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"

namespace starling {
namespace {

// The topology, once it was found right; the exit code otherwise.
int WithTopology(const CommonOptions& common,
                 const std::function<void(const host::TopologyConfig&)>& use) {
  Configuration config;
  if (const Status loaded = LoadConfig(common, config); !loaded.ok()) return Fail(loaded);
  const auto topology = config.process.topology.Get();
  const std::vector<host::ServiceEntry> known = Services();
  const Status checked = host::CheckTopology(*topology, host::TopologyServices(known),
                                             host::EnginesOf(config.process));
  if (!checked.ok()) return Fail(checked);
  use(*topology);
  return 0;
}

}  // namespace

int TopologyShow(const CommonOptions& common) {
  return WithTopology(common, [](const host::TopologyConfig& topology) {
    fmt::print("{}", host::DrawTopology(topology));
  });
}

int TopologyCheck(const CommonOptions& common) {
  return WithTopology(common, [](const host::TopologyConfig& topology) {
    fmt::print("the topology of {} processes is right\n", topology.processes.size());
  });
}

int TopologyPlan(const CommonOptions& common) {
  return WithTopology(common, [&](const host::TopologyConfig& topology) {
    // Who serves events first, who serves the API last: the others wait for the events, and callers
    // for the API.
    const auto rank = [](const host::TopologyProcess& process) {
      if (!process.http.empty()) return 2;
      for (const std::string& service : process.services) {
        if (service == "events") return 0;
      }
      return 1;
    };
    for (int turn = 0; turn < 3; ++turn) {
      for (const auto& [name, process] : topology.processes) {
        if (rank(process) != turn) continue;
        fmt::print("starling serve --topology {} --process {} --data {}\n", common.topology, name,
                   process.data.empty() ? common.data.string() : process.data);
      }
    }
  });
}

}  // namespace starling

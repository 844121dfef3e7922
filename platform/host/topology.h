// Which process runs which services, and where each is: the section `topology` of the
// configuration.
//
//   topology:
//     processes:
//       gateway: {http: "127.0.0.1:8080", admin: "127.0.0.1:8081"}
//       catalog: {services: [catalog], grpc: "127.0.0.1:9001", admin: "127.0.0.1:9101"}
//       rest: {services: [profile, ingestion, events], grpc: "127.0.0.1:9002", set:
//       {runtime.io_threads: 1}}
//
// `starling serve --topology FILE --process catalog` is that process. Without the section
// everything runs in one.
//
// All functions are pure; problems come as INVALID_ARGUMENT that names each key, its value and the
// remedy.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "platform/base/status.h"
#include "platform/config/fields.h"

namespace starling::host {

// What a service keeps, which decides what it takes to run more than one instance of it; joined by
// |.
enum class Keeps : unsigned {
  kNothing = 0,
  kDatabase = 1,  // tables: one instance on SQLite, any number on PostgreSQL
  kView = 2,      // what it has in memory follows events: any number where the log feeds views
  kFolder = 4,    // files that each instance makes for itself: each needs a data folder of its own
  kFiles = 8,     // files that nobody else has: one instance
};
constexpr Keeps operator|(Keeps a, Keeps b) {
  return static_cast<Keeps>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool Has(Keeps keeps, Keeps what) {
  return (static_cast<unsigned>(keeps) & static_cast<unsigned>(what)) != 0;
}

// One process of a topology.
struct TopologyProcess {
  std::vector<std::string> services;
  std::string http;
  std::string grpc;
  std::string admin;
  std::string zone;
  std::string data;
  std::map<std::string, std::string> set;
  static void Describe(config::Fields<TopologyProcess>& fields) {
    fields.Add("services", &TopologyProcess::services, "the services that it runs");
    fields.Add(
        "http", &TopologyProcess::http,
        "where it serves the public API, of all services: 127.0.0.1:8080; empty: it does not");
    fields.Add("grpc", &TopologyProcess::grpc,
               "where it serves its services to the other processes: 127.0.0.1:9001");
    fields.Add("admin", &TopologyProcess::admin,
               "where it shows metrics, health and configuration: 127.0.0.1:9101");
    fields.Add("zone", &TopologyProcess::zone,
               "where it runs; calls stay in a zone while they can");
    fields.Add("data", &TopologyProcess::data,
               "its data folder; empty: the one of --data, which is shared");
    fields.Add("set", &TopologyProcess::set,
               "its own configuration, over what stands above: {runtime.io_threads: 1}");
  }
};

struct TopologyConfig {
  std::map<std::string, TopologyProcess> processes;
  std::map<std::string, std::string> contracts;
  static void Describe(config::Fields<TopologyConfig>& fields) {
    fields.Add("processes", &TopologyConfig::processes, "the processes, by name");
    fields.Add("contracts", &TopologyConfig::contracts,
               "versions of contracts that every process must have: {catalog: "
               "starling.catalog.v1.Catalog}");
  }
};

// A service, as a topology sees it.
struct TopologyService {
  std::string_view name;      // "catalog"
  std::string_view contract;  // "starling.catalog.v1.Catalog"
  Keeps keeps = Keeps::kNothing;
};

// What the services stand on, as far as it decides who may run twice.
struct TopologyEngines {
  bool shared_database = false;  // PostgreSQL
  bool shared_events = false;    // a broker
  bool feeds_views = false;      // one whose every consumer can have all events: Kafka
};

// "127.0.0.1:8080" or "[::1]:8080".
StatusOr<std::pair<std::string, int>> SplitAddress(std::string_view address);

// Everything that is wrong with it: a service that nobody runs, or that is unknown; more instances
// of one than what it keeps allows; an address twice, or none where one is needed; nobody or more
// than one that serves `events` where no broker does; a contract of another version.
Status CheckTopology(const TopologyConfig& topology, std::span<const TopologyService> services,
                     const TopologyEngines& engines);

// The configuration that a process' entry stands for: {"http.port", "8080"}, ..., its `set` last.
StatusOr<std::vector<std::pair<std::string, std::string>>> SettingsOf(
    const TopologyConfig& topology, const std::string& process);

// The addresses of the processes that run a service.
std::vector<std::string> AddressesOf(const TopologyConfig& topology, std::string_view service);

// A drawing: processes, what they run and where, who calls whom, one line each; for `starling
// topology show`.
std::string DrawTopology(const TopologyConfig& topology);

}  // namespace starling::host

// starling doctor --cluster: asks every process what it runs with, and names who differs.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "platform/host/digest.h"
#include "platform/host/peers.h"
#include "platform/http/client.h"
#include "platform/telemetry/text.h"

namespace starling {
namespace {

constexpr Duration kPatience = std::chrono::seconds(3);

struct Asked {
  std::string name;
  std::string admin;  // "127.0.0.1:9101"
  StatusOr<host::ProcessDigest> digest = Unavailable("it was not asked");
};

// The processes that discovery knows of, by their admin addresses.
std::vector<Asked> Discovered(const host::ProcessConfig& config, Runtime& runtime) {
  const int port = config.admin.Get()->port;
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<discovery::Endpoint>> heard;
  const auto resolver = host::MakeResolver(config, runtime);
  std::vector<std::unique_ptr<discovery::Watch>> watches;
  for (const host::ServiceEntry& entry : Services()) {
    auto watch = resolver->Watch(std::string(entry.name),
                                 [&, name = entry.name](std::vector<discovery::Endpoint> all) {
                                   const std::lock_guard lock(mutex);
                                   heard[std::string(name)] = std::move(all);
                                   changed.notify_all();
                                 });
    if (watch.ok()) watches.push_back(*std::move(watch));
  }
  {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, kPatience, [&] { return heard.size() == watches.size(); });
  }
  const size_t watched = watches.size();
  watches.clear();  // none is called any more
  if (heard.size() < watched)
    fmt::print(stderr, "starling: {} of {} services are not known to discovery yet\n",
               watched - heard.size(), watched);
  std::set<std::string> admins;
  for (const auto& [service, endpoints] : heard) {
    for (const discovery::Endpoint& endpoint : endpoints) {
      if (!endpoint.admin.empty()) {
        admins.insert(endpoint.admin);
      } else if (port > 0) {
        admins.insert(
            fmt::format("{}:{}", endpoint.address.substr(0, endpoint.address.rfind(':')), port));
      }
    }
  }
  std::vector<Asked> processes;
  for (const std::string& admin : admins) processes.push_back({.name = admin, .admin = admin});
  return processes;
}

std::vector<Asked> Processes(const host::ProcessConfig& config, Runtime& runtime) {
  const auto topology = config.topology.Get();
  if (topology->processes.empty()) return Discovered(config, runtime);
  std::vector<Asked> processes;
  for (const auto& [name, process] : topology->processes)
    processes.push_back({.name = name, .admin = process.admin});
  return processes;
}

Task<StatusOr<host::ProcessDigest>> Ask(http::Client& client, std::string admin) {
  if (admin.empty()) {
    co_return FailedPrecondition(
        "it has no admin address; give it one in the topology, as 127.0.0.1:9101");
  }
  http::ClientRequest request{.url = "http://" + admin + "/digest", .timeout = kPatience};
  const StatusOr<http::ClientResponse> response = co_await client.Send(std::move(request));
  if (!response.ok()) co_return response.status();
  if (response->status != 200)
    co_return Unavailable("{} answers {} to /digest; is it Starling?", admin, response->status);
  co_return host::ReadDigest(response->body);
}

std::string ShownModels(const host::ProcessDigest& digest) {
  std::vector<std::string> versions;
  for (const auto& [service, version] : digest.models) versions.push_back(version);
  return versions.empty() ? "-" : fmt::format("{}", fmt::join(versions, ", "));
}

void PrintTable(const std::vector<Asked>& processes) {
  size_t widest = 7;
  for (const Asked& one : processes) widest = std::max(widest, one.name.size());
  fmt::print("{:<{}}  version   ready  config            contracts         models\n", "process",
             widest);
  for (const Asked& one : processes) {
    if (!one.digest.ok()) {
      fmt::print("{:<{}}  cannot be asked: {}\n", one.name, widest,
                 std::string(one.digest.status().message()));
      continue;
    }
    const host::ProcessDigest& digest = *one.digest;
    fmt::print("{:<{}}  {:<8}  {:<5}  {}  {}  {}\n", one.name, widest, digest.version,
               digest.ready ? "yes" : "no", host::DigestOf(digest.config),
               host::DigestOf(digest.contracts), ShownModels(digest));
  }
}

// A JSON string, list of strings.
std::string Json(std::string_view text) {
  std::string out;
  telemetry::AppendJsonString(text, out);
  return out;
}
std::string Json(const std::vector<std::string>& list) {
  std::vector<std::string> items;
  items.reserve(list.size());
  for (const std::string& item : list) items.push_back(Json(item));
  return fmt::format("[{}]", fmt::join(items, ","));
}

void PrintJson(const std::vector<Asked>& processes, const std::vector<host::Drift>& drifts,
               const std::vector<std::string>& findings) {
  std::vector<std::string> rows, differences;
  for (const Asked& one : processes) {
    rows.push_back(one.digest.ok()
                       ? fmt::format(R"({{"name":{},"admin":{},"digest":{}}})", Json(one.name),
                                     Json(one.admin), host::WriteDigest(*one.digest))
                       : fmt::format(R"({{"name":{},"admin":{},"error":{}}})", Json(one.name),
                                     Json(one.admin),
                                     Json(std::string(one.digest.status().message()))));
  }
  for (const host::Drift& drift : drifts) {
    std::vector<std::string> holders;
    for (const auto& [value, names] : drift.holders)
      holders.push_back(fmt::format(R"({{"value":{},"processes":{}}})", Json(value), Json(names)));
    differences.push_back(fmt::format(R"({{"part":{},"key":{},"values":[{}]}})", Json(drift.part),
                                      Json(drift.key), fmt::join(holders, ",")));
  }
  fmt::print("{{\"well\":{},\"processes\":[{}],\"drift\":[{}],\"findings\":{}}}\n",
             findings.empty(), fmt::join(rows, ","), fmt::join(differences, ","), Json(findings));
}

}  // namespace

int DoctorCluster(const CommonOptions& common, bool json) {
  Configuration config;
  if (const Status loaded = LoadOwnConfig(common, config); !loaded.ok()) return Fail(loaded);
  Runtime runtime({.io_threads = 1, .blocking_threads = 1});
  std::vector<Asked> processes = Processes(config.process, runtime);
  if (processes.empty()) {
    return Fail(FailedPrecondition(
        "no process is known: name the file that says what runs by --topology, or who knows it by "
        "discovery.engine"));
  }
  http::Client client(runtime, {});
  std::vector<host::ProcessDigest> digests;
  std::vector<std::string> findings;
  for (Asked& one : processes) {
    one.digest = runtime.Block(Ask(client, one.admin));
    if (!one.digest.ok()) {
      findings.push_back(fmt::format("{} cannot be asked: {}", one.name,
                                     std::string(one.digest.status().message())));
      continue;
    }
    // Where discovery knows only its address, the process says its name.
    if (one.name == one.admin && !one.digest->process.empty()) one.name = one.digest->process;
    one.digest->process = one.name;
    if (!one.digest->ready) findings.push_back(fmt::format("{} is not ready", one.name));
    for (const std::string& problem : one.digest->problems)
      findings.push_back(
          fmt::format("{} refused a change, the old stays in force: {}", one.name, problem));
    for (const std::string& pending : one.digest->pending)
      findings.push_back(fmt::format("{} waits for a restart: {}", one.name, pending));
    digests.push_back(*one.digest);
  }
  const std::vector<host::Drift> drifts = host::FindDrift(digests);
  for (const host::Drift& drift : drifts) findings.push_back("drift, " + host::Describe(drift));
  if (json) {
    PrintJson(processes, drifts, findings);
  } else {
    PrintTable(processes);
    for (const std::string& finding : findings) fmt::print("wrong   {}\n", finding);
    fmt::print("{}\n", findings.empty() ? "all alike" : fmt::format("{} to mend", findings.size()));
  }
  return findings.empty() ? 0 : 1;
}

}  // namespace starling

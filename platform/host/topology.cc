#include "platform/host/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "platform/base/nearest.h"

namespace starling::host {
namespace {

constexpr std::string_view kEvents =
    "events";  // the service that lets others use the embedded event log

class Problems {
 public:
  template <typename... Args>
  void Add(std::string key, fmt::format_string<Args...> format, Args&&... args) {
    found_.push_back({std::move(key), fmt::format(format, std::forward<Args>(args)...)});
  }
  Status status() const { return found_.empty() ? OkStatus() : InvalidFields(found_); }

 private:
  std::vector<FieldViolation> found_;
};

std::string Key(std::string_view process, std::string_view field) {
  return fmt::format("topology.processes.{}.{}", process, field);
}

void CheckAddresses(const TopologyConfig& topology, Problems& problems) {
  std::map<std::string, std::string> users;  // of each address
  for (const auto& [name, process] : topology.processes) {
    const std::pair<std::string_view, const std::string*> fields[] = {
        {"http", &process.http}, {"grpc", &process.grpc}, {"admin", &process.admin}};
    for (const auto& [field, address] : fields) {
      if (address->empty()) continue;
      const std::string key = Key(name, field);
      if (const auto split = SplitAddress(*address); !split.ok()) {
        problems.Add(key, "{}", std::string(split.status().message()));
      } else if (const auto [user, is_new] = users.emplace(*address, key);
                 !is_new && split->second != 0) {
        problems.Add(key, "'{}' is {}'s already; give it a port of its own", *address,
                     user->second);
      }
    }
    if (!process.services.empty() && process.grpc.empty() && topology.processes.size() > 1)
      problems.Add(Key(name, "grpc"),
                   "is missing: the other processes call its services there, as 127.0.0.1:9001");
  }
}

std::string_view HostOf(std::string_view address) { return address.substr(0, address.rfind(':')); }

// A service that several processes run.
void CheckInstances(const TopologyConfig& topology, const TopologyService& service,
                    std::span<const std::string> runners, const TopologyEngines& engines,
                    Problems& problems) {
  const auto refuse = [&](std::string_view why) {
    problems.Add(Key(runners[1], "services"), "'{}' is run by {} too, and {}", service.name,
                 runners[0], why);
  };
  if (Has(service.keeps, Keeps::kFiles)) refuse("its store has one owner: run it once");
  if (Has(service.keeps, Keeps::kDatabase) && !engines.shared_database)
    refuse(
        "its SQLite file has one owner: run it once, or put it on PostgreSQL with storage.sql.url");
  if (Has(service.keeps, Keeps::kView) && !engines.feeds_views)
    refuse(
        "each would hear of a part of the events: run it once, or choose messaging.engine kafka");
  if (!Has(service.keeps, Keeps::kFolder)) return;
  std::map<std::pair<std::string_view, std::string_view>, std::string_view> owners;  // host, folder
  for (const std::string& runner : runners) {
    const TopologyProcess& process = topology.processes.at(runner);
    const auto [owner, is_new] =
        owners.emplace(std::pair(HostOf(process.grpc), process.data), runner);
    if (!is_new)
      problems.Add(Key(runner, "data"),
                   "is that of {}, which runs '{}' too, and each instance keeps files of its own: "
                   "give it a folder, as data-2",
                   owner->second, service.name);
  }
}

void CheckServices(const TopologyConfig& topology, std::span<const TopologyService> services,
                   const TopologyEngines& engines, Problems& problems) {
  std::vector<std::string> known;
  for (const TopologyService& service : services) known.emplace_back(service.name);
  std::map<std::string, std::vector<std::string>> runners;  // of each service
  for (const auto& [name, process] : topology.processes) {
    for (const std::string& service : process.services) {
      if (std::find(known.begin(), known.end(), service) == known.end()) {
        problems.Add(Key(name, "services"), "there is no service '{}'{}; there are {}", service,
                     DidYouMean(service, known), fmt::join(known, ", "));
        continue;
      }
      std::vector<std::string>& those = runners[service];
      if (!those.empty() && those.back() == name) {
        problems.Add(Key(name, "services"), "'{}' stands there twice", service);
      } else {
        those.push_back(name);
      }
    }
  }
  const bool distributed = topology.processes.size() > 1;
  for (const TopologyService& service : services) {
    const std::vector<std::string>& those = runners[std::string(service.name)];
    const bool is_events = service.name == kEvents;
    if (those.empty() && (!is_events || (distributed && !engines.shared_events))) {
      problems.Add("topology.processes", "no process runs '{}'; add it to the services of one{}",
                   service.name, is_events ? ", or choose a broker with messaging.engine" : "");
    }
    if (those.size() > 1) CheckInstances(topology, service, those, engines, problems);
  }
}

}  // namespace

StatusOr<std::pair<std::string, int>> SplitAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon != std::string_view::npos && colon > 0) {
    const std::string_view digits = address.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc() || end != digits.data() + digits.size()) port = -1;
  }
  if (port < 0 || port > 65535)
    return InvalidArgument("'{}' is no address; write HOST:PORT, as 127.0.0.1:9001", address);
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return std::pair(std::string(host), port);
}

Status CheckTopology(const TopologyConfig& topology, std::span<const TopologyService> services,
                     const TopologyEngines& engines) {
  Problems problems;
  if (topology.processes.empty()) {
    problems.Add("topology.processes", "is empty: name the processes and what each runs");
    return problems.status();
  }
  CheckAddresses(topology, problems);
  CheckServices(topology, services, engines, problems);
  if (std::none_of(topology.processes.begin(), topology.processes.end(),
                   [](const auto& process) { return !process.second.http.empty(); })) {
    problems.Add("topology.processes",
                 "none has `http`, so nobody could call: give one an address, as 127.0.0.1:8080");
  }
  for (const auto& [name, contract] : topology.contracts) {
    const auto service =
        std::find_if(services.begin(), services.end(),
                     [&](const TopologyService& each) { return each.name == name; });
    if (service == services.end()) {
      problems.Add("topology.contracts." + name, "there is no such service");
    } else if (service->contract != contract) {
      problems.Add("topology.contracts." + name,
                   "is '{}', but this program has {}: run one whose version it is", contract,
                   service->contract);
    }
  }
  return problems.status();
}

StatusOr<std::vector<std::pair<std::string, std::string>>> SettingsOf(
    const TopologyConfig& topology, const std::string& process) {
  const auto found = topology.processes.find(process);
  if (found == topology.processes.end()) {
    std::vector<std::string> names;
    for (const auto& [name, unused] : topology.processes) names.push_back(name);
    return InvalidArgument("the topology has no process '{}'{}; it has {}", process,
                           DidYouMean(process, names),
                           names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  }
  const TopologyProcess& entry = found->second;
  std::vector<std::pair<std::string, std::string>> settings;
  const auto listen = [&](const std::string& address, const std::string& section) -> Status {
    if (address.empty()) return OkStatus();
    STARLING_ASSIGN_OR_RETURN(const auto split, SplitAddress(address));
    settings.emplace_back(section + ".address", split.first);
    settings.emplace_back(section + ".port", std::to_string(split.second));
    return OkStatus();
  };
  settings.emplace_back("http.enabled", entry.http.empty() ? "false" : "true");
  STARLING_RETURN_IF_ERROR(listen(entry.http, "http"));
  STARLING_RETURN_IF_ERROR(listen(entry.admin, "admin"));
  settings.emplace_back("grpc.enabled", entry.grpc.empty() ? "false" : "true");
  STARLING_RETURN_IF_ERROR(listen(entry.grpc, "grpc"));
  settings.insert(settings.end(), entry.set.begin(), entry.set.end());
  return settings;
}

std::vector<std::string> AddressesOf(const TopologyConfig& topology, std::string_view service) {
  std::vector<std::string> addresses;
  for (const auto& [name, process] : topology.processes) {
    if (std::find(process.services.begin(), process.services.end(), service) !=
            process.services.end() &&
        !process.grpc.empty()) {
      addresses.push_back(process.grpc);
    }
  }
  return addresses;
}

std::string DrawTopology(const TopologyConfig& topology) {
  size_t widest = 7;
  for (const auto& [name, process] : topology.processes) widest = std::max(widest, name.size());
  std::string drawing = fmt::format("{:<{}}  {:<21}  {:<21}  {:<21}  services\n", "process", widest,
                                    "http", "grpc", "admin");
  for (const auto& [name, process] : topology.processes) {
    const auto shown = [](const std::string& address) { return address.empty() ? "-" : address; };
    drawing += fmt::format(
        "{:<{}}  {:<21}  {:<21}  {:<21}  {}{}\n", name, widest, shown(process.http),
        shown(process.grpc), shown(process.admin),
        process.services.empty() ? "-" : fmt::format("{}", fmt::join(process.services, ", ")),
        process.zone.empty() ? "" : "  (zone " + process.zone + ")");
  }
  return drawing;
}

}  // namespace starling::host

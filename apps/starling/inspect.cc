// starling config, openapi, doctor: say how things are, change nothing.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "apps/starling/version.h"
#include "platform/host/data_folder.h"
#include "platform/rpc/openapi.h"

namespace starling {
namespace {

// Prints a finding; counts those that are wrong.
class Findings {
 public:
  void Good(std::string_view what) { fmt::print("ok      {}\n", what); }
  void Wrong(std::string_view what, std::string_view remedy) {
    fmt::print("wrong   {}\n        {}\n", what, remedy);
    ++wrong_;
  }
  int wrong() const { return wrong_; }

 private:
  int wrong_ = 0;
};

bool PortIsFree(int port) {
  const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) return false;
  const int on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool is_free = bind(s, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(s);
  return is_free;
}

void CheckData(const std::filesystem::path& data, Findings& findings) {
  const std::string holder = host::DataFolder::Holder(data);
  if (!holder.empty()) {
    findings.Good(fmt::format("data folder {}: in use by {}", data.string(), holder));
  } else {
    std::error_code error;
    std::filesystem::create_directories(data, error);
    const std::filesystem::path probe = data / ".doctor";
    std::ofstream file(probe);
    file << "probe";
    file.close();
    const bool written = !error && file.good();
    std::filesystem::remove(probe, error);
    if (written) {
      findings.Good(fmt::format("data folder {}: can be written", data.string()));
    } else {
      findings.Wrong(fmt::format("data folder {}: cannot be written", data.string()),
                     "make it writable for this user, or choose another with --data");
    }
  }
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(data, error);
  if (error) return;
  const double gib = static_cast<double>(space.available) / (1 << 30);
  if (gib < 1) {
    findings.Wrong(fmt::format("disk: {:.2f} GiB are free", gib),
                   "free some: writes are refused when it is full");
  } else {
    findings.Good(fmt::format("disk: {:.0f} GiB are free", gib));
  }
}

void CheckPorts(const host::ProcessConfig& config, bool running, Findings& findings) {
  const int port = config.http.Get()->port;
  if (port == 0) return findings.Good("ports: any free ones");
  for (const auto& [number, use] : {std::pair{port, "API"}, {port + 1, "admin"}}) {
    if (PortIsFree(number)) {
      findings.Good(fmt::format("port {} ({}): free", number, use));
    } else if (running) {
      findings.Good(
          fmt::format("port {} ({}): taken, as it should be while Starling runs", number, use));
    } else {
      findings.Wrong(fmt::format("port {} ({}): taken by another process", number, use),
                     "stop that process, or choose another with --port");
    }
  }
}

void CheckClock(const std::filesystem::path& data, Findings& findings) {
  const TimePoint now = SystemClock().Now();
  std::error_code error;
  const auto changed = std::filesystem::last_write_time(data, error);
  const auto file_now = std::filesystem::file_time_type::clock::now();
  if (now < *ParseRfc3339("2026-01-01T00:00:00Z")) {
    findings.Wrong(fmt::format("clock: it says {}", FormatRfc3339(now)),
                   "set the machine's clock (NTP)");
  } else if (!error && changed > file_now + std::chrono::minutes(5)) {
    findings.Wrong("clock: it is behind the data folder's last change",
                   "set the machine's clock (NTP)");
  } else {
    findings.Good(
        fmt::format("clock: {}", FormatRfc3339(std::chrono::floor<std::chrono::seconds>(now))));
  }
}

}  // namespace

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

int Doctor(const CommonOptions& common) {
  Findings findings;
  Configuration config;
  if (const Status loaded = LoadConfig(common, config); loaded.ok()) {
    findings.Good(fmt::format("configuration: right, digest {}", config.registry.Digest()));
  } else {
    for (const FieldViolation& mistake : FieldViolations(loaded)) {
      findings.Wrong(fmt::format("configuration: {}", mistake.field), mistake.description);
    }
    if (FieldViolations(loaded).empty())
      findings.Wrong("configuration", std::string(loaded.message()));
  }
  CheckData(common.data, findings);
  CheckPorts(config.process, !host::DataFolder::Holder(common.data).empty(), findings);
  CheckClock(common.data, findings);
  fmt::print("{}\n",
             findings.wrong() == 0 ? "all is well" : fmt::format("{} to mend", findings.wrong()));
  return findings.wrong() == 0 ? 0 : 1;
}

}  // namespace starling

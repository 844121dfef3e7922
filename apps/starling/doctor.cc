// starling doctor: what is wrong with this machine and this data folder, and what to do.
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "apps/starling/commands.h"
#include "apps/starling/load_config.h"
#include "apps/starling/services.h"
#include "platform/host/data_folder.h"
#include "platform/host/digest.h"
#include "platform/http/client.h"
#include "services/inference/inference_config.h"
#include "services/inference/model_files.h"

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

// Whether something listens there; waits two seconds at most for each of its addresses.
bool Answers(const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return false;
  bool answers = false;
  for (const addrinfo* at = found; at != nullptr && !answers; at = at->ai_next) {
    const int s = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0) continue;
    pollfd waits{.fd = s, .events = POLLOUT, .revents = 0};
    int error = 0;
    socklen_t size = sizeof error;
    if (connect(s, at->ai_addr, at->ai_addrlen) == 0) {
      answers = true;
    } else if (errno == EINPROGRESS && poll(&waits, 1, 2'000) == 1) {
      answers = getsockopt(s, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    }
    close(s);
  }
  freeaddrinfo(found);
  return answers;
}

// "host:port" of "scheme://user:password@host:port/path?query"; the port as the scheme has it.
std::string PlaceOf(std::string_view url, std::string_view port) {
  if (const size_t scheme = url.find("://"); scheme != url.npos) url.remove_prefix(scheme + 3);
  url = url.substr(0, url.find_first_of("/?"));
  if (const size_t user = url.rfind('@'); user != url.npos) url.remove_prefix(user + 1);
  std::string place(url);
  const size_t colon = place.rfind(':');
  if (!place.empty() && (colon == std::string::npos || place.back() == ']'))
    place += fmt::format(":{}", port);
  return place;
}

void CheckEngines(const host::ProcessConfig& config, Findings& findings) {
  struct Engine {
    std::string name, key, place;
  };
  std::vector<Engine> engines;
  const auto add = [&](std::string_view name, std::string_view key, std::string_view urls,
                       std::string_view port) {
    while (!urls.empty()) {
      const size_t comma = urls.find(',');
      engines.push_back(
          {std::string(name), std::string(key), PlaceOf(urls.substr(0, comma), port)});
      urls = comma == urls.npos ? "" : urls.substr(comma + 1);
    }
  };
  const auto storage = config.storage.Get();
  add("PostgreSQL", "storage.sql.url", storage->sql.url.Reveal(), "5432");
  for (const auto& [service, own] : storage->sql.services)
    add("PostgreSQL of " + service, "storage.sql.services." + service + ".url", own.url.Reveal(),
        "5432");
  if (storage->kv.engine == host::KvStorageConfig::Engine::kRedis)
    add("Redis", "storage.kv.url", storage->kv.url.Reveal(), "6379");
  if (storage->blob.engine == host::BlobStorageConfig::Engine::kS3)
    add("S3", "storage.blob.url", storage->blob.url, "80");
  if (const auto gateway = config.gateway.Get();
      gateway->limit_store == host::GatewayConfig::LimitStore::kRedis)
    add("Redis", "gateway.limit_url", gateway->limit_url.Reveal(), "6379");
  const auto messaging = config.messaging.Get();
  if (messaging->engine == "kafka") add("Kafka", "messaging.url", messaging->url.Reveal(), "9092");
  if (messaging->engine == "rabbitmq") {
    const std::string_view url = messaging->url.Reveal();
    add("RabbitMQ", "messaging.url", url, url.starts_with("amqps") ? "5671" : "5672");
  }
  if (config.discovery.Get()->engine == "etcd") {
    for (const std::string& url : config.discovery.Get()->urls)
      add("etcd", "discovery.urls", url, "2379");
  }
  add("collector of spans", "tracing.otlp_url", config.tracing.Get()->otlp_url, "80");
  for (const Engine& engine : engines) {
    // PostgreSQL by a socket of this machine has no host.
    const auto split = host::SplitAddress(engine.place);
    if (!split.ok()) continue;
    if (Answers(split->first, std::to_string(split->second))) {
      findings.Good(fmt::format("{} at {}: reachable", engine.name, engine.place));
    } else {
      findings.Wrong(fmt::format("{} at {}: nobody answers", engine.name, engine.place),
                     fmt::format("start it, or mend {}", engine.key));
    }
  }
}

// Of a process that runs on the folder: whether it is ready, and by which model it answers.
void CheckRunning(const std::string& admin, Findings& findings) {
  Runtime runtime({.io_threads = 1, .blocking_threads = 1});
  http::Client client(runtime, {});
  http::ClientRequest request{.url = "http://" + admin + "/digest",
                              .timeout = std::chrono::seconds(3)};
  const auto response = runtime.Block(client.Send(std::move(request)));
  const auto digest = response.ok() ? host::ReadDigest(response->body) : response.status();
  if (!digest.ok()) {
    return findings.Wrong(fmt::format("the running process does not answer at {}", admin),
                          "ask with the --port and --config that it was started with");
  }
  if (digest->ready) {
    findings.Good(fmt::format("the running process, version {}: ready", digest->version));
  } else {
    findings.Wrong("the running process is not ready",
                   fmt::format("http://{}/readyz names the service, its log the reason", admin));
  }
  for (const std::string& problem : digest->problems)
    findings.Wrong("a change was refused, the old stays in force: " + problem, "mend that source");
  for (const std::string& pending : digest->pending) findings.Good("with a restart: " + pending);
  if (const auto model = digest->models.find("inference"); model != digest->models.end())
    findings.Good(fmt::format("model: version {} is loaded", model->second));
}

void CheckModel(const std::filesystem::path& data, Findings& findings) {
  std::error_code error;
  const std::filesystem::path folder = data / "inference";
  if (!std::filesystem::exists(folder, error))
    return findings.Good("model: none yet; `starling train` makes one");
  const auto files =
      inference::ModelFiles::Open(folder, inference::InferenceConfig().index_memory.count());
  const auto version = files.ok() ? files->Serving("recommender") : files.status();
  if (!version.ok() || !version->has_value()) {
    return findings.Good("model: none serves yet; `starling train` makes one");
  }
  const auto loaded = files->Load("recommender", **version, SystemClock().Now());
  if (loaded.ok()) {
    findings.Good(fmt::format("model: version {} can be loaded", **version));
  } else {
    findings.Wrong(
        fmt::format("model: version {}: {}", **version, std::string(loaded.status().message())),
        "`starling train` makes another");
  }
}

}  // namespace

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
  const bool running = !host::DataFolder::Holder(common.data).empty();
  const int http = config.process.http.Get()->port;
  const int admin = config.process.admin.Get()->port != 0 ? config.process.admin.Get()->port
                    : http != 0                           ? http + 1
                                                          : 0;
  CheckPorts(config.process, running, findings);
  CheckClock(common.data, findings);
  CheckEngines(config.process, findings);
  if (running && admin != 0) {
    CheckRunning(fmt::format("{}:{}", config.process.admin.Get()->address, admin), findings);
  } else if (!running) {
    CheckModel(common.data, findings);
  }
  fmt::print("{}\n",
             findings.wrong() == 0 ? "all is well" : fmt::format("{} to mend", findings.wrong()));
  return findings.wrong() == 0 ? 0 : 1;
}

}  // namespace starling

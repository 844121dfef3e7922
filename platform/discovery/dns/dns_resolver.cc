#include "platform/discovery/dns/dns_resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>

#include "platform/discovery/address.h"
#include "platform/discovery/dns/answer.h"
#include "platform/discovery/watchers.h"
#include "platform/telemetry/log.h"

namespace starling::discovery {
namespace {

constexpr std::string_view kService = "{service}";

bool IsAbsent(int error) { return error == ARES_ENODATA || error == ARES_ENOTFOUND; }

}  // namespace

class DnsResolver::Core {
 public:
  explicit Core(DnsResolverOptions options)
      : options_(std::move(options)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    ares_library_init(ARES_LIB_INIT_ALL);
    broken_ = Open();
    if (broken_.ok()) thread_ = std::thread([this] { Loop(); });
  }
  ~Core() {
    stop_ = true;
    Wake();
    if (thread_.joinable()) thread_.join();
    if (channel_ != nullptr) ares_destroy(channel_);
    ::close(wake_);
    ares_library_cleanup();
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  StatusOr<std::unique_ptr<discovery::Watch>> Watch(std::string service, OnChange on_change) {
    STARLING_RETURN_IF_ERROR(broken_);
    STARLING_RETURN_IF_ERROR(CheckServiceName(service));
    {
      const std::lock_guard lock(mutex_);
      added_.push_back(service);
    }
    Wake();
    return watchers_.Add(service, std::move(on_change));
  }

  uint64_t rounds() const { return rounds_; }

 private:
  // A service that is asked for again and again; `left` queries of a round are not answered yet.
  struct Service {
    std::string name;
    int left = 0;
    bool failed = false;  // in this round: some server did not answer, or not to the question
    std::vector<Endpoint> endpoints;
    uint32_t ttl = 0;  // seconds
    Instant next;
    bool away = false;  // said so in the log
  };
  // What comes back with an answer.
  struct Asked {
    Core* core;
    Service* service;
    int type;
    dns::Target target;  // whose addresses are asked for
  };

  Status Open() {
    if (options_.name.find(kService) == std::string::npos)
      return InvalidArgument("the DNS name '{}' has no {{service}} in it", options_.name);
    if (options_.port < 0 || options_.port > 65535)
      return InvalidArgument("{} is no port", options_.port);
    ares_options settings{};
    settings.timeout = static_cast<int>(options_.timeout / std::chrono::milliseconds(1));
    settings.tries = options_.tries;
    settings.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    int error = ares_init_options(&channel_, &settings,
                                  ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_FLAGS);
    if (error == ARES_SUCCESS && !options_.servers.empty())
      error = ares_set_servers_ports_csv(channel_, options_.servers.c_str());
    if (error == ARES_SUCCESS) return OkStatus();
    return InvalidArgument("DNS servers '{}': {}", options_.servers, ares_strerror(error));
  }

  void Wake() {
    const uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof(one));
  }

  void Loop() {
    while (!stop_) {
      TakeAdded();
      Instant now = std::chrono::steady_clock::now();
      for (auto& [name, service] : services_) {
        if (service.left == 0 && service.next <= now) StartRound(service);
      }
      Wait();
    }
  }

  void TakeAdded() {
    const std::lock_guard lock(mutex_);
    for (std::string& name : added_) services_[name].name = name;
    added_.clear();
  }

  // Until a socket, a time or someone calls.
  void Wait() {
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets;
    const int wanted = ares_getsock(channel_, sockets.data(), ARES_GETSOCK_MAXNUM);
    std::vector<pollfd> polled = {{.fd = wake_, .events = POLLIN, .revents = 0}};
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      const bool reads = ARES_GETSOCK_READABLE(wanted, i);
      const bool writes = ARES_GETSOCK_WRITABLE(wanted, i);
      if (!reads && !writes) break;
      const int events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
      polled.push_back({.fd = sockets[i], .events = static_cast<int16_t>(events), .revents = 0});
    }
    const Instant now = std::chrono::steady_clock::now();
    Duration wait = std::chrono::seconds(60);
    for (const auto& [name, service] : services_) {
      if (service.left == 0) wait = std::min<Duration>(wait, service.next - now);
    }
    const auto ms = std::max<Duration::rep>(wait / std::chrono::milliseconds(1) + 1, 0);
    timeval longest{.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    timeval given{};
    const timeval* until = ares_timeout(channel_, &longest, &given);
    const int timeout = static_cast<int>(until->tv_sec * 1000 + (until->tv_usec + 999) / 1000);
    ::poll(polled.data(), polled.size(), timeout);
    uint64_t ignored = 0;
    (void)!::read(wake_, &ignored, sizeof(ignored));
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // timeouts
    for (size_t i = 1; i < polled.size(); ++i) {
      const int events = polled[i].revents;
      if (events == 0) continue;
      const int fd = polled[i].fd;
      ares_process_fd(channel_, (events & ~POLLOUT) != 0 ? fd : ARES_SOCKET_BAD,
                      (events & POLLOUT) != 0 ? fd : ARES_SOCKET_BAD);
    }
  }

  void StartRound(Service& service) {
    ++rounds_;
    service.failed = false;
    service.endpoints.clear();
    service.ttl = std::numeric_limits<uint32_t>::max();
    std::string name = options_.name;
    name.replace(name.find(kService), kService.size(), service.name);
    service.left = 1;  // this function itself, so that the round does not end within it
    if (options_.port == 0) {
      Ask(service, name, ns_t_srv, {});
    } else {
      AskAddresses(service, {.host = name, .port = static_cast<uint16_t>(options_.port)});
    }
    EndOne(service);
  }

  void Ask(Service& service, const std::string& name, int type, dns::Target target) {
    ++service.left;
    auto* asked = new Asked{this, &service, type, std::move(target)};
    ares_query(
        channel_, name.c_str(), ns_c_in, type,
        [](void* argument, int error, int, unsigned char* bytes, int size) {
          const std::unique_ptr<Asked> asked(static_cast<Asked*>(argument));
          if (error == ARES_EDESTRUCTION) return;
          const std::string_view answer(reinterpret_cast<const char*>(bytes),
                                        bytes == nullptr ? 0 : static_cast<size_t>(size));
          asked->core->Answered(*asked, error, answer);
        },
        asked);
  }

  void AskAddresses(Service& service, const dns::Target& target) {
    for (const int type : {ns_t_a, ns_t_aaaa}) Ask(service, target.host, type, target);
  }

  void Answered(const Asked& asked, int error, std::string_view answer) {
    Service& service = *asked.service;
    if (error == ARES_SUCCESS) {
      const Status read = asked.type == ns_t_srv ? TakeTargets(service, answer)
                                                 : TakeAddresses(service, asked, answer);
      if (!read.ok()) Failed(service, read);
    } else if (!IsAbsent(error)) {
      Failed(service, Unavailable("{}", ares_strerror(error)));
    }
    EndOne(service);
  }

  void Failed(Service& service, const Status& why) {
    service.failed = true;
    if (!std::exchange(service.away, true)) {
      log::Warning("discovery", "DNS does not answer for {}; what was known of it stays",
                   service.name)
          .With(why);
    }
  }

  Status TakeTargets(Service& service, std::string_view answer) {
    STARLING_ASSIGN_OR_RETURN(const dns::Targets all, dns::ReadSrv(answer));
    service.ttl = std::min(service.ttl, all.ttl);
    uint16_t first = 0xffff;
    for (const dns::Target& target : all.targets) first = std::min(first, target.priority);
    for (const dns::Target& target : all.targets) {
      if (target.priority == first) AskAddresses(service, target);
    }
    return OkStatus();
  }

  Status TakeAddresses(Service& service, const Asked& asked, std::string_view answer) {
    STARLING_ASSIGN_OR_RETURN(const dns::Addresses addresses,
                              asked.type == ns_t_a ? dns::ReadA(answer) : dns::ReadAaaa(answer));
    if (!addresses.hosts.empty()) service.ttl = std::min(service.ttl, addresses.ttl);
    for (const std::string& host : addresses.hosts) {
      service.endpoints.push_back({.address = fmt::format("{}:{}", host, asked.target.port),
                                   .zone = {},
                                   .instance = options_.port == 0 ? asked.target.host : host,
                                   .contract = {},
                                   .weight = std::max<uint32_t>(asked.target.weight, 1)});
    }
    return OkStatus();
  }

  void EndOne(Service& service) {
    if (--service.left > 0) return;
    const bool known = watchers_.Get(service.name).has_value();
    Duration wait = options_.retry;
    if (!service.failed) {
      if (std::exchange(service.away, false))
        log::Info("discovery", "DNS answers for {}", service.name);
      if (!service.endpoints.empty())
        wait = std::clamp<Duration>(std::chrono::seconds(service.ttl), options_.min_ttl,
                                    options_.max_ttl);
    }
    service.next = std::chrono::steady_clock::now() + wait;
    // Of a round that failed a part is better than nothing, but not than what was known.
    if (!service.failed || (!known && !service.endpoints.empty()))
      watchers_.Set(service.name, std::move(service.endpoints));
  }

  const DnsResolverOptions options_;
  const int wake_;
  Status broken_;
  ares_channel channel_ = nullptr;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> rounds_{0};
  Watchers watchers_;
  std::mutex mutex_;
  std::vector<std::string> added_;
  std::map<std::string, Service> services_;  // of the thread
  std::thread thread_;
};

DnsResolver::DnsResolver(DnsResolverOptions options)
    : core_(std::make_unique<Core>(std::move(options))) {}

DnsResolver::~DnsResolver() = default;

StatusOr<std::unique_ptr<discovery::Watch>> DnsResolver::Watch(std::string service,
                                                               OnChange on_change) {
  return core_->Watch(std::move(service), std::move(on_change));
}

uint64_t DnsResolver::rounds() const { return core_->rounds(); }

}  // namespace starling::discovery

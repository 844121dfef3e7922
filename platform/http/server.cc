#include "platform/http/server.h"

#include "platform/http/server_thread.h"

namespace starling::http {
namespace {

// How long handlers may take to notice that they were cut.
constexpr auto kCutGrace = std::chrono::seconds(2);
constexpr auto kPollInterval = std::chrono::milliseconds(5);

}  // namespace

struct Server::Shared {
  Shared(Runtime& server_runtime, Options options, std::shared_ptr<const Router> router)
      : runtime(server_runtime),
        core(std::make_shared<ServerCore>(std::move(options), std::move(router))) {}
  Runtime& runtime;
  const std::shared_ptr<ServerCore> core;
  std::vector<std::shared_ptr<ServerThread>> threads;  // fixed once started
};

Server::Server(Runtime& runtime, Options options, std::shared_ptr<const Router> router)
    : shared_(std::make_shared<Shared>(runtime, std::move(options), std::move(router))) {}

Server::~Server() {
  // The last reference to a thread goes with its coroutines, on its own io thread.
  for (auto& thread : shared_->threads) thread->Stop();
}

StatusOr<uint16_t> Server::Start() {
  if (!shared_->threads.empty()) return FailedPrecondition("this server was started before");
  const Options& options = shared_->core->options;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.address, error);
  if (error) {
    return InvalidArgument(
        "address '{}' is neither IPv4 nor IPv6; 127.0.0.1 is for this machine only, 0.0.0.0 for "
        "all",
        options.address);
  }
  const int count = shared_->runtime.io_threads();
  std::vector<std::shared_ptr<ServerThread>> threads;
  uint16_t port = options.port;
  for (int i = 0; i < count; ++i) {
    threads.push_back(
        std::make_shared<ServerThread>(shared_->core, shared_->runtime.context(i), i));
    STARLING_ASSIGN_OR_RETURN(port, threads.back()->Listen(Tcp::endpoint(address, port), count));
  }
  for (auto& thread : threads) thread->Start();
  shared_->threads = std::move(threads);
  return port;
}

void Server::SetRouter(std::shared_ptr<const Router> router) {
  shared_->core->router.store(std::move(router));
}

Task<size_t> Server::Drain(Duration limit) {
  const std::shared_ptr<Shared> shared = shared_;
  ServerCore& core = *shared->core;
  const Instant end = std::chrono::steady_clock::now() + limit;
  for (auto& thread : shared->threads) thread->Drain();
  const auto busy = [&core] { return core.listening.load() > 0 || core.connections.load() > 0; };
  while (busy() && std::chrono::steady_clock::now() < end) co_await SleepFor(kPollInterval);
  if (!busy()) co_return 0;

  const Instant cut_end = std::chrono::steady_clock::now() + kCutGrace;
  core.cutting.fetch_add(static_cast<int>(shared->threads.size()));
  for (auto& thread : shared->threads) thread->Cut();
  while ((core.cutting.load() > 0 || busy()) && std::chrono::steady_clock::now() < cut_end) {
    co_await SleepFor(kPollInterval);
  }
  co_return core.cut_requests.load();
}

ServerStats Server::Stats() const {
  ServerStats stats;
  stats.active_connections = shared_->core->connections.load();
  stats.in_flight = shared_->core->in_flight.load();
  for (const auto& thread : shared_->threads) {
    const ThreadCounters& counters = thread->counters;
    stats.accepted += counters.accepted.value();
    stats.rejected_connections += counters.rejected_connections.value();
    stats.requests += counters.requests.value();
    stats.rejected_requests += counters.rejected_requests.value();
    stats.malformed_requests += counters.malformed_requests.value();
    stats.timeouts += counters.timeouts.value();
    stats.client_disconnects += counters.client_disconnects.value();
    stats.handler_exceptions += counters.handler_exceptions.value();
    stats.tls_handshakes += counters.tls_handshakes.value();
    stats.tls_resumed += counters.tls_resumed.value();
    stats.tls_failures += counters.tls_failures.value();
    stats.http2_connections += counters.http2_connections.value();
    stats.http2_protocol_errors += counters.http2_protocol_errors.value();
    stats.http2_floods += counters.http2_floods.value();
  }
  return stats;
}

}  // namespace starling::http

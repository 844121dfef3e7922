// Everything at once, from several threads, while the configuration changes: for the sanitizers,
// and for what no request alone shows.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "platform/base/id.h"
#include "platform/gateway/access_log.h"
#include "platform/gateway/gateway_test_fixture.h"
#include "platform/rpc/sql_idempotency_store.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::RawSocket;
using http::StatusOf;
using testing::EndsWith;

constexpr int kRounds = 150;
constexpr size_t kLarge = 300'000;

class Load : public GatewayTest {
 protected:
  Load() {
    std::filesystem::create_directories(folder_);
    database_ = sql::Database::Open({.path = folder_ / "keys.sqlite"}, {}).value();
    keys_ = rpc::OpenSqlIdempotencyStore(*database_, SystemClock(), {}).value();
    log_ = AccessLog::Open({.file = (folder_ / "access.jsonl").string()}).value();
    edge_.idempotency = keys_.get();
    edge_.limits = &limits_;
    edge_.concurrency = &limiter_;
    rules_.emplace();
    server_options_.observer = [this](const http::Exchange& exchange, Duration took) {
      log_->Write(exchange, took);
    };
    StartUpstream();
  }
  ~Load() override {
    // What runs on the fixture's threads uses what is here.
    if (server_ != nullptr) (void)runtime_.Block(server_->Drain(Duration(0)));
    server_.reset();
    upstream_.reset();
    (void)upstreams_.Set({});
    runtime_.Stop();
    std::filesystem::remove_all(folder_);
  }

  // Speaks HTTP/1.1 and HTTP/2.
  void StartUpstream() {
    http::Router router;
    const http::Handler echo = [this](http::Exchange& exchange) -> Task<void> {
      acted_.fetch_add(1);
      exchange.response.headers.Add("Content-Type", "text/plain");
      exchange.response.headers.Add("Cache-Control", "max-age=1");
      exchange.response.body =
          fmt::format("{} {}", exchange.request.path, exchange.request.body.size());
      if (exchange.request.path.ends_with("/large")) exchange.response.body.assign(kLarge, 'x');
      co_return;
    };
    const http::RouteOptions large{.max_body_bytes = 2 * kLarge};
    EXPECT_TRUE(router.Add(http::Verb::kGet, "/{rest=**}", echo).ok());
    EXPECT_TRUE(router.Add(http::Verb::kPost, "/{rest=**}", echo, large).ok());
    upstream_ = std::make_unique<http::Server>(
        runtime_, http::ServerOptions{}, std::make_shared<const http::Router>(std::move(router)));
    address_ = fmt::format("127.0.0.1:{}", upstream_->Start().value());
  }
  // `number`: what differs from one configuration to the next.
  Status Configure(int number) {
    UpstreamConfig h1 = To({address_, "127.0.0.1:1"}), h2 = To({address_});
    h2.protocol = "h2";
    h2.health = {.path = "/healthz", .interval = std::chrono::milliseconds(10)};
    if (number % 3 == 1) h1.idle_timeout = std::chrono::milliseconds(20 + number);
    if (number % 3 == 2) h2.keepalive = std::chrono::milliseconds(20 + number);
    RouteConfig plain = Route("/h1/{rest=**}", "h1"), multiplexed = Route("/h2/{rest=**}", "h2");
    RouteConfig kept = Route("/kept/{rest=**}", "h1"), once = Route("/once", "h1");
    RouteConfig limited = Route("/limited", "h1");
    for (RouteConfig* route : {&plain, &multiplexed}) route->max_body = config::Bytes(2 * kLarge);
    plain.mirror = {.upstream = "h2", .sample = 0.2};
    kept.cache = true;
    once.idempotency = RouteIdempotency::kOptional;
    limited.rate_limit = {.requests_per_second = 5, .burst = 5};
    std::vector<RouteConfig> routes{plain, multiplexed, kept, once, limited};
    if (number % 2 == 1) routes.push_back(Route(fmt::format("/only/{}", number), "h1"));
    return Set({{"h1", h1}, {"h2", h2}}, routes);
  }

  // One client's requests; true: each was answered as it should be.
  void Run(int client) {
    auto socket = std::make_unique<RawSocket>(port_);
    for (int i = 0; i < kRounds; ++i) {
      const auto get = [&](const std::string& path, std::string_view fields = "") {
        return socket->Ask(fmt::format(
            "GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\n{}\r\n", path, fields));
      };
      const auto post = [&](std::string_view path, size_t size, std::string_view fields = "") {
        return socket->Ask(
            fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n{}", path, size,
                        fields, std::string(size, 'b')));
      };
      Expect(get(fmt::format("/h1/{}", i)), fmt::format("/h1/{} 0", i));
      Expect(get(fmt::format("/h2/{}", i)), fmt::format("/h2/{} 0", i));
      Expect(get(fmt::format("/kept/{}", i % 7)), fmt::format("/kept/{} 0", i % 7));
      Expect(post("/h1/up", kLarge), fmt::format("/h1/up {}", kLarge));
      Expect(post("/h2/up", kLarge), fmt::format("/h2/up {}", kLarge));
      const std::string key = fmt::format("Idempotency-Key: {}-{}\r\n", client, i);
      Expect(post("/once", 3, key), "/once 3");
      Expect(post("/once", 3, key), "/once 3");
      const int status = StatusOf(get("/limited"));
      EXPECT_TRUE(status == 200 || status == 429) << status;
      EXPECT_EQ(StatusOf(get("/nowhere")), 404);
      RawSocket other(port_);  // for an answer in chunks
      other.Send(
          "GET /h1/large HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: "
          "close\r\n\r\n");
      EXPECT_THAT(other.ReadToEnd(), EndsWith("\r\n0\r\n\r\n"));
      if (i % 10 == client) {
        // Leaves in the middle.
        socket->Send("GET /h2/large HTTP/1.1\r\nHost: x\r\n\r\n");
        socket = std::make_unique<RawSocket>(port_);
        socket->Send("POST /h1/up HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\nhalf");
        socket = std::make_unique<RawSocket>(port_);
      }
    }
  }
  static void Expect(const std::string& answer, std::string_view body) {
    EXPECT_EQ(StatusOf(answer), 200) << answer.substr(0, 1000);
    EXPECT_EQ(BodyOf(answer), body);
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("load-" + NewId());
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<rpc::IdempotencyStore> keys_;
  std::unique_ptr<AccessLog> log_;
  rpc::GatewayLimits limits_{{.requests = rpc::RateLimiter::Limit{1e6, 1'000'000}},
                             telemetry_.metrics()};
  std::unique_ptr<http::Server> upstream_;
  std::string address_;
  std::atomic<uint64_t> acted_{0};
};

TEST_F(Load, OfAllKindsWhileTheConfigurationChanges) {
  ASSERT_EQ(Configure(0), OkStatus());
  std::atomic<bool> done{false};
  std::thread operator_thread([&] {
    for (int number = 1; !done; ++number) {
      EXPECT_EQ(Configure(number), OkStatus());
      (void)upstreams_.Find("h1")->SetDrained("127.0.0.1:1", number % 4 == 0);
      for (const auto& upstream : upstreams_.List()) (void)upstream->Endpoints();
      cache_->PurgePrefix("/kept/");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) clients.emplace_back([this, client] { Run(client); });
  for (std::thread& client : clients) client.join();
  done = true;
  operator_thread.join();

  EXPECT_GE(acted_.load(), 4u * kRounds * 6);
  server_.reset();
  log_.reset();
  std::ifstream lines(folder_ / "access.jsonl");
  size_t logged = 0;
  for (std::string line; std::getline(lines, line); ++logged) EXPECT_THAT(line, EndsWith("}"));
  EXPECT_GE(logged, 4u * kRounds * 10);
}

}  // namespace
}  // namespace starling::gateway

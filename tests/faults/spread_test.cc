// Services in two processes and one event log between them, on nothing but files: whichever process
// is killed, no acknowledged event is lost and each acts once.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <latch>
#include <map>
#include <set>
#include <thread>

#include "apps/starling/services.h"
#include "contracts/features/v1/features.service.h"
#include "contracts/profile/v1/profile.service.h"
#include "platform/base/id.h"
#include "platform/http/client.h"
#include "platform/rpc/grpc_channel.h"
#include "tests/faults/starling_process.h"
#include "tests/flow/json_channel.h"

namespace starling {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing_support::StarlingProcess;

#ifndef __SANITIZE_THREAD__  // gRPC: see three_ways_test.cc

constexpr char kClusterKey[] = "grpc.cluster_key=cluster-secret";

// A port that was free a moment ago, for a process that is to come back at its address.
int FreePort() {
  const int socket_end = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(socket_end, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(socket_end, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(socket_end);
  return ntohs(address.sin_port);
}

class Spread : public testing::Test {
 protected:
  void TearDown() override {
    owner_.reset();
    users_.reset();
    std::filesystem::remove_all(folder_);
  }

  // The process that has the events, and the catalogue.
  void StartOwner() {
    owner_ = std::make_unique<StarlingProcess>(
        folder_ / "owner", 0,
        std::vector<std::string>{"serve", "events", "catalog", "--set", kClusterKey, "--set",
                                 "messaging.engine=service", "--set",
                                 "grpc.port=" + std::to_string(port_)});
    ASSERT_TRUE(owner_->ready()) << owner_->output();
    if (owner_key_.empty()) owner_key_ = owner_->AdminKey();
  }
  // The process that takes users' events in and consumes them, from the other's log.
  void StartUsers() {
    users_ = std::make_unique<StarlingProcess>(
        folder_ / "users", 0,
        std::vector<std::string>{"serve", "ingestion", "profile", "features", "--set", kClusterKey,
                                 "--set", "messaging.engine=service", "--set",
                                 "peers.services.events.addresses=" + Address(), "--set",
                                 "peers.services.catalog.addresses=" + Address()});
    ASSERT_TRUE(users_->ready()) << users_->output();
    if (users_key_.empty()) users_key_ = users_->AdminKey();
  }
  std::string Address() const { return "127.0.0.1:" + std::to_string(port_); }

  Task<StatusOr<http::ClientResponse>> Send(http::Verb verb, std::string url, std::string key,
                                            std::string body) {
    http::ClientRequest request{
        .verb = verb, .url = std::move(url), .headers = {}, .body = std::move(body)};
    request.headers.Set("authorization", "Bearer " + key);
    request.headers.Set("content-type", "application/json");
    co_return co_await client_.Send(std::move(request));
  }

  // Writes events and products until `stop`; what was acknowledged is kept.
  Task<void> Write(bool products, std::atomic<bool>& stop, std::latch& ended) {
    const std::string url =
        products ? owner_->Url() + "/v1/products/" : users_->Url() + "/v1/events";
    while (!stop) {
      const std::string id = NewId();
      StatusOr<http::ClientResponse> response;
      if (products) {
        response = co_await Send(http::Verb::kPut, url + id, owner_key_, R"({"title":"T"})");
      } else {
        const std::string body = fmt::format(
            R"({{"events":[{{"event_id":"{}","user_id":"u{}","product_id":"p","type":"view"}}]}})",
            id, id.back());
        response = co_await Send(http::Verb::kPost, url, users_key_, body);
      }
      if (response.ok() && response->status / 100 == 2) {
        const std::lock_guard lock(mutex_);
        (products ? products_ : events_).insert(id);
      } else {
        co_await SleepFor(std::chrono::milliseconds(5));
      }
    }
    ended.count_down();
  }
  size_t Acknowledged() {
    const std::lock_guard lock(mutex_);
    return events_.size() + products_.size();
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("starling-spread-" + NewId());
  const int port_ = FreePort();
  Runtime runtime_{{.io_threads = 2}};
  http::Client client_{runtime_, {.max_connections_per_origin = 16}};
  std::string owner_key_, users_key_;
  std::mutex mutex_;
  std::set<std::string> events_, products_;  // acknowledged
  std::unique_ptr<StarlingProcess> owner_, users_;
};

TEST_F(Spread, NoAcknowledgedEventIsLostWhicheverProcessIsKilledAndEachActsOnce) {
  StartOwner();
  StartUsers();
  for (int round = 0; round < 6; ++round) {
    std::atomic<bool> stop{false};
    std::latch ended(4);
    for (int writer = 0; writer < 4; ++writer)
      Spawn(runtime_.NextExecutor(), Write(writer == 0, stop, ended));
    const size_t until = Acknowledged() + 5 + FastRandom() % 40;
    while (Acknowledged() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const bool owner_dies = round % 2 == 0;
    EXPECT_EQ((owner_dies ? owner_ : users_)->End(SIGKILL), -SIGKILL);
    stop = true;
    ended.wait();
    owner_dies ? StartOwner() : StartUsers();
  }

  // Everything that was acknowledged is in the history, once.
  const auto profile = profile::v1::Profile::Connect(
      testing_support::MakeJsonChannel(client_, users_->Url(), users_key_));
  std::multiset<std::string> seen;
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < until) {
    seen.clear();
    for (const char digit : std::string_view("0123456789abcdef")) {
      profile::v1::GetHistoryRequest request;
      request.set_user_id(fmt::format("u{}", digit));
      request.set_limit(500);
      auto context = CallContext::ForService("test", std::chrono::seconds(20));
      const auto history = runtime_.Block(profile->GetHistory(context, request));
      ASSERT_TRUE(history.ok()) << history.status();
      for (const auto& interaction : history->interactions()) seen.insert(interaction.event_id());
    }
    if (std::includes(seen.begin(), seen.end(), events_.begin(), events_.end())) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  for (const std::string& id : events_) EXPECT_EQ(seen.count(id), 1u) << "event " << id;
  EXPECT_EQ(seen.size(), std::set<std::string>(seen.begin(), seen.end()).size());

  // So is it with the features of another consumer.
  const auto features = features::v1::Features::Connect(
      testing_support::MakeJsonChannel(client_, users_->Url(), users_key_));
  const auto log = MakeRemoteEvents(
      rpc::MakeGrpcChannel({.target = Address(), .cluster_key = "cluster-secret"}), runtime_);
  const auto settle = [&](std::string_view topic, std::string_view group) {
    while (log->Lag(topic, group).value_or(1) > 0 && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(log->Lag(topic, group).value_or(1), 0u) << group;
  };
  settle("user-events", "features");
  auto context = CallContext::ForService("test", std::chrono::seconds(20));
  const auto statistics = runtime_.Block(features->GetStatistics(context, {}));
  ASSERT_TRUE(statistics.ok()) << statistics.status();
  EXPECT_EQ(statistics->interactions(), static_cast<int64_t>(seen.size()));

  // And with the catalogue's events, which go the other way.
  std::set<std::string> told;
  const auto of_catalog = log->Read("catalog", 1, 100'000);
  ASSERT_TRUE(of_catalog.ok()) << of_catalog.status();
  for (const auto& delivered : *of_catalog) told.insert(delivered.event.subject);
  for (const std::string& id : products_) EXPECT_TRUE(told.contains(id)) << "product " << id;
  settle("catalog", "features");
  fmt::print("{} events and {} products were acknowledged\n", events_.size(), products_.size());
  EXPECT_EQ(users_->End(SIGTERM), 0);
  EXPECT_EQ(owner_->End(SIGTERM), 0);
}

TEST_F(Spread, EventsAreRefusedWhileTheirProcessIsAwayAndTakenAfterIt) {
  StartOwner();
  StartUsers();
  EXPECT_EQ(owner_->End(SIGKILL), -SIGKILL);
  const std::string body = R"({"events":[{"user_id":"u","product_id":"p","type":"view"}]})";
  const std::string url = users_->Url() + "/v1/events";
  const auto away = runtime_.Block(Send(http::Verb::kPost, url, users_key_, body));
  ASSERT_TRUE(away.ok()) << away.status();
  EXPECT_EQ(away->status, 503) << away->body;
  EXPECT_TRUE(away->headers.Has("retry-after"));
  StartOwner();
  int status = 503;
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (status == 503 && std::chrono::steady_clock::now() < until) {
    const auto back = runtime_.Block(Send(http::Verb::kPost, url, users_key_, body));
    ASSERT_TRUE(back.ok()) << back.status();
    status = back->status;
    if (status == 503) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(status, 202);
  // The one that stops first ends the other's streams, and neither waits for the other.
  EXPECT_EQ(owner_->End(SIGTERM), 0);
  EXPECT_EQ(users_->End(SIGTERM), 0);
}

TEST_F(Spread, AConfigurationThatCannotWorkIsRefusedWithWhatToDo) {
  StarlingProcess nowhere(
      folder_ / "a", 0,
      {"serve", "profile", "--set", kClusterKey, "--set", "messaging.engine=service"});
  EXPECT_FALSE(nowhere.ready());
  EXPECT_THAT(nowhere.output(), HasSubstr("peers.services.events.addresses"));
  StarlingProcess keyless(folder_ / "b", 0,
                          {"serve", "profile", "--set", "messaging.engine=service", "--set",
                           "peers.services.events.addresses=127.0.0.1:1"});
  EXPECT_FALSE(keyless.ready());
  EXPECT_THAT(keyless.output(), HasSubstr("grpc.cluster_key"));
  StarlingProcess unknown(folder_ / "c", 0, {"up", "--set", "messaging.engine=pigeon"});
  EXPECT_FALSE(unknown.ready());
  EXPECT_THAT(unknown.output(),
              HasSubstr("messaging: engine must be embedded, service, kafka or rabbitmq"));
  StarlingProcess nowhere_rabbit(folder_ / "d", 0, {"up", "--set", "messaging.engine=rabbitmq"});
  EXPECT_FALSE(nowhere_rabbit.ready());
  EXPECT_THAT(nowhere_rabbit.output(),
              HasSubstr("messaging: engine is rabbitmq: say where it is by url"));
  StarlingProcess odd(folder_ / "e", 0,
                      {"up", "--set", "messaging.engine=rabbitmq", "--set",
                       "messaging.url=amqp://me:sesame@rabbit:port/"});
  EXPECT_FALSE(odd.ready());
  EXPECT_THAT(odd.output(), HasSubstr("messaging: url: a port is no number from 1 to 65535"));
  EXPECT_THAT(odd.output(), Not(HasSubstr("sesame")));
}

#endif

}  // namespace
}  // namespace starling

// kill -9 under writes, and SIGTERM under load: what was acknowledged is there, once; what was
// accepted is answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <latch>
#include <map>
#include <set>

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/profile/v1/profile.service.h"
#include "platform/base/id.h"
#include "platform/http/client.h"
#include "platform/messaging/embedded_event_log.h"
#include "tests/faults/starling_process.h"
#include "tests/flow/json_channel.h"

namespace starling {
namespace {

using testing::HasSubstr;
using testing_support::StarlingProcess;

class Killed : public testing::Test {
 public:
  void TearDown() override { std::filesystem::remove_all(data_); }

  StatusOr<http::ClientResponse> Send(http::Verb verb, const std::string& url,
                                      const std::string& body) {
    return runtime_.Block(SendTask(verb, url, body));
  }
  Task<StatusOr<http::ClientResponse>> SendTask(http::Verb verb, std::string url,
                                                std::string body) {
    http::ClientRequest request{
        .verb = verb, .url = std::move(url), .headers = {}, .body = std::move(body)};
    request.headers.Set("authorization", "Bearer " + key_);
    request.headers.Set("content-type", "application/json");
    co_return co_await client_.Send(std::move(request));
  }

  const std::filesystem::path data_ =
      std::filesystem::temp_directory_path() / ("starling-kill-" + NewId());
  Runtime runtime_{{.io_threads = 2}};
  http::Client client_{runtime_, {.max_connections_per_origin = 64}};
  std::string key_;
};

// What writers were told is there.
struct Acknowledged {
  std::mutex mutex;
  std::set<std::string> products, events;
  size_t count() {
    const std::lock_guard lock(mutex);
    return products.size() + events.size();
  }
};

// A view by one of 256 users.
std::string EventBody(const std::string& id) {
  return fmt::format(
      R"({{"events":[{{"event_id":"{}","user_id":"u{}","product_id":"p","type":"view"}}]}})", id,
      id.substr(30));
}

TEST_F(Killed, EveryAcknowledgedProductAndEventIsThereOnce) {
  const char* wanted = std::getenv("KILL_ROUNDS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 25;
  Acknowledged acknowledged;
  for (int round = 0; round < rounds; ++round) {
    StarlingProcess starling(data_);
    ASSERT_TRUE(starling.ready()) << "round " << round << ": " << starling.output();
    if (round == 0) key_ = starling.AdminKey();
    const std::string url = starling.Url();
    std::atomic<bool> stop{false};
    std::latch ended(8);
    for (int writer = 0; writer < 8; ++writer) {
      Spawn(runtime_.NextExecutor(),
            [](Killed& test, std::string url, bool products, Acknowledged& acknowledged,
               std::atomic<bool>& stop, std::latch& ended) -> Task<void> {
              while (!stop) {
                const std::string id = NewId();
                const http::Verb verb = products ? http::Verb::kPut : http::Verb::kPost;
                const std::string path = products ? "/v1/products/" + id : "/v1/events";
                const std::string body = products ? R"({"title":"T"})" : EventBody(id);
                StatusOr<http::ClientResponse> response =
                    co_await test.SendTask(verb, url + path, body);
                if (!response.ok()) break;
                if (response->status / 100 == 2) {
                  const std::lock_guard lock(acknowledged.mutex);
                  (products ? acknowledged.products : acknowledged.events).insert(id);
                }
              }
              ended.count_down();
            }(*this, url, writer % 2 == 0, acknowledged, stop, ended));
    }
    const size_t until = acknowledged.count() + 1 + FastRandom() % 60;
    while (acknowledged.count() < until)
      ASSERT_TRUE(Send(http::Verb::kGet, url + "/healthz", "").ok());
    EXPECT_EQ(starling.End(SIGKILL), -SIGKILL);
    stop = true;
    ended.wait();
  }

  StarlingProcess starling(data_);
  ASSERT_TRUE(starling.ready()) << starling.output();
  const auto channel = testing_support::MakeJsonChannel(client_, starling.Url(), key_);
  const auto catalog = catalog::v1::Catalog::Connect(channel);
  const auto profile = profile::v1::Profile::Connect(channel);
  std::map<std::string, std::string> etags;
  catalog::v1::ListProductsRequest list;
  list.set_page_size(1'000);
  do {
    auto context = CallContext::ForService("test", std::chrono::seconds(20));
    const auto page = runtime_.Block(catalog->ListProducts(context, list));
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& product : page->products()) {
      EXPECT_TRUE(etags.emplace(product.product_id(), product.etag()).second)
          << product.product_id() << " twice";
    }
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  for (const std::string& id : acknowledged.products)
    EXPECT_TRUE(etags.contains(id)) << "lost product " << id;

  // The history is fed by a consumer: it has everything once it has caught up, which is asked for
  // until then.
  std::map<std::string, std::set<std::string>> by_user;
  for (const std::string& id : acknowledged.events) by_user["u" + id.substr(30)].insert(id);
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (const auto& [user, events] : by_user) {
    std::multiset<std::string> seen;
    bool all = false;
    while (!all && std::chrono::steady_clock::now() < until) {
      profile::v1::GetHistoryRequest request;
      request.set_user_id(user);
      request.set_limit(500);
      auto context = CallContext::ForService("test", std::chrono::seconds(20));
      const auto history = runtime_.Block(profile->GetHistory(context, request));
      ASSERT_TRUE(history.ok()) << history.status();
      seen.clear();
      for (const auto& interaction : history->interactions()) seen.insert(interaction.event_id());
      all = std::includes(seen.begin(), seen.end(), events.begin(), events.end());
    }
    for (const std::string& id : events)
      EXPECT_EQ(seen.count(id), 1u) << "event " << id << " of " << user;
  }

  // SIGTERM lets the outbox finish; then the events tell of exactly the products that there are.
  {
    telemetry::Telemetry telemetry;
    EXPECT_EQ(starling.End(SIGTERM), 0);
    auto log = messaging::OpenEmbeddedEventLog(data_ / "events", {}, runtime_, telemetry);
    ASSERT_TRUE(log.ok()) << log.status();
    std::map<std::string, std::string> told;
    for (uint64_t offset = 1;;) {
      const auto events = (*log)->Read("catalog", offset, 1'000);
      ASSERT_TRUE(events.ok()) << events.status();
      if (events->empty()) break;
      for (const auto& delivered : *events) {
        catalog::v1::ProductChanged changed;
        ASSERT_TRUE(changed.ParseFromString(delivered.event.data));
        told[changed.product().product_id()] = changed.product().etag();
      }
      offset = events->back().position.offset + 1;
    }
    EXPECT_EQ(told, etags);
  }
  fmt::print("{} rounds: {} products and {} events were acknowledged\n", rounds,
             acknowledged.products.size(), acknowledged.events.size());
}

TEST_F(Killed, SigtermUnderLoadDropsNoAcceptedRequest) {
  for (int round = 0; round < 3; ++round) {
    StarlingProcess starling(data_);
    ASSERT_TRUE(starling.ready()) << starling.output();
    if (round == 0) key_ = starling.AdminKey();
    std::atomic<int> answered{0};
    std::latch ended(16);
    std::mutex mutex;
    std::vector<std::string> dropped;
    for (int client = 0; client < 16; ++client) {
      Spawn(runtime_.NextExecutor(),
            [](Killed& test, std::string url, std::atomic<int>& answered, std::latch& ended,
               std::mutex& mutex, std::vector<std::string>& dropped) -> Task<void> {
              while (true) {
                StatusOr<http::ClientResponse> response = co_await test.SendTask(
                    http::Verb::kPut, url + "/v1/products/" + NewId(), R"({"title":"T"})");
                if (response.ok() && response->status == 200) {
                  ++answered;
                  continue;
                }
                // Nobody listens any more: the request was not accepted. Everything else was.
                const std::string why =
                    response.ok() ? response->body : ToString(response.status());
                if (why.find("refused") == std::string::npos) {
                  const std::lock_guard lock(mutex);
                  dropped.push_back(why);
                }
                break;
              }
              ended.count_down();
            }(*this, starling.Url(), answered, ended, mutex, dropped));
    }
    while (answered < 200)
      ASSERT_TRUE(Send(http::Verb::kGet, starling.Url() + "/healthz", "").ok());
    EXPECT_EQ(starling.End(SIGTERM), 0);
    ended.wait();
    EXPECT_THAT(dropped, testing::IsEmpty());
  }
}

TEST_F(Killed, ASecondProcessIsRefusedAndToldWhoIsThere) {
  StarlingProcess first(data_);
  ASSERT_TRUE(first.ready()) << first.output();
  StarlingProcess second(data_);
  EXPECT_FALSE(second.ready());
  EXPECT_THAT(second.output(), HasSubstr("in use by starling up, process"));
  EXPECT_EQ(first.End(SIGTERM), 0);
}

}  // namespace
}  // namespace starling

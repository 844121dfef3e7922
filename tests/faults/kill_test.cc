// kill -9 under writes, and SIGTERM under load: what was acknowledged is there, once; what was
// accepted is answered.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

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
#include "tests/flow/json_channel.h"

extern char** environ;

namespace starling {
namespace {

using testing::HasSubstr;

// The binary as its users start it, on free ports.
class Starling {
 public:
  explicit Starling(const std::filesystem::path& data) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    const std::string binary = std::getenv("STARLING_BINARY");
    const std::string folder = data.string();
    const char* arguments[] = {binary.c_str(), "up", "--data", folder.c_str(),
                               "--port",       "0",  nullptr};
    EXPECT_EQ(posix_spawn(&pid_, binary.c_str(), &actions, nullptr, const_cast<char**>(arguments),
                          environ),
              0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char buffer[512];
    while (output_.find("ready\n") == std::string::npos) {
      const ssize_t n = read(ends[0], buffer, sizeof buffer);
      if (n <= 0) break;
      output_.append(buffer, static_cast<size_t>(n));
    }
    output_end_ = ends[0];
  }
  ~Starling() {
    if (pid_ != 0) End(SIGKILL);
    close(output_end_);
  }

  bool ready() const { return output_.find("ready\n") != std::string::npos; }
  const std::string& output() const { return output_; }
  std::string Url() const { return "http://" + Word("API     http://"); }
  std::string AdminKey() const { return Word("admin key (shown only now): "); }
  void Signal(int signal) const { kill(pid_, signal); }
  // The exit code, or minus the signal.
  int End(int signal) {
    kill(pid_, signal);
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  std::string Word(const std::string& after) const {
    const size_t at = output_.find(after);
    if (at == std::string::npos) return "";
    const size_t start = at + after.size();
    return output_.substr(start, output_.find('\n', start) - start);
  }
  pid_t pid_ = 0;
  int output_end_ = -1;
  std::string output_;
};

class Killed : public testing::Test {
 protected:
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

TEST_F(Killed, EveryAcknowledgedProductAndEventIsThereOnce) {
  const char* wanted = std::getenv("STARLING_KILL_ROUNDS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 25;
  Acknowledged acknowledged;
  for (int round = 0; round < rounds; ++round) {
    Starling starling(data_);
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
                StatusOr<http::ClientResponse> response =
                    products ? co_await test.SendTask(http::Verb::kPut, url + "/v1/products/" + id,
                                                      R"({"title":"T"})")
                             : co_await test.SendTask(http::Verb::kPost, url + "/v1/events",
                                                      R"({"events":[{"event_id":")" + id +
                                                          R"(","user_id":"u)" + id.substr(30) +
                                                          R"(","product_id":"p","type":"view"}]})");
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

  Starling starling(data_);
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
    Starling starling(data_);
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
  Starling first(data_);
  ASSERT_TRUE(first.ready()) << first.output();
  Starling second(data_);
  EXPECT_FALSE(second.ready());
  EXPECT_THAT(second.output(), HasSubstr("in use by starling up, process"));
  EXPECT_EQ(first.End(SIGTERM), 0);
}

}  // namespace
}  // namespace starling

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/config/config_test_sections.h"
#include "platform/config/watch.h"

namespace starling::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A folder of its own with a configuration file in it.
class ConfigReload : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  // As an editor does: a new file takes the old one's name.
  void Write(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name + ".new")) << content;
    std::filesystem::rename(Path(name + ".new"), Path(name));
  }
  Status Load() { return config_.registry.Load({.file = Path("starling.yaml")}); }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("config-" + NewId());
  Configured config_;
};

TEST_F(ConfigReload, SwapsLiveValuesAndTellsTheirListeners) {
  Write("starling.yaml", "http: {limit: 1}\n");
  ASSERT_EQ(Load(), OkStatus());
  const std::shared_ptr<const HttpOptions> before = config_.http.Get();
  std::vector<uint64_t> seen;
  int others = 0;
  Subscription limit =
      config_.http.OnChange([&](const HttpOptions& now) { seen.push_back(now.limit); });
  Subscription topology = config_.topology.OnChange([&](const TopologyOptions&) { ++others; });

  Write("starling.yaml", "http: {limit: 2, headers: {a: b}}\n");
  const StatusOr<Report> report = config_.registry.Reload();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->changed, ElementsAre("http.limit", "http.headers.server", "http.headers.a"));
  EXPECT_THAT(report->needs_restart, IsEmpty());
  EXPECT_EQ(config_.http.Get()->limit, 2u);
  EXPECT_EQ(before->limit, 1u) << "who holds the old values keeps them";
  EXPECT_THAT(seen, ElementsAre(2u));
  EXPECT_EQ(others, 0);

  ASSERT_TRUE(config_.registry.Reload().ok());
  EXPECT_EQ(seen.size(), 1u) << "nothing changed, nobody is told";
  limit.Release();
  Write("starling.yaml", "http: {limit: 3}\n");
  ASSERT_TRUE(config_.registry.Reload().ok());
  EXPECT_EQ(seen.size(), 1u);
}

TEST_F(ConfigReload, KeepsTheOldConfigurationWhenAnythingIsWrong) {
  Write("starling.yaml", "http: {limit: 1}\n");
  ASSERT_EQ(Load(), OkStatus());
  std::vector<StatusCode> told;
  Subscription reports = config_.registry.OnReload(
      [&](const StatusOr<Report>& r) { told.push_back(r.status().code()); });
  Write("starling.yaml", "http: {limit: 2}\ncluster: {topology: {peers: {a: {}}}}\n");
  EXPECT_EQ(config_.registry.Reload().status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(config_.http.Get()->limit, 1u);
  ASSERT_EQ(config_.registry.problems().size(), 1u);
  EXPECT_EQ(config_.registry.problems()[0].key, "cluster.topology.peers.a.address");
  EXPECT_THAT(config_.registry.problems()[0].source, HasSubstr("starling.yaml:2:"));

  std::filesystem::remove(Path("starling.yaml"));
  EXPECT_FALSE(config_.registry.Reload().ok());
  EXPECT_EQ(config_.http.Get()->limit, 1u);

  Write("starling.yaml", "http: {limit: 2}\n");
  ASSERT_TRUE(config_.registry.Reload().ok());
  EXPECT_THAT(config_.registry.problems(), IsEmpty());
  EXPECT_EQ(config_.http.Get()->limit, 2u);
  EXPECT_THAT(told, ElementsAre(StatusCode::kInvalidArgument, StatusCode::kInvalidArgument,
                                StatusCode::kOk));
}

TEST_F(ConfigReload, KeepsTheRunningValueOfAKeyThatNeedsARestart) {
  Write("starling.yaml",
        "http: {port: 1, limit: 1}\ncluster: {topology: {peers: {a: {address: x}}}}\n");
  ASSERT_EQ(Load(), OkStatus());
  Write("starling.yaml",
        "http: {port: 2, limit: 2}\ncluster: {topology: {peers: {a: {address: y, weight: 5}, b: "
        "{address: z, weight: 6}}}}\n");
  const StatusOr<Report> report = config_.registry.Reload();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->needs_restart, ElementsAre("http.port", "cluster.topology.peers.a.weight"));
  EXPECT_THAT(report->changed, ElementsAre("http.limit", "cluster.topology.peers.a.address",
                                           "cluster.topology.peers.b"));
  EXPECT_EQ(config_.http.Get()->port, 1);
  EXPECT_EQ(config_.http.Get()->limit, 2u);
  EXPECT_EQ(config_.topology.Get()->peers.at("a").weight, 1);
  EXPECT_EQ(config_.topology.Get()->peers.at("b").weight, 6) << "a new peer has no running value";
  ASSERT_EQ(config_.registry.PendingRestart().size(), 2u);
  EXPECT_THAT(config_.registry.PendingRestart()[0], HasSubstr("http.port: running 1, wanted 2 ("));
  EXPECT_THAT(config_.registry.Show(),
              HasSubstr("port: 1  # running; " + Path("starling.yaml") + ":1:14 says 2"));

  Write("starling.yaml",
        "http: {port: 1, limit: 2}\ncluster: {topology: {peers: {a: {address: y}}}}\n");
  ASSERT_TRUE(config_.registry.Reload().ok());
  EXPECT_THAT(config_.registry.PendingRestart(), IsEmpty());
}

TEST_F(ConfigReload, ReadsASecretFromItsFileAndLetsALaterLayerReplaceIt) {
  Write("key.pem", "line one\nline two\n");
  Write("starling.yaml", "http: {tls: {enabled: true, key_file: " + Path("key.pem") + "}}\n");
  ASSERT_EQ(Load(), OkStatus());
  EXPECT_EQ(config_.http.Get()->tls.key.Reveal(), "line one\nline two");
  EXPECT_THAT(config_.registry.files(), ElementsAre(Path("key.pem"), Path("starling.yaml")));
  EXPECT_THAT(config_.registry.Show(),
              HasSubstr("key: \"***\"  # " + Path("starling.yaml") + ":1:39"));

  Write("key.pem", "new\n");
  const StatusOr<Report> report = config_.registry.Reload();
  ASSERT_TRUE(report.ok());
  EXPECT_THAT(report->changed, ElementsAre("http.tls.key"));
  EXPECT_EQ(config_.http.Get()->tls.key.Reveal(), "new");

  ASSERT_EQ(config_.registry.Load({.file = Path("starling.yaml"),
                                   .environment = {{"STARLING_HTTP_TLS_KEY", "direct"}}}),
            OkStatus());
  EXPECT_EQ(config_.http.Get()->tls.key.Reveal(), "direct");
  ASSERT_EQ(config_.registry.Load({.file = Path("starling.yaml"),
                                   .environment = {{"STARLING_HTTP_TLS_KEY", "direct"}},
                                   .overrides = {{"http.tls.key_file", Path("key.pem")}}}),
            OkStatus());
  EXPECT_EQ(config_.http.Get()->tls.key.Reveal(), "new");

  Write("key.pem", "\n");
  EXPECT_THAT(std::string(Load().message()), HasSubstr("is empty"));
  std::filesystem::remove(Path("key.pem"));
  EXPECT_THAT(std::string(Load().message()), HasSubstr("cannot be read"));
}

TEST_F(ConfigReload, WhatWaitsForARestartIsToldFromWhereItIsNow) {
  Write("starling.yaml", "http: {port: 1}\n");
  ASSERT_EQ(Load(), OkStatus());
  for (const char* text : {"http: {port: 2}\n", "\n\nhttp: {port: 2}\n"}) {
    Write("starling.yaml", text);
    const StatusOr<Report> report = config_.registry.Reload();
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(report->needs_restart, ElementsAre("http.port"));
  }
  ASSERT_EQ(config_.registry.PendingRestart().size(), 1u);
  EXPECT_THAT(config_.registry.PendingRestart()[0], HasSubstr("starling.yaml:3:14"));
  EXPECT_EQ(config_.http.Get()->port, 1);
}

TEST_F(ConfigReload, WhereAValueIsWrittenFollowsTheFile) {
  Write("starling.yaml", "http: {limit: 2}\n");
  ASSERT_EQ(Load(), OkStatus());
  Write("starling.yaml", "\nhttp: {limit: 2}\n");
  const StatusOr<Report> report = config_.registry.Reload();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->changed, IsEmpty());
  EXPECT_THAT(config_.registry.Show(), HasSubstr("limit: 2  # " + Path("starling.yaml") + ":2:15"));
}

TEST_F(ConfigReload, ASecretsFileIsReadAgainAlsoAfterAConfigurationThatWasRefused) {
  Write("key.pem", "old\n");
  const std::string good = "http: {tls: {enabled: true, key_file: " + Path("key.pem") + "}}\n";
  Write("starling.yaml", good);
  ASSERT_EQ(Load(), OkStatus());
  Write("starling.yaml", "http: {port: none}\n");  // names no file
  EXPECT_FALSE(config_.registry.Reload().ok());
  Write("starling.yaml", good);
  ASSERT_TRUE(config_.registry.Reload().ok());
  EXPECT_THAT(config_.registry.files(), ElementsAre(Path("key.pem"), Path("starling.yaml")));
  Write("key.pem", "new\n");
  const StatusOr<Report> report = config_.registry.Reload();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_THAT(report->changed, ElementsAre("http.tls.key"));
  EXPECT_EQ(config_.http.Get()->tls.key.Reveal(), "new");
}

TEST_F(ConfigReload, WatchReloadsWhenAFileChangesAndEndsWhenCancelled) {
  Write("starling.yaml", "http: {limit: 1}\n");
  ASSERT_EQ(Load(), OkStatus());
  Runtime runtime({.io_threads = 1, .blocking_threads = 1});
  CancellationSource stop;
  std::promise<void> changed, refused;
  Subscription changes = config_.http.OnChange([&](const HttpOptions& now) {
    if (now.limit == 2) changed.set_value();
  });
  bool is_refused = false;
  Subscription reports = config_.registry.OnReload([&](const StatusOr<Report>& report) {
    if (!report.ok() && !std::exchange(is_refused, true)) refused.set_value();
  });
  std::promise<void> ended;
  Spawn(runtime.executor(0),
        [](ConfigReload* self, Registry& registry, Runtime& runtime, CancellationToken until,
           std::promise<void>& ended) -> Task<void> {
          (void)self;
          co_await Watch(registry, runtime.blocking(), until, std::chrono::milliseconds(5));
          ended.set_value();
        }(this, config_.registry, runtime, stop.token(), ended));
  Write("starling.yaml", "http: {limit: 2}\n");
  changed.get_future().wait();
  Write("starling.yaml", "http: {limit: x}\n");
  refused.get_future().wait();
  EXPECT_EQ(config_.http.Get()->limit, 2u);
  stop.Cancel();
  ended.get_future().wait();
}

TEST_F(ConfigReload, TheSignatureFollowsLinksAndNoticesAbsence) {
  Write("one", "http: {limit: 1}\n");
  Write("two", "http: {limit: 1}\n");
  std::filesystem::create_symlink(Path("one"), Path("link"));
  ASSERT_TRUE(config_.registry.Load({.file = Path("link")}).ok());
  const std::string one = config_.registry.Signature();
  EXPECT_EQ(config_.registry.LoadedSignature(), one);
  std::filesystem::remove(Path("link"));
  const std::string none = config_.registry.Signature();
  std::filesystem::create_symlink(Path("two"), Path("link"));
  const std::string two = config_.registry.Signature();
  EXPECT_NE(one, none);
  EXPECT_NE(one, two);
  EXPECT_EQ(config_.registry.LoadedSignature(), one);
  ASSERT_TRUE(config_.registry.Reload().ok());
  EXPECT_EQ(config_.registry.LoadedSignature(), two);
}

TEST_F(ConfigReload, WhatChangesWhileItIsReadIsReadAgain) {
  Write("starling.yaml", "http: {limit: 1}\n");
  // A source that is read with the files, while one of them changes.
  struct Late final : Source {
    std::function<void()> on_read;
    StatusOr<std::vector<Document>> Read() override {
      on_read();
      return std::vector<Document>();
    }
    uint64_t version() const override { return 1; }
  };
  const auto late = std::make_shared<Late>();
  late->on_read = [this] { Write("starling.yaml", "http: {limit: 2}\n"); };
  ASSERT_TRUE(config_.registry.Load({.file = Path("starling.yaml"), .cluster = late}).ok());
  EXPECT_NE(config_.registry.LoadedSignature(), config_.registry.Signature());
  late->on_read = [] {};
  ASSERT_TRUE(config_.registry.Reload().ok());
  EXPECT_EQ(config_.registry.LoadedSignature(), config_.registry.Signature());
}

TEST_F(ConfigReload, ReadersSeeWholeConfigurationsWhileOthersReload) {
  // Both keys always say the same: a reader that sees two different numbers saw half a reload.
  Write("starling.yaml", "http: {limit: 0, headers: {n: \"0\"}}\n");
  ASSERT_EQ(Load(), OkStatus());
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  readers.reserve(2);
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const auto http = config_.http.Get();
        EXPECT_EQ(std::to_string(http->limit), http->headers.at("n"));
      }
    });
  }
  for (int i = 1; i <= 100; ++i) {
    Write("starling.yaml", fmt::format("http: {{limit: {}, headers: {{n: \"{}\"}}}}\n", i, i));
    EXPECT_TRUE(config_.registry.Reload().ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(config_.http.Get()->limit, 100u);
}

TEST_F(ConfigReload, AListenerMayEndItsOwnSubscription) {
  ASSERT_EQ(config_.LoadText("http: {limit: 1}"), OkStatus());
  Listeners listeners;
  int calls = 0;
  Subscription self(listeners.Add([&](const void*) {
    ++calls;
    self.Release();
  }));
  listeners.Call(nullptr);
  listeners.Call(nullptr);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace starling::config

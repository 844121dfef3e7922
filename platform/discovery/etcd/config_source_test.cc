// A configuration whose part is in a real etcd.
#include "platform/discovery/etcd/config_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/config/watch.h"
#include "platform/discovery/conformance/etcd_world.h"
#include "platform/discovery/etcd/client.h"

namespace starling::discovery {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

struct ShopOptions {
  int port = 1;
  std::string title = "default";
  std::vector<std::string> tags;
  static void Describe(config::Fields<ShopOptions>& fields) {
    fields.Add("port", &ShopOptions::port, "a number").Range(0, 100);
    fields.Add("title", &ShopOptions::title, "a text");
    fields.Add("tags", &ShopOptions::tags, "texts");
  }
};

class EtcdConfigTest : public ::testing::Test {
 protected:
  EtcdConfigTest() : prefix_(fmt::format("/starling/config-test{}/", ++tests_)) {}
  ~EtcdConfigTest() override {
    stop_.Cancel();
    runtime_.Stop();
  }

  void Put(const std::string& key, const std::string& value) {
    const Status put = runtime_.Block(client_->Put({{prefix_ + key, value}}));
    ASSERT_TRUE(put.ok()) << put;
  }
  config::Sources Sources() {
    config::Sources sources;
    sources.overrides = {{"config.etcd.urls", SharedEtcd().url()},
                         {"config.etcd.prefix", prefix_},
                         {"config.etcd.wait", "2s"}};
    return sources;
  }
  Status Load(config::Sources sources) { return LoadWithEtcd(std::move(sources), registry_); }
  void Watch() {
    Spawn(runtime_.executor(0), config::Watch(registry_, runtime_.blocking(), stop_.token()));
  }
  template <typename Condition>
  bool Eventually(Condition condition) {
    for (int i = 0; i < 1500 && !condition(); ++i) std::this_thread::sleep_for(milliseconds(10));
    return condition();
  }

  static inline int tests_ = 0;
  const std::string prefix_;
  config::Registry registry_;
  const config::Handle<ShopOptions> shop_ = registry_.Section<ShopOptions>("shop");
  const config::Handle<EtcdConfigOptions> etcd_ =
      registry_.Section<EtcdConfigOptions>(EtcdConfigOptions::kSection);
  CancellationSource stop_;
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 2}};
  const std::shared_ptr<etcd::Client> client_ =
      std::make_shared<etcd::Client>(runtime_, etcd::ClientOptions{.urls = {SharedEtcd().url()}});
};

TEST_F(EtcdConfigTest, StandsOverDefaultsAndBelowTheFile) {
  Put("10-base.yaml", "shop: {port: 10, title: base, tags: [a, b]}");
  Put("20-more.yml", "shop: {title: more}");
  Put("shop.port", "30");
  ASSERT_TRUE(Load(Sources()).ok());
  EXPECT_EQ(shop_.Get()->port, 30);
  EXPECT_EQ(shop_.Get()->title, "more");
  EXPECT_EQ(shop_.Get()->tags, (std::vector<std::string>{"a", "b"}));
  EXPECT_THAT(registry_.Show(), HasSubstr("etcd:" + prefix_ + "shop.port"));
  EXPECT_THAT(registry_.Show(), HasSubstr("etcd:" + prefix_ + "20-more.yml:1:15"));

  config::Sources with_file = Sources();
  with_file.file = "starling.yaml";
  with_file.file_content = "shop: {port: 40}";
  with_file.environment = {{"STARLING_SHOP_TITLE", "of the environment"}};
  ASSERT_TRUE(Load(with_file).ok());
  EXPECT_EQ(shop_.Get()->port, 40);
  EXPECT_EQ(shop_.Get()->title, "of the environment");
  EXPECT_EQ(shop_.Get()->tags, (std::vector<std::string>{"a", "b"}));
}

TEST_F(EtcdConfigTest, AChangeComesLiveAndAWrongOneIsRefused) {
  Put("shop.port", "10");
  ASSERT_TRUE(Load(Sources()).ok());
  std::mutex mutex;
  std::string refused;
  const auto subscription = registry_.OnReload([&](const StatusOr<config::Report>& report) {
    const std::lock_guard lock(mutex);
    if (!report.ok()) refused = std::string(report.status().message());
  });
  Watch();
  Put("shop.port", "20");
  EXPECT_TRUE(Eventually([&] { return shop_.Get()->port == 20; }));
  Put("shop.port", "1000");
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return !refused.empty();
  }));
  {
    const std::lock_guard lock(mutex);
    EXPECT_THAT(refused, HasSubstr("shop.port"));
    EXPECT_THAT(refused, HasSubstr("1000"));
    EXPECT_THAT(refused, HasSubstr("etcd:" + prefix_ + "shop.port"));
  }
  EXPECT_EQ(shop_.Get()->port, 20);
  EXPECT_TRUE(runtime_.Block(client_->Delete(prefix_ + "shop.port")).ok());
  EXPECT_TRUE(Eventually([&] { return shop_.Get()->port == 1; }));
}

TEST_F(EtcdConfigTest, WhatItSaidHoldsWhileEtcdIsAway) {
  Put("shop.port", "10");
  ASSERT_TRUE(Load(Sources()).ok());
  Watch();
  ASSERT_TRUE(SharedEtcd().Kill().ok());
  EXPECT_TRUE(registry_.Reload().ok());
  EXPECT_EQ(shop_.Get()->port, 10);
  ASSERT_TRUE(SharedEtcd().StartAgain().ok());
  Put("shop.port", "20");
  EXPECT_TRUE(Eventually([&] { return shop_.Get()->port == 20; }));
}

TEST_F(EtcdConfigTest, AStartWithoutEtcdSaysSoOrGoesOnWithoutIt) {
  Put("shop.port", "10");
  ASSERT_TRUE(SharedEtcd().Kill().ok());
  config::Sources sources = Sources();
  sources.overrides.emplace_back("config.etcd.wait", "100ms");
  const Status refused = Load(sources);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("config.etcd.required"));
  sources.overrides.emplace_back("config.etcd.required", "false");
  ASSERT_TRUE(Load(sources).ok());
  EXPECT_EQ(shop_.Get()->port, 1);
  Watch();
  ASSERT_TRUE(SharedEtcd().StartAgain().ok());
  EXPECT_TRUE(Eventually([&] { return shop_.Get()->port == 10; }));
}

TEST_F(EtcdConfigTest, MistakesOfAllSourcesAreToldAtOnce) {
  Put("bad.yaml", "shop: {prot: 7}");
  Put("shop.title2", "x");
  Put("text.yaml", "just a text");
  const Status mistakes = Load(Sources());
  for (const char* part : {"prot", "shop.title2", "bad.yaml:1:8", "expected sections"})
    EXPECT_THAT(std::string(mistakes.message()), HasSubstr(part));
}

TEST_F(EtcdConfigTest, WithoutUrlsThereIsNoEtcd) {
  config::Sources sources;
  sources.overrides = {{"shop.port", "7"}};
  ASSERT_TRUE(Load(sources).ok());
  EXPECT_EQ(shop_.Get()->port, 7);
  sources.overrides.emplace_back("config.etcd.urls", "ftp://example.org");
  EXPECT_THAT(std::string(Load(sources).message()), HasSubstr("config.etcd.urls"));
}

}  // namespace
}  // namespace starling::discovery

// Stores on a real cluster of three nodes: found, followed when a slot moves, and back after all
// nodes died.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "platform/async/runtime.h"
#include "platform/storage/kv/conformance/kv_conformance.h"
#include "platform/storage/kv/redis/redis_store.h"
#include "platform/storage/kv/redis/test_server.h"
#include "platform/storage/redis/slots.h"

namespace starling::kv {
namespace {

TestRedis& Cluster() {
  static TestRedis cluster("redis-cluster");
  return cluster;
}

class OnACluster final : public Location {
 public:
  StatusOr<std::unique_ptr<Store>> Open(Runtime& runtime, const Clock& clock) override {
    auto client = std::make_shared<redis::Client>(redis::Options{.url = Cluster().url()}, runtime);
    return OpenRedis(std::move(client), {.name = name_}, clock);
  }

 private:
  inline static int made_ = 0;
  const std::string name_ = fmt::format("conformance/{}", ++made_);
};

INSTANTIATE_TEST_SUITE_P(
    RedisCluster, KvConformance,
    testing::Values(Adapter{"cluster", [] { return std::make_unique<OnACluster>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

class RedisClusterTest : public testing::Test {
 protected:
  RedisClusterTest() {
    redis::Url one = Cluster().url();
    one.addresses.resize(1);  // the others are found
    client_ = std::make_shared<redis::Client>(redis::Options{.url = one}, runtime_);
  }
  std::unique_ptr<Store> Open(const std::string& name) {
    auto store = OpenRedis(client_, {.name = name});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static std::string Tell(size_t node, const std::vector<std::string>& words) {
    return TestRedis::Tell(Cluster().url().addresses[node], words);
  }
  // The node that answers for a slot itself.
  static size_t OwnerOf(const std::string& key) {
    for (size_t node = 0; node < 3; ++node) {
      const std::string slots = Tell(node, {"CLUSTER", "NODES"});
      const size_t myself = slots.find("myself");
      const size_t range = slots.find("connected ", myself) + 10;
      const int first = std::atoi(slots.c_str() + range);
      const int last = std::atoi(slots.c_str() + slots.find('-', range) + 1);
      if (redis::SlotOf(key) >= first && redis::SlotOf(key) <= last) return node;
    }
    ADD_FAILURE() << "no node has " << key;
    return 0;
  }

  Runtime runtime_{{.io_threads = 1}};
  std::shared_ptr<redis::Client> client_;
};

TEST_F(RedisClusterTest, StoresAreFoundOnWhateverNodeHasThem) {
  std::set<size_t> nodes;
  for (int i = 0; i < 12; ++i) {
    const std::string name = fmt::format("found/{}", i);
    const auto store = Open(name);
    ASSERT_TRUE(runtime_.Block(store->Put("key", name)).ok());
    EXPECT_EQ(runtime_.Block(store->Get("key")).value(), name);
    nodes.insert(OwnerOf("{" + name + "}:values"));
  }
  EXPECT_EQ(nodes.size(), 3u);
}

TEST_F(RedisClusterTest, ASlotThatMovesIsFollowed) {
  const std::string name = "moves";
  const std::vector<std::string> keys = {"{moves}:values", "{moves}:order"};
  const auto store = Open(name);
  ASSERT_TRUE(runtime_.Block(store->Put("key", "1")).ok());
  const std::string slot = std::to_string(redis::SlotOf(keys[0]));
  const size_t from = OwnerOf(keys[0]), to = (from + 1) % 3;
  const std::string from_id = Tell(from, {"CLUSTER", "MYID"}),
                    to_id = Tell(to, {"CLUSTER", "MYID"});
  Tell(to, {"CLUSTER", "SETSLOT", slot, "IMPORTING", from_id});
  Tell(from, {"CLUSTER", "SETSLOT", slot, "MIGRATING", to_id});
  EXPECT_EQ(runtime_.Block(store->Get("key")).value(), "1") << "not gone yet";
  const std::string port = std::to_string(Cluster().url().addresses[to].port);
  Tell(from, {"MIGRATE", "127.0.0.1", port, "", "0", "5000", "KEYS", keys[0], keys[1]});
  EXPECT_EQ(runtime_.Block(store->Get("key")).value(), "1") << "by ASK";
  for (size_t node = 0; node < 3; ++node) Tell(node, {"CLUSTER", "SETSLOT", slot, "NODE", to_id});
  ASSERT_TRUE(runtime_.Block(store->Put("key", "2")).ok()) << "by MOVED";
  EXPECT_EQ(Tell(to, {"HLEN", keys[0]}), "1");
  EXPECT_EQ(runtime_.Block(store->Get("key")).value(), "2");
  EXPECT_TRUE(runtime_.Block(store->Check()).ok());
}

TEST_F(RedisClusterTest, AClusterThatDiedAsAWholeComesBack) {
  const auto store = Open("whole");
  ASSERT_TRUE(runtime_.Block(store->Put("key", "1")).ok());
  ASSERT_TRUE(Cluster().Kill().ok());
  EXPECT_EQ(runtime_.Block(store->Get("key")).status().code(), StatusCode::kUnavailable);
  ASSERT_TRUE(Cluster().StartAgain().ok());
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  StatusOr<std::optional<std::string>> value = runtime_.Block(store->Get("key"));
  while (!value.ok() && std::chrono::steady_clock::now() < until) {
    EXPECT_EQ(value.status().code(), StatusCode::kUnavailable) << value.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    value = runtime_.Block(store->Get("key"));
  }
  EXPECT_EQ(value.value(), "1");
}

}  // namespace
}  // namespace starling::kv

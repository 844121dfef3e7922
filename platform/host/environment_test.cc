#include "platform/host/environment.h"

#include <gmock/gmock.h>

#include <latch>
#include <thread>
#include <vector>

#include "platform/host/test_environment.h"

namespace starling::host {
namespace {

TEST(OwnGroup, IsThatOfTheServiceOnALogThatDoesNotFeedViews) {
  TestEnvironment environment;
  EXPECT_EQ(*environment.get().OwnGroup("features"), "features");
}

TEST(OwnGroup, IsOneForAllWhoAskAtATimeAndStaysWithTheFolder) {
  constexpr int kAtATime = 8;
  for (int round = 0; round < 20; ++round) {
    TestEnvironment environment(TestEnvironment::Log::kFeedsViews);
    std::vector<StatusOr<std::string>> groups(kAtATime, Internal("not asked"));
    std::latch start(kAtATime);
    std::vector<std::thread> threads;
    for (StatusOr<std::string>& group : groups) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        group = environment.get().OwnGroup("features");
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const StatusOr<std::string>& group : groups) {
      ASSERT_TRUE(group.ok()) << group.status();
      EXPECT_EQ(*group, *groups[0]);
    }
    EXPECT_TRUE(groups[0]->starts_with("features.")) << *groups[0];
    EXPECT_EQ(*environment.get().OwnGroup("features"), *groups[0]);
  }
}

Status Storage(config::Sources::Pairs overrides) {
  config::Registry registry;
  registry.Section<StorageConfig>("storage", "where services keep what is theirs");
  config::Sources sources;
  sources.overrides = std::move(overrides);
  return registry.Load(std::move(sources));
}

TEST(StorageConfig, PgVectorNeedsAServerItsOwnOrThatOfTables) {
  const Status nowhere = Storage({{"storage.vector.engine", "pgvector"}});
  EXPECT_EQ(nowhere.code(), StatusCode::kInvalidArgument) << nowhere;
  EXPECT_THAT(std::string(nowhere.message()),
              testing::HasSubstr("say where it is by vector.url or sql.url"));
  for (const char* key : {"storage.vector.url", "storage.sql.url"}) {
    const Status there =
        Storage({{"storage.vector.engine", "pgvector"}, {key, "postgresql://db/shop"}});
    EXPECT_TRUE(there.ok()) << there;
  }
  EXPECT_TRUE(Storage({}).ok());
}

TEST(OpenVectors, IsAFileOfTheServiceThatKeepsWhatIsPut) {
  TestEnvironment environment;
  vector::Batch batch(1);
  batch.Add("a", std::vector<float>{2});
  {
    const auto store = *environment.get().OpenVectors("shop", "near");
    ASSERT_TRUE(environment.Block(store->Replace("c", {.dimension = 1}, batch)).ok());
  }
  EXPECT_TRUE(std::filesystem::exists(*environment.get().Folder("shop") / "near.sqlite"));
  const auto store = *environment.get().OpenVectors("shop", "near");
  EXPECT_EQ(environment.Block(store->Describe("c"))->items, 1u);
}

}  // namespace
}  // namespace starling::host

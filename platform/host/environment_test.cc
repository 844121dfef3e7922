#include "platform/host/environment.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace starling::host

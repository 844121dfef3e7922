#include "learning/models/user_batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace starling::learning {
namespace {

// Ten users of `of_user` items each, but the last, who has nothing.
Interactions TenUsers(uint32_t of_user) {
  std::vector<Interaction> events;
  for (uint32_t user = 0; user < 9; ++user) {
    for (uint32_t item = 0; item < of_user * (1 + user % 2); ++item) events.push_back({user, item});
  }
  return *MakeInteractions(events, 10, 2 * of_user);
}

TEST(UserBatches, BringEveryUserOnceInATurn) {
  const Interactions rows = TenUsers(3);
  UserBatches batches(rows, {.largest = 3});
  ASSERT_EQ(batches.size(), 3u);
  for (int turn = 0; turn < 4; ++turn) {
    std::set<uint32_t> seen;
    for (int i = 0; i < 3; ++i) {
      const UserBatch batch = batches.Next();
      seen.insert(batch.users.begin(), batch.users.end());
    }
    EXPECT_THAT(seen, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  }
}

TEST(UserBatches, WeighUsersSoThatTheirMeanIsOne) {
  const Interactions rows = TenUsers(4);
  UserBatches batches(rows, {.largest = 9, .user_exponent = 1});
  const UserBatch batch = batches.Next();
  double sum = 0;
  for (size_t u = 0; u < 9; ++u) {
    sum += batch.weights[u];
    EXPECT_FLOAT_EQ(batch.weights[u], (batch.users[u] % 2 == 0 ? 1.0F : 0.5F) * 9 / 7);
  }
  EXPECT_NEAR(sum, 9, 1e-5);
}

TEST(UserBatches, LeaveOutTheShareTheyAreToldAndScaleTheRest) {
  const Interactions rows = TenUsers(400);
  UserBatches batches(rows, {.largest = 9, .dropout = 0.75});
  const UserBatch batch = batches.Next();
  for (size_t u = 0; u < 9; ++u) {
    const auto had = static_cast<double>(rows.row(batch.users[u]).size());
    EXPECT_NEAR(static_cast<double>(batch.input[u].items.size()) / had, 0.25, 0.1);
    for (const float value : batch.input[u].values) EXPECT_NEAR(value, 4 / std::sqrt(had), 1e-5);
  }
}

TEST(UserBatches, AreNoneWhereNobodyHasAnything) {
  const Interactions rows = *MakeInteractions({}, 5, 5);
  EXPECT_EQ(UserBatches(rows, {}).size(), 0u);
}

}  // namespace
}  // namespace starling::learning

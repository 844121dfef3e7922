#include "services/profile/heard_lately.h"

#include <gmock/gmock.h>

namespace starling::profile {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Instant kStart{};

v1::Interaction At(std::string id, int64_t seconds) {
  v1::Interaction interaction;
  interaction.set_event_id(std::move(id));
  interaction.mutable_occurred_at()->set_seconds(seconds);
  return interaction;
}

template <typename Range>
std::vector<std::string> Ids(const Range& interactions) {
  std::vector<std::string> ids;
  for (const v1::Interaction& each : interactions) ids.push_back(each.event_id());
  return ids;
}

TEST(HeardLately, GivesAUsersOwnForAMinute) {
  HeardLately heard(100);
  heard.Add("ada", At("a", 1), kStart);
  heard.Add("bob", At("b", 2), kStart + std::chrono::seconds(30));
  heard.Add("ada", At("c", 3), kStart + std::chrono::seconds(40));
  EXPECT_THAT(Ids(heard.Of("ada")), ElementsAre("a", "c"));
  EXPECT_THAT(heard.Of("eve"), IsEmpty());
  heard.Add("bob", At("d", 4), kStart + std::chrono::seconds(61));
  EXPECT_THAT(Ids(heard.Of("ada")), ElementsAre("c"));
  EXPECT_THAT(Ids(heard.Of("bob")), ElementsAre("b", "d"));
}

TEST(HeardLately, HoldsNoMoreThanItsLimit) {
  HeardLately heard(2);
  for (const char* id : {"a", "b", "c"}) heard.Add("ada", At(id, 1), kStart);
  EXPECT_THAT(Ids(heard.Of("ada")), ElementsAre("b", "c"));
}

TEST(HeardLately, AHistoryHasEachInteractionOnceNewestFirst) {
  v1::GetHistoryResponse history;
  *history.add_interactions() = At("c", 30);
  *history.add_interactions() = At("a", 10);
  Merge({At("c", 30), At("b", 20), At("d", 30)}, nullptr, 0, 10, history);
  EXPECT_THAT(Ids(history.interactions()), ElementsAre("d", "c", "b", "a"));
  Merge({At("e", 40)}, nullptr, 0, 3, history);
  EXPECT_THAT(Ids(history.interactions()), ElementsAre("e", "d", "c"));
}

TEST(HeardLately, WhatIsTooOldOrForgottenStaysOut) {
  google::protobuf::Timestamp after;
  after.set_seconds(20);
  v1::GetHistoryResponse history;
  Merge({At("old", 20), At("new", 21)}, &after, 0, 10, history);
  EXPECT_THAT(Ids(history.interactions()), ElementsAre("new"));
  history.Clear();
  Merge({At("before", 20), At("since", 21)}, nullptr, 20'000'000'000, 10, history);
  EXPECT_THAT(Ids(history.interactions()), ElementsAre("since"));
}

}  // namespace
}  // namespace starling::profile

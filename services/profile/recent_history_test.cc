#include "services/profile/recent_history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::profile {
namespace {

v1::Interaction At(int64_t second, const std::string& id) {
  v1::Interaction interaction;
  interaction.set_event_id(id);
  interaction.mutable_occurred_at()->set_seconds(second);
  return interaction;
}

std::string Ids(const std::optional<v1::GetHistoryResponse>& history) {
  if (!history) return "not held";
  std::string ids;
  for (const auto& interaction : history->interactions()) ids += interaction.event_id() + " ";
  return ids;
}

// Loads a user as a read of the database does.
void Load(RecentHistory& recent, const std::string& user,
          const std::vector<v1::Interaction>& newest) {
  RecentHistory::Load load = recent.Begin(user);
  v1::GetHistoryResponse read;
  for (const auto& interaction : newest) *read.add_interactions() = interaction;
  recent.End(std::move(load), read);
}

TEST(RecentHistory, KeepsTheNewestInOrder) {
  RecentHistory recent(160, 3);
  EXPECT_EQ(Ids(recent.Find("u", 3)), "not held");
  Load(recent, "u", {At(5, "e"), At(3, "c")});
  EXPECT_EQ(Ids(recent.Find("u", 3)), "e c ");
  recent.Add("u", At(4, "d"));
  EXPECT_EQ(Ids(recent.Find("u", 3)), "e d c ");
  recent.Add("u", At(5, "f"));
  EXPECT_EQ(Ids(recent.Find("u", 3)), "f e d ") << "of one time, in the order of the ids";
  recent.Add("u", At(5, "a"));
  EXPECT_EQ(Ids(recent.Find("u", 3)), "f e a ") << "whenever they came";
  recent.Add("u", At(1, "a"));
  EXPECT_EQ(Ids(recent.Find("u", 2)), "f e ");
  EXPECT_EQ(Ids(recent.Find("u", 4)), "not held") << "more than it keeps";
}

TEST(RecentHistory, GivesOnlyWhatIsNewerThanATime) {
  RecentHistory recent(160, 3);
  Load(recent, "u", {At(5, "e"), At(4, "d"), At(3, "c")});
  google::protobuf::Timestamp after;
  after.set_seconds(4);
  EXPECT_EQ(Ids(recent.Find("u", 3, &after)), "e ");
  EXPECT_EQ(Ids(recent.Find("u", 500, &after)), "e ") << "what is not held is older";
  after.set_seconds(5);
  EXPECT_EQ(Ids(recent.Find("u", 3, &after)), "");
  after.set_seconds(2);
  EXPECT_EQ(Ids(recent.Find("u", 2, &after)), "e d ");
  EXPECT_EQ(Ids(recent.Find("u", 500, &after)), "not held") << "there may be more of it";
}

TEST(RecentHistory, ForgetsAReadThatAnEventOvertook) {
  RecentHistory recent(160, 3);
  {
    RecentHistory::Load load = recent.Begin("u");
    recent.Add("u", At(2, "b"));
    recent.End(std::move(load), {});
  }
  EXPECT_EQ(Ids(recent.Find("u", 3)), "not held");
  {
    const RecentHistory::Load failed = recent.Begin("u");
    recent.Add("u", At(3, "c"));
  }
  Load(recent, "u", {At(3, "c")});
  EXPECT_EQ(Ids(recent.Find("u", 3)), "c ");
  {
    RecentHistory::Load load = recent.Begin("v");
    recent.Remove("v");
    recent.End(std::move(load), {});
  }
  EXPECT_EQ(Ids(recent.Find("v", 3)), "not held");
}

TEST(RecentHistory, HoldsThoseWhoWereAskedForLast) {
  RecentHistory recent(16, 3);  // one user a shard
  for (int i = 0; i < 100; ++i) Load(recent, std::to_string(i), {At(i, "x")});
  int held = 0;
  for (int i = 0; i < 100; ++i) held += recent.Find(std::to_string(i), 1).has_value();
  EXPECT_LE(held, 16);
  EXPECT_EQ(Ids(recent.Find("99", 1)), "x ");
  recent.Remove("99");
  EXPECT_EQ(Ids(recent.Find("99", 1)), "not held");
  RecentHistory off(0, 3);
  Load(off, "u", {At(1, "a")});
  EXPECT_EQ(Ids(off.Find("u", 1)), "not held");
}

}  // namespace
}  // namespace starling::profile

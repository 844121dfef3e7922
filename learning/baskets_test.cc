#include "learning/baskets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::learning {
namespace {

using testing::ElementsAre;

constexpr int64_t kHour = 3'600;

TEST(Baskets, HoldWhatAUserDidTogetherTheOldestFirst) {
  const std::vector<Interaction> events = {
      {.user = 2, .item = 1, .time = 100 * kHour}, {.user = 0, .item = 3, .time = 50 * kHour},
      {.user = 0, .item = 2, .time = 10 * kHour},  {.user = 0, .item = 0, .time = 16 * kHour},
      {.user = 0, .item = 2, .time = 12 * kHour},  {.user = 0, .item = 1, .time = 17 * kHour}};
  const Baskets baskets = MakeBaskets(events, 3, 4).value();
  ASSERT_EQ(baskets.size(), 4u);
  EXPECT_EQ(baskets.begin(0), 0u);
  EXPECT_EQ(baskets.end(0), 3u);
  EXPECT_EQ(baskets.begin(1), baskets.end(1)) << "did nothing";
  EXPECT_THAT(baskets.items_of(0), ElementsAre(0, 2)) << "six hours, each item once";
  EXPECT_THAT(baskets.items_of(1), ElementsAre(1)) << "an hour later, but seven after the first";
  EXPECT_THAT(baskets.items_of(2), ElementsAre(3));
  EXPECT_THAT(baskets.items_of(3), ElementsAre(1));
  EXPECT_EQ(baskets.time(0), 10 * kHour);
  EXPECT_EQ(baskets.latest_time(), 100 * kHour);
  EXPECT_EQ(baskets.entries(), 5u);
}

TEST(Baskets, AHistoryIsCutAlikeAndWhatIsUnknownLeftOut) {
  const std::vector<HistoryItem> history = {
      {.item = 1, .time = 40 * kHour}, {.item = 9, .time = 0}, {.item = 0, .time = 41 * kHour}};
  const Baskets baskets = BasketsOf(history, 2);
  ASSERT_EQ(baskets.size(), 1u);
  EXPECT_EQ(baskets.users(), 1u);
  EXPECT_THAT(baskets.items_of(0), ElementsAre(0, 1));
  EXPECT_EQ(BasketsOf({}, 2).size(), 0u);
}

TEST(Baskets, AnEventOutOfRangeIsNamed) {
  const std::vector<Interaction> user = {{.user = 0}, {.user = 1}};
  EXPECT_EQ(MakeBaskets(user, 1, 1).status().code(), StatusCode::kInvalidArgument);
  const std::vector<Interaction> item = {{.item = 1}};
  EXPECT_THAT(MakeBaskets(item, 1, 1).status().message(), testing::HasSubstr("event 0"));
}

}  // namespace
}  // namespace starling::learning

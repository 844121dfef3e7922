#include "learning/interactions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace starling::learning {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<Interaction> kEvents = {
    {.user = 1, .item = 2, .weight = 1, .time = 50},
    {.user = 0, .item = 1, .weight = 2, .time = 10},
    {.user = 1, .item = 0, .weight = 3, .time = 20},
    {.user = 1, .item = 2, .weight = 4, .time = 40},
    {.user = 3, .item = 2, .weight = 5, .time = 30},
};

TEST(Interactions, SumsTheWeightsOfAPairAndKeepsItsLatestTime) {
  const Interactions data = MakeInteractions(kEvents, 4, 3).value();
  EXPECT_EQ(data.users(), 4);
  EXPECT_EQ(data.items(), 3);
  EXPECT_EQ(data.entries(), 4);
  EXPECT_EQ(data.latest_time(), 50);
  EXPECT_THAT(data.row(1).items, ElementsAre(0, 2));
  EXPECT_THAT(data.row(1).weights, ElementsAre(3, 5));
  EXPECT_THAT(data.row(1).times, ElementsAre(20, 50));
  EXPECT_THAT(data.row(2).items, IsEmpty());
  EXPECT_THAT(data.ItemCounts(), ElementsAre(1, 1, 2));
  EXPECT_TRUE(data.Contains(1, 2));
  EXPECT_FALSE(data.Contains(0, 2));
}

TEST(Interactions, TransposedTwiceAreTheSame) {
  const Interactions data = MakeInteractions(kEvents, 4, 3).value();
  const Interactions columns = data.Transposed();
  EXPECT_EQ(columns.users(), 3);
  EXPECT_EQ(columns.items(), 4);
  EXPECT_THAT(columns.row(2).items, ElementsAre(1, 3));
  EXPECT_THAT(columns.row(2).weights, ElementsAre(5, 5));
  EXPECT_THAT(columns.row(2).times, IsEmpty());
  const Interactions back = columns.Transposed();
  for (size_t user = 0; user < 4; ++user) {
    EXPECT_TRUE(std::ranges::equal(back.row(user).items, data.row(user).items));
    EXPECT_TRUE(std::ranges::equal(back.row(user).weights, data.row(user).weights));
  }
}

TEST(Interactions, AgeByHalfEachHalfLifeAndNotBelowNow) {
  const Interactions data = MakeInteractions(kEvents, 4, 3).value();
  const Interactions linear =
      data.Weighed({.scale = Weighting::Scale::kLinear, .half_life = 10}, /*now=*/40);
  EXPECT_THAT(linear.row(1).weights, ElementsAre(0.75F, 5));  // 20 s old; 10 s in the future
  const Interactions binary = data.Weighed({}, 40);
  EXPECT_THAT(binary.row(1).weights, ElementsAre(1, 1));
  const Interactions logarithmic = data.Weighed({.scale = Weighting::Scale::kLogarithmic}, 40);
  EXPECT_FLOAT_EQ(logarithmic.row(1).weights[0], std::log(4.0F));
}

TEST(Interactions, WithoutRowsOrColumnsAreEmpty) {
  const Interactions none = MakeInteractions({}, 0, 0).value();
  EXPECT_EQ(none.users(), 0);
  EXPECT_EQ(none.Transposed().users(), 0);
  EXPECT_EQ(MakeInteractions({}, 2, 3).value().Transposed().users(), 3);
}

TEST(Interactions, NameWhatIsWrongWithAnEvent) {
  struct Row {
    Interaction event;
    std::string field;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const Row& row : std::vector<Row>{{{.user = 4, .item = 0}, "user"},
                                         {{.user = 0, .item = 3}, "item"},
                                         {{.user = 0, .item = 0, .weight = 0}, "weight"},
                                         {{.user = 0, .item = 0, .weight = -1}, "weight"},
                                         {{.user = 0, .item = 0, .weight = nan}, "weight"},
                                         {{.user = 0, .item = 0, .weight = infinity}, "weight"}}) {
    const Status status = MakeInteractions({{row.event}}, 4, 3).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    ASSERT_EQ(FieldViolations(status).size(), 1) << status;
    EXPECT_EQ(FieldViolations(status)[0].field, row.field);
  }
}

TEST(Interactions, RefuseWhatIsAboveALimitBeforeTakingMemory) {
  const size_t huge = std::numeric_limits<size_t>::max();
  EXPECT_EQ(MakeInteractions({}, huge, 3).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(MakeInteractions({}, 3, huge).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(MakeInteractions(kEvents, 4, 3, {.events = 4}).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_TRUE(MakeInteractions(kEvents, 4, 3, {.users = 4, .items = 3, .events = 5}).ok());
}

TEST(SplitByTime, PutsTheCutIntoTheTest) {
  const TimeSplit split = SplitByTime(kEvents, 40);
  EXPECT_EQ(split.train.size(), 3);
  EXPECT_EQ(split.test.size(), 2);
  EXPECT_EQ(split.test[0].time, 50);
  EXPECT_EQ(split.test[1].time, 40);
}

TEST(WithoutKnown, LeavesWhatIsNewToTheUser) {
  const Interactions train = MakeInteractions({{kEvents[1], kEvents[2]}}, 4, 3).value();
  const Interactions test = MakeInteractions(kEvents, 4, 3).value();
  const Interactions fresh = WithoutKnown(test, train).value();
  EXPECT_THAT(fresh.row(0).items, IsEmpty());
  EXPECT_THAT(fresh.row(1).items, ElementsAre(2));
  EXPECT_THAT(fresh.row(3).items, ElementsAre(2));
  EXPECT_FALSE(WithoutKnown(test, MakeInteractions({}, 4, 4).value()).ok());
}

}  // namespace
}  // namespace starling::learning

#include "learning/models/transitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

constexpr auto kDays = static_cast<int64_t>(kDay);
using Targets = TransitionsOptions::Targets;

// Users 0 and 1 take 0, then 1 ten days later, then 2 twenty days after that; user 2 takes 1, then
// 0, then 1 again, a day apart.
Baskets Make() {
  const std::vector<Interaction> events = {
      {.user = 0, .item = 0, .time = 0},          {.user = 0, .item = 1, .time = 10 * kDays},
      {.user = 0, .item = 2, .time = 30 * kDays}, {.user = 1, .item = 0, .time = 0},
      {.user = 1, .item = 1, .time = 10 * kDays}, {.user = 1, .item = 2, .time = 30 * kDays},
      {.user = 2, .item = 1, .time = 0},          {.user = 2, .item = 0, .time = 1 * kDays},
      {.user = 2, .item = 1, .time = 2 * kDays}};
  return MakeBaskets(events, 3, 4).value();
}

double W(double gap, double distance) { return std::exp2(-gap / 10) / distance; }

TEST(Transitions, CountWhatFollowsWhatByGapAndDistance) {
  const ItemToItemModel model =
      FitTransitions(Make(), {.half_life = 10 * kDay, .prior = 1, .target_exponent = 0}).value();
  EXPECT_EQ(model.kind(), kTransitionsKind);
  // n_i: all pairs of baskets with i in the earlier one.
  const double n0 = 2 * (W(10, 1) + W(30, 2)) + W(1, 1);
  const double n1 = 2 * W(20, 1) + W(1, 1) + W(2, 2);
  EXPECT_NEAR(model.Weight(0, 1), (2 * W(10, 1) + W(1, 1)) / (n0 + 1), 1e-6);
  EXPECT_NEAR(model.Weight(0, 2), 2 * W(30, 2) / (n0 + 1), 1e-6);
  EXPECT_NEAR(model.Weight(1, 0), W(1, 1) / (n1 + 1), 1e-6);
  EXPECT_EQ(model.Weight(2, 1), 0) << "nobody takes 1 after 2: the order counts";
  EXPECT_EQ(model.Weight(1, 1), 0) << "an item does not speak for itself";
  EXPECT_EQ(model.Weight(3, 0), 0);
}

TEST(Transitions, OfFirstPurchasesLeaveHabitsOut) {
  const ItemToItemModel model =
      FitTransitions(
          Make(),
          {.targets = Targets::kFirst, .half_life = 10 * kDay, .prior = 1, .target_exponent = 0})
          .value();
  const double n0 = 2 * (W(10, 1) + W(30, 2)) + W(1, 1);
  EXPECT_NEAR(model.Weight(0, 1), 2 * W(10, 1) / (n0 + 1), 1e-6) << "user 2 had 1 before";
}

TEST(Transitions, OfOneStepSeeNoFurtherAndPopularTargetsAreDamped) {
  const Baskets baskets = Make();
  const ItemToItemModel plain =
      FitTransitions(baskets,
                     {.half_life = 10 * kDay, .steps = 1, .prior = 1, .target_exponent = 0})
          .value();
  EXPECT_EQ(plain.Weight(0, 2), 0);
  const ItemToItemModel damped =
      FitTransitions(baskets,
                     {.half_life = 10 * kDay, .steps = 1, .prior = 1, .target_exponent = 1})
          .value();
  const double reached = 2 * W(10, 1) + W(1, 1);
  EXPECT_NEAR(damped.Weight(0, 1), plain.Weight(0, 1) / (reached + 1), 1e-6);
}

TEST(Transitions, TheNewestEventSpeaksLoudest) {
  const ItemToItemModel model = FitTransitions(Make(), {.half_life = 10 * kDay}).value();
  const std::vector<HistoryItem> history = {{.item = 0, .time = 0},
                                            {.item = 1, .time = 20 * kDays}};
  const std::vector<float> scores = ScoresOf(model, history, 20 * kDays);
  EXPECT_FLOAT_EQ(scores[0], model.Weight(1, 0));
  EXPECT_FLOAT_EQ(scores[2], model.Weight(1, 2) + 0.25F * model.Weight(0, 2));
  EXPECT_EQ(model.Explain(history, 20 * kDays, {{2}})[0], 1u);
}

TEST(Transitions, KeepTheLargestAndAreTheSameOnAnyNumberOfThreads) {
  const Baskets baskets = MakeBaskets(TestEvents(200, 40, 3), 200, 40).value();
  const ItemToItemModel all = FitTransitions(baskets, {.neighbours = 40}).value();
  const ItemToItemModel few = FitTransitions(baskets, {.neighbours = 5, .threads = 3}).value();
  EXPECT_EQ(few.weights(), 200u);
  for (uint32_t target = 0; target < 40; ++target) {
    float least = 1;
    float left_out = 0;
    for (uint32_t source = 0; source < 40; ++source) {
      const float weight = few.Weight(source, target);
      if (weight > 0) {
        EXPECT_EQ(weight, all.Weight(source, target));
        least = std::min(least, weight);
      } else {
        left_out = std::max(left_out, all.Weight(source, target));
      }
    }
    EXPECT_GE(least, left_out);
  }
}

TEST(Transitions, AreOpenedAsTheyWereWritten) {
  const ItemToItemModel model = FitTransitions(Make(), {}).value();
  const IdTable ids = IdTable::Make({{"a", "b", "c", "d"}}).value();
  const std::string bytes = SerializeModel(model, ids).value();
  const LoadedModel loaded = OpenModel(std::as_bytes(std::span(bytes)), nullptr).value();
  EXPECT_EQ(loaded.model->kind(), kTransitionsKind);
  const std::vector<HistoryItem> history = {{.item = 0, .time = 100}};
  EXPECT_EQ(ScoresOf(*loaded.model, history, 5'000), ScoresOf(model, history, 5'000));
}

TEST(Transitions, BadOptionsAreNamed) {
  const Baskets baskets = Make();
  const auto field = [&](const TransitionsOptions& options) {
    return std::string(FitTransitions(baskets, options).status().message());
  };
  EXPECT_THAT(field({.half_life = 0}), testing::HasSubstr("half_life"));
  EXPECT_THAT(field({.steps = 0}), testing::HasSubstr("steps"));
  EXPECT_THAT(field({.prior = 0}), testing::HasSubstr("prior"));
  EXPECT_THAT(field({.target_exponent = 2}), testing::HasSubstr("target_exponent"));
  EXPECT_THAT(field({.neighbours = 0}), testing::HasSubstr("neighbours"));
  EXPECT_EQ(FitTransitions(baskets, {.memory_limit = 100}).status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(FitTransitions(baskets, {}, [](double) { return false; }).status().code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning

// Popularity, repeat and item_knn, small enough to be computed by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "learning/models/item_knn.h"
#include "learning/models/popularity.h"
#include "learning/models/repeat.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

using ::testing::ElementsAre;

TEST(Popularity, CountsBuyersAndHalvesTheOldOnes) {
  const std::vector<Interaction> events = {{.user = 0, .item = 0, .time = 0},
                                           {.user = 1, .item = 0, .time = 100},
                                           {.user = 1, .item = 2, .weight = 5, .time = 50}};
  const Interactions data = MakeInteractions(events, 2, 3).value();
  EXPECT_THAT(FitPopularity(data, {}).value().scores(), ElementsAre(2, 0, 1));
  const PopularityModel aged = FitPopularity(data, {.weighting = {.half_life = 50}}).value();
  EXPECT_THAT(aged.scores(), ElementsAre(1.25F, 0, 0.5F));
  EXPECT_THAT(ScoresOf(aged, {{{.item = 1}}}, 0), ElementsAre(1.25F, 0, 0.5F));
  EXPECT_THAT(aged.Explain({}, 0, {{0, 1}}), ElementsAre(std::nullopt, std::nullopt));
}

TEST(Repeat, RanksOwnItemsByDecayedFrequencyAndHowOftenPeopleComeBack) {
  // Item 0: two users, both came back. Item 1: two users, none did.
  const std::vector<Interaction> events = {{.user = 0, .item = 0, .weight = 2},
                                           {.user = 1, .item = 0, .weight = 3},
                                           {.user = 0, .item = 1},
                                           {.user = 1, .item = 1}};
  const RepeatModel model =
      FitRepeat(MakeInteractions(events, 2, 3).value(),
                {.weighting = {.scale = Weighting::Scale::kLinear, .half_life = 10}, .prior = 2})
          .value();
  // mean = (2 + 1) / (4 + 2)
  EXPECT_THAT(model.propensity(), ElementsAre(3.0F / 4, 1.0F / 4, 1.0F / 2));
  const std::vector<HistoryItem> history = {{.item = 0, .time = 90},
                                            {.item = 0, .time = 100},
                                            {.item = 1, .weight = 2, .time = 100},
                                            {.item = 77}};
  EXPECT_THAT(ScoresOf(model, history, 100), ElementsAre(0.75F * 1.5F, 0.5F, 0));
  EXPECT_THAT(model.Explain(history, 100, {{0, 2, 77}}),
              ElementsAre(std::optional<uint32_t>(0), std::nullopt, std::nullopt));
}

TEST(ItemKnn, IsTheCosineWithShrinkage) {
  const std::vector<Interaction> events = {
      {.user = 0, .item = 0}, {.user = 0, .item = 1}, {.user = 1, .item = 0},
      {.user = 1, .item = 1}, {.user = 2, .item = 1}, {.user = 2, .item = 2},
      {.user = 3, .item = 1}, {.user = 3, .item = 2}, {.user = 3, .item = 0}};
  const Interactions data = MakeInteractions(events, 4, 4).value();
  const ItemToItemModel model = FitItemKnn(data, {.shrinkage = 2}).value();
  EXPECT_FLOAT_EQ(model.Weight(0, 1), 3 / (std::sqrt(3.0F * 4) + 2));
  EXPECT_FLOAT_EQ(model.Weight(1, 0), model.Weight(0, 1));
  EXPECT_FLOAT_EQ(model.Weight(2, 0), 1 / (std::sqrt(2.0F * 3) + 2));
  EXPECT_EQ(model.Weight(1, 1), 0);
  EXPECT_EQ(model.Weight(3, 0), 0);
  // One neighbour: of item 2 that is item 1, of item 0 too.
  const ItemToItemModel nearest = FitItemKnn(data, {.neighbours = 1, .shrinkage = 0}).value();
  EXPECT_EQ(nearest.weights(), 3);
  EXPECT_NE(nearest.Weight(1, 2), 0);
  EXPECT_EQ(nearest.Weight(0, 2), 0);
}

TEST(ItemKnn, DoesNotDependOnTheThreads) {
  const Interactions data = MakeInteractions(TestEvents(300, 1000, 5), 300, 1000).value();
  const ItemToItemModel one = FitItemKnn(data, {.neighbours = 5}).value();
  const ItemToItemModel two = FitItemKnn(data, {.neighbours = 5, .threads = 2}).value();
  for (uint32_t from = 0; from < 1000; from += 7) {
    for (uint32_t to = 0; to < 1000; ++to) {
      ASSERT_EQ(one.Weight(from, to), two.Weight(from, to));
    }
  }
}

TEST(SimpleModels, StopWhenAskedAndNameTheOptionThatIsWrong) {
  const Interactions data = MakeInteractions(TestEvents(30, 10, 5), 30, 10).value();
  const auto stop = [](double) { return false; };
  EXPECT_EQ(FitPopularity(data, {}, stop).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(FitRepeat(data, {}, stop).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(FitItemKnn(data, {}, stop).status().code(), StatusCode::kCancelled);
  struct Row {
    Status status;
    std::string field;
  };
  for (const Row& row : std::vector<Row>{
           {FitPopularity(data, {.weighting = {.half_life = -1}}).status(), "weighting.half_life"},
           {FitRepeat(data, {.prior = 0}).status(), "prior"},
           {FitItemKnn(data, {.neighbours = 0}).status(), "neighbours"},
           {FitItemKnn(data, {.shrinkage = -1}).status(), "shrinkage"},
           {FitItemKnn(data, {.threads = 0}).status(), "threads"},
           {FitItemKnn(data, {.memory_limit = 100}).status(), "memory_limit"}}) {
    ASSERT_EQ(FieldViolations(row.status).size(), 1) << row.status;
    EXPECT_EQ(FieldViolations(row.status)[0].field, row.field);
  }
}

}  // namespace
}  // namespace starling::learning

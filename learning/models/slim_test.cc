#include "learning/models/slim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/local_ease.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

constexpr Weighting kLinear{.scale = Weighting::Scale::kLinear};

// X'X, dense.
std::vector<double> GramOf(const Interactions& data) {
  std::vector<double> gram(data.items() * data.items(), 0.0);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    for (size_t a = 0; a < row.size(); ++a) {
      for (size_t b = 0; b < row.size(); ++b)
        gram[row.items[a] * data.items() + row.items[b]] +=
            static_cast<double>(row.weights[a]) * row.weights[b];
    }
  }
  return gram;
}

// The conditions of Karush, Kuhn and Tucker say of a convex problem's solution that it is one: the
// slope is 0 where there is a weight, and does not fall where there is none.
TEST(Slim, SolvesWhatItSays) {
  constexpr size_t kItems = 24;
  constexpr double kL1 = 4, kL2 = 3, kDropout = 0.25;
  const Interactions data = MakeInteractions(TestEvents(90, kItems, 1), 90, kItems).value();
  const auto model = FitSlim(
      data,
      {.weighting = kLinear, .l1 = kL1, .l2 = kL2, .dropout = kDropout, .neighbours = kItems});
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<double> gram = GramOf(data);
  size_t weighed = 0, without = 0;
  for (uint32_t j = 0; j < kItems; ++j) {
    EXPECT_EQ(model->Weight(j, j), 0);
    for (uint32_t i = 0; i < kItems; ++i) {
      if (i == j || gram[i * kItems + j] == 0) continue;
      const double own = gram[i * kItems + i];
      const double weight = model->Weight(i, j);
      double slope = kL1 - gram[i * kItems + j] + (kL2 + kDropout / (1 - kDropout) * own) * weight;
      for (uint32_t k = 0; k < kItems; ++k)
        slope += gram[i * kItems + k] * static_cast<double>(model->Weight(k, j));
      if (weight > 0) {
        EXPECT_NEAR(slope, 0, 1e-3 * own) << i << ' ' << j;
        ++weighed;
      } else {
        EXPECT_EQ(weight, 0);
        EXPECT_GT(slope, -1e-3 * own) << i << ' ' << j;
        ++without;
      }
    }
  }
  EXPECT_GT(weighed, 50u);
  EXPECT_GT(without, 50u);
}

TEST(Slim, WeighsFewerItemsTheLargerL1) {
  const Interactions data = MakeInteractions(TestEvents(90, 24, 1), 90, 24).value();
  size_t before = 24 * 24;
  for (const double l1 : {0.0, 5.0, 20.0}) {
    const auto model = FitSlim(data, {.weighting = kLinear, .l1 = l1, .l2 = 3, .neighbours = 24});
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_LT(model->weights(), before) << l1;
    before = model->weights();
  }
  const auto none = FitSlim(data, {.weighting = kLinear, .l1 = 1e6});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->weights(), 0u);
}

// One candidate has one equation, and its weight is positive.
TEST(Slim, IsEaseWhereThereIsOneNeighbourAndNoL1) {
  const Interactions data = MakeInteractions(TestEvents(90, 24, 1), 90, 24).value();
  const auto slim = FitSlim(data, {.weighting = kLinear,
                                   .l1 = 0,
                                   .l2 = 5,
                                   .user_exponent = 0.5,
                                   .dropout = 0.4,
                                   .neighbours = 1});
  const auto ease = FitLocalEase(data, {.weighting = kLinear,
                                        .regularisation = 5,
                                        .user_exponent = 0.5,
                                        .dropout = 0.4,
                                        .neighbours = 1});
  ASSERT_TRUE(slim.ok() && ease.ok()) << slim.status();
  EXPECT_EQ(slim->kind(), "slim");
  EXPECT_EQ(slim->weights(), 24u);
  for (uint32_t from = 0; from < 24; ++from) {
    for (uint32_t to = 0; to < 24; ++to)
      EXPECT_NEAR(slim->Weight(from, to), ease->Weight(from, to), 1e-5) << from << ' ' << to;
  }
}

// That the bytes are those of a fit is tested where memory is measured (fit_memory_test.cc).
TEST(Slim, EstimatesLessMemoryTheFewerWeightsThereAre) {
  const Interactions data = MakeInteractions(TestEvents(600, 300, 5), 600, 300).value();
  const auto memory = [&](double l1) {
    return SlimMemory(data, {.weighting = kLinear, .l1 = l1, .l2 = 1, .neighbours = 100});
  };
  EXPECT_GT(memory(0), memory(2));
  EXPECT_GT(memory(2), memory(20));
  EXPECT_GE(memory(20), memory(1e6));
}

TEST(Slim, ThreadsChangeNothing) {
  const Interactions data = MakeInteractions(TestEvents(300, 200, 5), 300, 200).value();
  const auto one = FitSlim(data, {.l1 = 0.1, .l2 = 1, .neighbours = 20, .threads = 1});
  const auto three = FitSlim(data, {.l1 = 0.1, .l2 = 1, .neighbours = 20, .threads = 3});
  ASSERT_TRUE(one.ok() && three.ok()) << one.status();
  const std::vector<HistoryItem> history = {{.item = 3}, {.item = 8}, {.item = 150}};
  EXPECT_EQ(ScoresOf(*one, history, 0), ScoresOf(*three, history, 0));
  EXPECT_THAT(ScoresOf(*one, history, 0), testing::Contains(testing::Gt(0)));
}

TEST(Slim, RefusesWhatIsWrongAndStopsWhenAsked) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const auto field = [&](const SlimOptions& options) {
    return FieldViolations(FitSlim(data, options).status())[0].field;
  };
  EXPECT_EQ(field({.l1 = -1}), "l1");
  EXPECT_EQ(field({.l1 = NAN}), "l1");
  EXPECT_EQ(field({.l2 = 0}), "l2");
  EXPECT_EQ(field({.user_exponent = 2}), "user_exponent");
  EXPECT_EQ(field({.dropout = 1}), "dropout");
  EXPECT_EQ(field({.neighbours = 0}), "neighbours");
  EXPECT_EQ(field({.threads = 0}), "threads");
  EXPECT_EQ(field({.memory_limit = 100}), "memory_limit");
  EXPECT_EQ(FitSlim(data, {}, [](double) { return false; }).status().code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning

#include "learning/models/local_ease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/ease.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

constexpr Weighting kLinear{.scale = Weighting::Scale::kLinear};

TEST(LocalEase, WithAllItemsAsNeighboursIsEase) {
  const Interactions data = MakeInteractions(TestEvents(90, 24, 1), 90, 24).value();
  for (const double dropout : {0.0, 0.4}) {
    const auto whole = FitEase(data, {.weighting = kLinear,
                                      .regularisation = 3,
                                      .user_exponent = 0.5,
                                      .dropout = dropout,
                                      .relaxation = 1,
                                      .neighbours = 0});
    const auto local = FitLocalEase(data, {.weighting = kLinear,
                                           .regularisation = 3,
                                           .user_exponent = 0.5,
                                           .dropout = dropout,
                                           .relaxation = 1,
                                           .neighbours = 24});
    ASSERT_TRUE(whole.ok() && local.ok()) << local.status();
    // An item that shares no user with the target is no neighbour, though EASE may weigh it.
    size_t compared = 0;
    for (uint32_t to = 0; to < 24; ++to) {
      size_t into = 0;
      for (uint32_t from = 0; from < 24; ++from) into += local->Weight(from, to) != 0 ? 1 : 0;
      if (into < 23) continue;
      for (uint32_t from = 0; from < 24; ++from) {
        EXPECT_NEAR(local->Weight(from, to), whole->Weight(from, to), 1e-4) << from << ' ' << to;
        ++compared;
      }
    }
    EXPECT_GT(compared, 24u * 20);
  }
}

TEST(LocalEase, KeepsAsManyNeighboursAsItIsTold) {
  const Interactions data = MakeInteractions(TestEvents(90, 24, 1), 90, 24).value();
  const auto model =
      FitLocalEase(data, {.weighting = kLinear, .regularisation = 3, .neighbours = 5});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->kind(), "ease");
  EXPECT_LE(model->weights(), 24u * 5);
  EXPECT_GT(model->weights(), 24u * 3);
  for (uint32_t item = 0; item < 24; ++item) EXPECT_EQ(model->Weight(item, item), 0);
}

// With little memory rows of G are cut, which may leave it without a Cholesky factor.
TEST(LocalEase, GivesFiniteWeightsWhereTheGramMatrixIsCut) {
  const Interactions data = MakeInteractions(TestEvents(60, 60, 5), 60, 60).value();
  LocalEaseOptions options{.weighting = kLinear, .regularisation = 0.01, .neighbours = 8};
  const auto whole = FitLocalEase(data, options);
  options.memory_limit = 20'000;
  const auto model = FitLocalEase(data, options);
  ASSERT_TRUE(whole.ok() && model.ok()) << model.status();
  size_t changed = 0;
  for (uint32_t item = 0; item < 60; ++item) {
    for (uint32_t to = 0; to < 60; ++to)
      changed += model->Weight(item, to) != whole->Weight(item, to) ? 1 : 0;
  }
  EXPECT_GT(changed, 60u) << "nothing was cut";
  const std::vector<HistoryItem> history = {{.item = 3}, {.item = 8}};
  for (const float score : ScoresOf(*model, history, 0)) EXPECT_TRUE(std::isfinite(score));
  EXPECT_GT(model->weights(), 0u);
}

TEST(LocalEase, ThreadsChangeNothing) {
  const Interactions data = MakeInteractions(TestEvents(300, 200, 5), 300, 200).value();
  const auto one = FitLocalEase(data, {.neighbours = 20, .threads = 1});
  const auto three = FitLocalEase(data, {.neighbours = 20, .threads = 3});
  const std::vector<HistoryItem> history = {{.item = 3}, {.item = 8}, {.item = 150}};
  EXPECT_EQ(ScoresOf(*one, history, 0), ScoresOf(*three, history, 0));
}

TEST(LocalEase, RefusesWhatIsWrongAndStopsWhenAsked) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const auto field = [&](const LocalEaseOptions& options) {
    return FieldViolations(FitLocalEase(data, options).status())[0].field;
  };
  EXPECT_EQ(field({.regularisation = 0}), "regularisation");
  EXPECT_EQ(field({.user_exponent = 2}), "user_exponent");
  EXPECT_EQ(field({.dropout = 1}), "dropout");
  EXPECT_EQ(field({.neighbours = 0}), "neighbours");
  EXPECT_EQ(field({.threads = 0}), "threads");
  EXPECT_EQ(field({.memory_limit = 100}), "memory_limit");
  EXPECT_EQ(FitLocalEase(data, {}, [](double) { return false; }).status().code(),
            StatusCode::kCancelled);
}

TEST(LocalEase, ScaledByARelaxationIsTheSameAsFittedWithIt) {
  const Interactions data = MakeInteractions(TestEvents(60, 30, 3), 60, 30).value();
  const auto plain = FitLocalEase(data, {.regularisation = 5, .neighbours = 10});
  const auto relaxed =
      FitLocalEase(data, {.regularisation = 5, .relaxation = 0.5, .neighbours = 10});
  ASSERT_TRUE(plain.ok() && relaxed.ok());
  const auto scaled = plain->Relaxed(0.5);
  ASSERT_TRUE(scaled.ok()) << scaled.status();
  const std::vector<HistoryItem> history = HistoryOf(data, 7);
  EXPECT_EQ(ScoresOf(*scaled, history, 0), ScoresOf(*relaxed, history, 0));
  EXPECT_NE(ScoresOf(*scaled, history, 0), ScoresOf(*plain, history, 0));
}

}  // namespace
}  // namespace starling::learning

#include "learning/models/sampled_mf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/sampled_mf_step.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

class SampledMf : public testing::TestWithParam<SampledLoss> {
 protected:
  static SampledMfOptions Small() {
    return {.weighting = {.scale = Weighting::Scale::kLinear},
            .loss = GetParam(),
            .factors = 8,
            .steps = 300,
            .negatives = 10,
            .temperature = 0.3,
            .margin = 0.1,
            .negative_weight = 4,
            .learning_rate = 0.01};
  }
};

TEST_P(SampledMf, ItsGradientIsWhatFiniteDifferencesSay) {
  constexpr size_t kItems = 10, kFactors = 20;
  const Interactions data = MakeInteractions(TestEvents(6, kItems, 3), 6, kItems).value();
  SampledMfOptions options = Small();
  options.factors = kFactors;
  SampledMfStep step(kItems, 3, options);
  Random random(7);
  std::vector<float> parameters(step.Size());
  for (float& parameter : parameters) parameter = static_cast<float>(random.Normal() * 0.5);
  const std::vector<uint32_t> users = {0, 2, 5};
  const std::vector<float> weights = {1, 0.5, 2};
  const std::vector<uint32_t> negatives = {0, 1, 3, 4, 6, 9};
  std::vector<uint64_t> draws;
  std::vector<UserInput> input(3);
  for (size_t u = 0; u < 3; ++u) {
    const Interactions::Row row = data.row(users[u]);
    input[u].items.assign(row.items.begin(), row.items.end() - 1);
    for (size_t i = 0; i < input[u].items.size(); ++i) input[u].values.push_back(0.4F);
    for (size_t i = 0; i < row.size(); ++i) draws.push_back(random.Next());
  }
  const UserBatch batch{users, weights, input};
  std::vector<float> gradient, ignored;
  step.Loss(parameters, data, batch, negatives, draws, gradient);
  ASSERT_EQ(gradient.size(), parameters.size());
  constexpr float kStep = 1e-3F;
  double largest = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    std::vector<float> moved = parameters;
    moved[i] += kStep;
    const double above = step.Loss(moved, data, batch, negatives, draws, ignored);
    moved[i] -= 2 * kStep;
    const double below = step.Loss(moved, data, batch, negatives, draws, ignored);
    EXPECT_NEAR(gradient[i], (above - below) / (2.0 * kStep), 5e-3) << i;
    largest = std::max<double>(largest, std::abs(gradient[i]));
  }
  EXPECT_GT(largest, 0.3);
}

TEST_P(SampledMf, LearnsWhatGoesTogether) {
  const Interactions data = MakeInteractions(TestEvents(300, 24, 1), 300, 24).value();
  const auto model = FitSampledMf(data, Small());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->kind(), "sampled_mf");
  // Of one taste there are the first twelve items, of the other the last.
  const std::vector<HistoryItem> history = {{.item = 1}, {.item = 4}};
  const std::vector<float> scores = ScoresOf(*model, history, 0);
  double same = 0, other = 0;
  for (size_t item = 0; item < 24; ++item) (item < 12 ? same : other) += scores[item];
  EXPECT_GT(same, other + 4);
  for (const auto& reason : model->Explain(history, 0, std::vector<uint32_t>{2, 3}))
    EXPECT_TRUE(reason == 1u || reason == 4u);
}

// Its user is what it serves: the factors' product with it is the score.
TEST_P(SampledMf, FoldsInAUserThatAnIndexCanAskFor) {
  const Interactions data = MakeInteractions(TestEvents(100, 24, 1), 100, 24).value();
  SampledMfOptions options = Small();
  options.steps = 20;
  const auto model = FitSampledMf(data, options);
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<HistoryItem> history = {{.item = 2}, {.item = 9, .weight = 2}};
  std::vector<float> user(model->dimension());
  model->FoldIn(history, 0, user);
  const std::vector<float> scores = ScoresOf(*model, history, 0);
  for (size_t item = 0; item < 24; ++item) {
    double product = 0, squares = 0;
    for (size_t f = 0; f < user.size(); ++f) {
      const float factor = model->factors()[item * user.size() + f];
      product += static_cast<double>(user[f]) * factor;
      squares += static_cast<double>(factor) * factor;
    }
    EXPECT_NEAR(scores[item], product, 1e-5);
    if (GetParam() != SampledLoss::kBpr) {
      EXPECT_NEAR(squares, 1, 1e-5);
    }
  }
}

TEST_P(SampledMf, ThreadsChangeNoMoreThanRounding) {
  const Interactions data = MakeInteractions(TestEvents(200, 24, 1), 200, 24).value();
  SampledMfOptions options = Small();
  options.factors = 40;
  options.steps = 20;
  const auto one = FitSampledMf(data, options);
  const auto again = FitSampledMf(data, options);
  options.threads = 2;
  const auto two = FitSampledMf(data, options);
  ASSERT_TRUE(one.ok() && again.ok() && two.ok());
  const std::vector<HistoryItem> history = {{.item = 2}, {.item = 9, .weight = 2}};
  EXPECT_EQ(ScoresOf(*one, history, 0), ScoresOf(*again, history, 0));
  EXPECT_THAT(ScoresOf(*two, history, 0),
              testing::Pointwise(testing::FloatNear(1e-3), ScoresOf(*one, history, 0)));
}

TEST_P(SampledMf, AnswersAHistoryThatItDoesNotKnow) {
  const Interactions data = MakeInteractions(TestEvents(200, 24, 1), 200, 24).value();
  const auto model = FitSampledMf(data, Small());
  ASSERT_TRUE(model.ok()) << model.status();
  for (const std::vector<HistoryItem>& history :
       {std::vector<HistoryItem>{}, std::vector<HistoryItem>{{.item = 900}}}) {
    for (const float score : ScoresOf(*model, history, 0)) EXPECT_EQ(score, 0);
  }
}

std::string NameOf(const testing::TestParamInfo<SampledLoss>& info) {
  if (info.param == SampledLoss::kSoftmax) return "Softmax";
  return info.param == SampledLoss::kBpr ? "Bpr" : "Contrastive";
}
INSTANTIATE_TEST_SUITE_P(Losses, SampledMf,
                         testing::Values(SampledLoss::kSoftmax, SampledLoss::kContrastive,
                                         SampledLoss::kBpr),
                         NameOf);

TEST(SampledMfOptions, AreRefusedWhereWrongAndAFitStopsWhenAsked) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const auto field = [&](const SampledMfOptions& options) {
    return FieldViolations(FitSampledMf(data, options).status())[0].field;
  };
  EXPECT_EQ(field({.factors = 0}), "factors");
  EXPECT_EQ(field({.steps = 0}), "steps");
  EXPECT_EQ(field({.negatives = 0}), "negatives");
  EXPECT_EQ(field({.temperature = 0}), "temperature");
  EXPECT_EQ(field({.margin = 2}), "margin");
  EXPECT_EQ(field({.negative_weight = 0}), "negative_weight");
  EXPECT_EQ(field({.dropout = 1}), "dropout");
  EXPECT_EQ(field({.user_exponent = 2}), "user_exponent");
  EXPECT_EQ(field({.learning_rate = 0}), "learning_rate");
  EXPECT_EQ(field({.memory_limit = 1'000}), "memory_limit");
  const auto stopped = FitSampledMf(data, {.steps = 50}, [](double done) { return done < 0.5; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning

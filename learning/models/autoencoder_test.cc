#include "learning/models/autoencoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/models/autoencoder_step.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

AutoencoderOptions Small() {
  return {.weighting = {.scale = Weighting::Scale::kLinear}, .factors = 8, .steps = 300};
}

TEST(Autoencoder, ItsGradientIsWhatFiniteDifferencesSay) {
  const Interactions data = MakeInteractions(TestEvents(6, 10, 3), 6, 10).value();
  const AutoencoderShape shape{10, 4};
  Random random(7);
  std::vector<float> parameters(shape.Size());
  for (float& parameter : parameters) parameter = static_cast<float>(random.Normal() * 0.5);
  const std::vector<uint32_t> users = {0, 2, 5};
  const std::vector<float> weights = {1, 0.5, 2};
  std::vector<UserInput> input(3);
  for (size_t u = 0; u < 3; ++u) {
    const Interactions::Row row = data.row(users[u]);
    input[u].items.assign(row.items.begin(), row.items.end() - 1);
    for (size_t i = 0; i < input[u].items.size(); ++i) input[u].values.push_back(0.4F);
  }
  AutoencoderStep step(shape, 3, 1);
  std::vector<float> gradient, ignored;
  step.Loss(parameters, data, {users, weights, input}, gradient);
  ASSERT_EQ(gradient.size(), shape.Size());
  constexpr float kStep = 1e-2F;
  double largest = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    std::vector<float> moved = parameters;
    moved[i] += kStep;
    const double above = step.Loss(moved, data, {users, weights, input}, ignored);
    moved[i] -= 2 * kStep;
    const double below = step.Loss(moved, data, {users, weights, input}, ignored);
    EXPECT_NEAR(gradient[i], (above - below) / (2.0 * kStep), 2e-3) << i;
    largest = std::max<double>(largest, std::abs(gradient[i]));
  }
  EXPECT_GT(largest, 0.5);
}

TEST(Autoencoder, LearnsWhatGoesTogether) {
  const Interactions data = MakeInteractions(TestEvents(300, 24, 1), 300, 24).value();
  const auto model = FitAutoencoder(data, Small());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->kind(), "autoencoder");
  // Of one taste there are the first twelve items, of the other the last.
  const std::vector<float> scores =
      ScoresOf(*model, std::vector<HistoryItem>{{.item = 1}, {.item = 4}}, 0);
  double same = 0, other = 0;
  for (size_t item = 0; item < 24; ++item) (item < 12 ? same : other) += scores[item];
  EXPECT_GT(same, other + 6);
}

TEST(Autoencoder, ThreadsChangeNoMoreThanRounding) {
  const Interactions data = MakeInteractions(TestEvents(200, 24, 1), 200, 24).value();
  AutoencoderOptions options = Small();
  options.steps = 20;
  const auto one = FitAutoencoder(data, options);
  const auto again = FitAutoencoder(data, options);
  options.threads = 2;
  const auto two = FitAutoencoder(data, options);
  ASSERT_TRUE(one.ok() && again.ok() && two.ok());
  const std::vector<HistoryItem> history = {{.item = 2}, {.item = 9, .weight = 2}};
  EXPECT_EQ(ScoresOf(*one, history, 0), ScoresOf(*again, history, 0));
  EXPECT_THAT(ScoresOf(*two, history, 0),
              testing::Pointwise(testing::FloatNear(1e-4), ScoresOf(*one, history, 0)));
}

TEST(Autoencoder, AnswersAHistoryThatItDoesNotKnow) {
  const Interactions data = MakeInteractions(TestEvents(200, 24, 1), 200, 24).value();
  const auto model = FitAutoencoder(data, Small());
  ASSERT_TRUE(model.ok()) << model.status();
  for (const std::vector<HistoryItem>& history :
       {std::vector<HistoryItem>{}, std::vector<HistoryItem>{{.item = 900}}}) {
    for (const float score : ScoresOf(*model, history, 0)) EXPECT_TRUE(std::isfinite(score));
  }
}

TEST(Autoencoder, RefusesWhatIsWrongAndStopsWhenAsked) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const auto field = [&](AutoencoderOptions options) {
    return FieldViolations(FitAutoencoder(data, options).status())[0].field;
  };
  EXPECT_EQ(field({.factors = 0}), "factors");
  EXPECT_EQ(field({.steps = 0}), "steps");
  EXPECT_EQ(field({.dropout = 1}), "dropout");
  EXPECT_EQ(field({.user_exponent = 2}), "user_exponent");
  EXPECT_EQ(field({.learning_rate = 0}), "learning_rate");
  EXPECT_EQ(field({.memory_limit = 1'000}), "memory_limit");
  const auto stopped = FitAutoencoder(data, Small(), [](double done) { return done < 0.5; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning

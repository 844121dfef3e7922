#include "learning/models/low_pass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

constexpr Weighting kLinear{.scale = Weighting::Scale::kLinear};

// The formula of low_pass.h by Eigen's singular values: what the history of each user comes to.
Eigen::MatrixXd ClosedForm(const Interactions& data, int factors, double a, double b) {
  const auto users = static_cast<Eigen::Index>(data.users());
  const auto items = static_cast<Eigen::Index>(data.items());
  Eigen::MatrixXd x = Eigen::MatrixXd::Zero(users, items);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    for (size_t i = 0; i < row.size(); ++i)
      x(static_cast<Eigen::Index>(user), row.items[i]) = row.weights[i];
  }
  const Eigen::VectorXd d_u = x.rowwise().sum().array().pow(-a);
  const Eigen::VectorXd d_i = x.colwise().sum().transpose().array().pow(-b);
  const Eigen::MatrixXd n = d_u.asDiagonal() * x * d_i.asDiagonal();
  const Eigen::MatrixXd v =
      Eigen::JacobiSVD<Eigen::MatrixXd>(n, Eigen::ComputeThinV).matrixV().leftCols(factors);
  return x * d_i.asDiagonal() * v * v.transpose() * d_i.cwiseInverse().asDiagonal();
}

TEST(LowPass, IsTheClosedForm) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  for (const double exponent : {0.0, 0.5}) {
    const auto model = FitLowPass(data, {.weighting = kLinear,
                                         .factors = 5,
                                         .user_exponent = exponent,
                                         .item_exponent = exponent,
                                         .iterations = 60});
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(model->dimension(), 5u);
    const Eigen::MatrixXd expected = ClosedForm(data, 5, exponent, exponent);
    for (size_t user = 0; user < 60; ++user) {
      const std::vector<float> scores = ScoresOf(*model, HistoryOf(data, user), 0);
      for (size_t item = 0; item < 24; ++item)
        EXPECT_NEAR(scores[item], expected(static_cast<Eigen::Index>(user), item), 1e-3);
    }
  }
}

TEST(LowPass, AllDirectionsGiveTheHistoryBack) {
  const Interactions data = MakeInteractions(TestEvents(200, 12, 2), 200, 12).value();
  const auto model = FitLowPass(data, {.weighting = kLinear, .factors = 12});
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<float> scores = ScoresOf(*model, std::vector<HistoryItem>{{.item = 3}}, 0);
  for (size_t item = 0; item < 12; ++item) EXPECT_NEAR(scores[item], item == 3 ? 1 : 0, 1e-4);
}

TEST(LowPass, TheOrderOfUsersChangesNoScore) {
  const std::vector<Interaction> events = TestEvents(60, 24, 3);
  std::vector<Interaction> turned = events;
  for (Interaction& event : turned) event.user = 59 - event.user;
  const LowPassOptions options{.weighting = kLinear, .factors = 4, .iterations = 40};
  const auto one = FitLowPass(*MakeInteractions(events, 60, 24), options);
  const auto other = FitLowPass(*MakeInteractions(turned, 60, 24), options);
  const std::vector<HistoryItem> history = {{.item = 3}, {.item = 8}};
  const std::vector<float> a = ScoresOf(*one, history, 0);
  const std::vector<float> b = ScoresOf(*other, history, 0);
  for (size_t item = 0; item < 24; ++item) EXPECT_NEAR(a[item], b[item], 2e-3);
}

TEST(LowPass, ReasonsAreOfTheHistoryAndItemsNobodyHadScoreNothing) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 26).value();
  const auto model = FitLowPass(data, {.factors = 4});
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<HistoryItem> history = {{.item = 3}, {.item = 900}, {.item = 25}};
  const std::vector<float> scores = ScoresOf(*model, history, 0);
  EXPECT_EQ(scores[25], 0);
  const auto reasons = model->Explain(history, 0, std::vector<uint32_t>{4, 25});
  EXPECT_EQ(reasons[0].has_value(), scores[4] > 0);
  EXPECT_EQ(reasons[0].value_or(3), 3u);
  EXPECT_EQ(reasons[1], std::nullopt);
}

TEST(LowPass, RefusesWhatIsWrongAndStopsWhenAsked) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const auto field = [&](const LowPassOptions& options) {
    return FieldViolations(FitLowPass(data, options).status())[0].field;
  };
  EXPECT_EQ(field({.factors = 0}), "factors");
  EXPECT_EQ(field({.factors = 2'000}), "factors");
  EXPECT_EQ(field({.user_exponent = -1}), "user_exponent");
  EXPECT_EQ(field({.item_exponent = std::nan("")}), "item_exponent");
  EXPECT_EQ(field({.iterations = 0}), "iterations");
  EXPECT_EQ(field({.threads = 0}), "threads");
  EXPECT_EQ(field({.memory_limit = 100}), "memory_limit");
  EXPECT_EQ(FitLowPass(data, {}, [](double) { return false; }).status().code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning

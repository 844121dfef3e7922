#include "learning/models/als.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <numeric>

#include "learning/models/als_step.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

constexpr AlsOptions kOptions{.weighting = {.scale = Weighting::Scale::kLinear, .half_life = 0},
                              .factors = 8,
                              .iterations = 5};

Eigen::VectorXd Row(std::span<const float> values, size_t row, size_t dimension) {
  return Eigen::Map<const Eigen::VectorXf>(values.data() + row * dimension,
                                           static_cast<Eigen::Index>(dimension))
      .cast<double>();
}

// The matrix (a G + H'CH + r I) of one row, literally.
Eigen::MatrixXd DenseSystem(std::span<const float> fixed, size_t dimension,
                            const Interactions::Row& row, double unobserved_weight, double ridge) {
  const auto size = static_cast<Eigen::Index>(dimension);
  Eigen::MatrixXd a = ridge * Eigen::MatrixXd::Identity(size, size);
  for (size_t i = 0; i < fixed.size() / dimension; ++i) {
    a += unobserved_weight * Row(fixed, i, dimension) * Row(fixed, i, dimension).transpose();
  }
  for (size_t i = 0; i < row.size(); ++i) {
    const Eigen::VectorXd h = Row(fixed, row.items[i], dimension);
    a += row.weights[i] * h * h.transpose();
  }
  return a;
}

Eigen::VectorXd DenseRightSide(std::span<const float> fixed, size_t dimension,
                               const Interactions::Row& row) {
  Eigen::VectorXd b = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(dimension));
  for (size_t i = 0; i < row.size(); ++i) {
    b += row.weights[i] * Row(fixed, row.items[i], dimension);
  }
  return b;
}

TEST(AlsHalfStep, SolvesEveryRowAsTheDenseSystemDoes) {
  constexpr size_t kDimension = 6;
  const Interactions data =
      MakeInteractions(TestEvents(40, 20, 3), 41, 20).value();  // one has none
  Random random(9);
  Factors items{std::vector<float>(20 * kDimension), 20};
  for (float& value : items.values) {
    value = static_cast<float>(0.3 * random.Normal());
  }
  const AlsRegularisation regularisation{.regularisation = 0.02, .base = 0.3 * 20, .exponent = 0.7};
  for (const int cg_steps : {0, 50}) {
    Factors fixed = items;
    Factors users{std::vector<float>(41 * kDimension, 1.0F), 41};
    const std::vector<float> diagonal =
        RotateToEigenbasis(fixed, users, kDimension, 0.3, 1).value();
    SolveRows({.fixed = fixed.values,
               .diagonal = diagonal,
               .regularisation = regularisation,
               .cg_steps = cg_steps,
               .threads = 2},
              data, users);
    for (size_t user = 0; user < 41; ++user) {
      const Interactions::Row row = data.row(user);
      double weight = 0;
      for (const float w : row.weights) weight += w;
      const double ridge = 0.02 * std::pow(weight + 0.3 * 20, 0.7);
      // Scores do not depend on the basis, so they are compared in the one before the rotation.
      const Eigen::VectorXd w = DenseSystem(items.values, kDimension, row, 0.3, ridge)
                                    .ldlt()
                                    .solve(DenseRightSide(items.values, kDimension, row));
      for (size_t item = 0; item < 20; ++item) {
        EXPECT_NEAR(Row(users.values, user, kDimension).dot(Row(fixed.values, item, kDimension)),
                    w.dot(Row(items.values, item, kDimension)), 1e-4)
            << "user " << user << " item " << item << " steps " << cg_steps;
      }
    }
  }
}

TEST(Als, FoldsAUserInAsTheDenseSystemDoes) {
  const Interactions data = MakeInteractions(TestEvents(40, 20, 3), 40, 20).value();
  const AlsModel model = FitAls(data, kOptions).value();
  ASSERT_EQ(model.dimension(), 8);
  for (size_t user = 0; user < 40; ++user) {
    const Interactions::Row row = data.row(user);
    double weight = 0;
    for (const float w : row.weights) weight += w;
    const double a = kOptions.unobserved_weight;
    const double ridge = kOptions.regularisation * (weight + a * 20);
    const Eigen::VectorXd expected = DenseSystem(model.factors(), 8, row, a, ridge)
                                         .ldlt()
                                         .solve(DenseRightSide(model.factors(), 8, row));
    std::vector<float> folded(8);
    model.FoldIn(HistoryOf(data, user), 0, folded);
    EXPECT_LT((Row(folded, 0, 8) - expected).norm(), 1e-4 * (1 + expected.norm()));
    const std::vector<float> scores = ScoresOf(model, HistoryOf(data, user), 0);
    EXPECT_NEAR(scores[3], expected.dot(Row(model.factors(), 3, 8)), 1e-4);
  }
}

TEST(Als, LearnsTheTasteOfTheGroup) {
  const Interactions data = MakeInteractions(TestEvents(200, 20, 3), 200, 20).value();
  const AlsModel model = FitAls(data, kOptions).value();
  const std::vector<float> scores = ScoresOf(model, {{{.item = 1}, {.item = 2}}}, 0);
  const double own = std::accumulate(scores.begin(), scores.begin() + 10, 0.0);
  const double other = std::accumulate(scores.begin() + 10, scores.end(), 0.0);
  EXPECT_GT(own, 2 * other);
}

std::vector<float> FittedFactors(std::span<const Interaction> events, const AlsOptions& options) {
  const AlsModel model = FitAls(MakeInteractions(events, 200, 20).value(), options).value();
  return {model.factors().begin(), model.factors().end()};
}

TEST(Als, GivesTheSameBytesForASeedWhateverTheThreads) {
  const std::vector<Interaction> events = TestEvents(200, 20, 3);
  AlsOptions two = kOptions;
  two.threads = 2;
  AlsOptions reseeded = kOptions;
  reseeded.seed = 2;
  EXPECT_EQ(FittedFactors(events, kOptions), FittedFactors(events, kOptions));
  EXPECT_EQ(FittedFactors(events, kOptions), FittedFactors(events, two));
  EXPECT_NE(FittedFactors(events, kOptions), FittedFactors(events, reseeded));
}

TEST(Als, DoesNotDependOnTheOrderOfUsers) {
  const std::vector<Interaction> events = TestEvents(200, 20, 3);
  std::vector<Interaction> permuted = events;
  for (Interaction& event : permuted) {
    event.user = 199 - event.user;
  }
  const AlsModel a = FitAls(MakeInteractions(events, 200, 20).value(), kOptions).value();
  const AlsModel b = FitAls(MakeInteractions(permuted, 200, 20).value(), kOptions).value();
  const std::vector<HistoryItem> history = {{.item = 1}, {.item = 5}};
  const std::vector<float> first = ScoresOf(a, history, 0);
  const std::vector<float> second = ScoresOf(b, history, 0);
  for (size_t item = 0; item < 20; ++item) {
    EXPECT_NEAR(first[item], second[item], 1e-3);
  }
}

TEST(Als, TakesAnEventGivenTwiceAsOneOfDoubleWeight) {
  std::vector<Interaction> doubled = TestEvents(200, 20, 3);
  std::vector<Interaction> twice = doubled;
  twice.push_back(doubled[5]);
  doubled[5].weight *= 2;
  EXPECT_EQ(FittedFactors(twice, kOptions), FittedFactors(doubled, kOptions));
}

TEST(Als, ExplainsAScoreByTheHistoryItemThatAddedMost) {
  const Interactions data = MakeInteractions(TestEvents(40, 20, 3), 40, 20).value();
  const AlsModel model = FitAls(data, kOptions).value();
  const std::vector<HistoryItem> history = HistoryOf(data, 4);
  const Interactions::Row row = data.row(4);
  double weight = 0;
  for (const float w : row.weights) weight += w;
  const double a = kOptions.unobserved_weight;
  const Eigen::MatrixXd inverse =
      DenseSystem(model.factors(), 8, row, a, kOptions.regularisation * (weight + a * 20))
          .inverse();
  std::vector<uint32_t> items(20);
  std::iota(items.begin(), items.end(), 0);
  const auto reasons = model.Explain(history, 0, items);
  const std::vector<float> scores = ScoresOf(model, history, 0);
  for (uint32_t item = 0; item < 20; ++item) {
    double sum = 0;
    double best = 0;
    std::optional<uint32_t> expected;
    for (const HistoryItem& event : history) {
      const double share =
          event.weight *
          Row(model.factors(), item, 8).dot(inverse * Row(model.factors(), event.item, 8));
      sum += share;
      if (share > best) {
        best = share;
        expected = event.item;
      }
    }
    EXPECT_NEAR(sum, scores[item], 1e-4);  // the shares are all there is of the score
    EXPECT_EQ(reasons[item], expected);
  }
}

TEST(Als, OfAnEmptyOrForgottenHistoryScoresNothing) {
  const Interactions data = MakeInteractions(TestEvents(40, 20, 3), 40, 20).value();
  AlsOptions options = kOptions;
  options.weighting.half_life = kDay;
  const AlsModel model = FitAls(data, options).value();
  for (const std::vector<HistoryItem>& history :
       std::vector<std::vector<HistoryItem>>{{}, {{.item = 99}}, {{.item = 1, .time = 0}}}) {
    for (const float score : ScoresOf(model, history, int64_t{4'000'000'000})) {
      EXPECT_EQ(score, 0);
    }
  }
}

TEST(Als, StaysFiniteWhenMostOfTheDataHasAgedAway) {
  AlsOptions options = kOptions;
  options.weighting.half_life = 1;  // second; the events lie days apart
  for (const float factor : FittedFactors(TestEvents(200, 20, 3), options)) {
    ASSERT_TRUE(std::isfinite(factor));
  }
}

TEST(Als, StopsWhenAskedAndRefusesWhatItCannotDo) {
  const Interactions data = MakeInteractions(TestEvents(40, 20, 3), 40, 20).value();
  EXPECT_EQ(FitAls(data, kOptions, [](double done) { return done < 0.5; }).status().code(),
            StatusCode::kCancelled);
  struct Row {
    AlsOptions options;
    StatusCode code;
    std::string field;
  };
  for (const Row& row : std::vector<Row>{
           {{.weighting = {.half_life = -1}}, StatusCode::kInvalidArgument, "weighting.half_life"},
           {{.factors = 0}, StatusCode::kInvalidArgument, "factors"},
           {{.factors = 1025}, StatusCode::kInvalidArgument, "factors"},
           {{.iterations = 0}, StatusCode::kInvalidArgument, "iterations"},
           {{.unobserved_weight = 0}, StatusCode::kInvalidArgument, "unobserved_weight"},
           {{.regularisation = -1}, StatusCode::kInvalidArgument, "regularisation"},
           {{.frequency_exponent = -1}, StatusCode::kInvalidArgument, "frequency_exponent"},
           {{.cg_steps = -1}, StatusCode::kInvalidArgument, "cg_steps"},
           {{.threads = 2000}, StatusCode::kInvalidArgument, "threads"},
           {{.memory_limit = 1000}, StatusCode::kResourceExhausted, "memory_limit"}}) {
    const Status status = FitAls(data, row.options).status();
    EXPECT_EQ(status.code(), row.code) << status;
    ASSERT_EQ(FieldViolations(status).size(), 1) << status;
    EXPECT_EQ(FieldViolations(status)[0].field, row.field);
  }
}

}  // namespace
}  // namespace starling::learning

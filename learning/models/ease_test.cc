#include "learning/models/ease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>
#include <numeric>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

constexpr Weighting kLinear{.scale = Weighting::Scale::kLinear};
constexpr EaseOptions kOptions{.weighting = kLinear, .regularisation = 3, .neighbours = 0};

// Equation 8 of the paper, literally.
Eigen::MatrixXd ClosedForm(const Interactions& data, double regularisation) {
  const auto items = static_cast<Eigen::Index>(data.items());
  Eigen::MatrixXd x = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(data.users()), items);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    for (size_t i = 0; i < row.size(); ++i) {
      x(static_cast<Eigen::Index>(user), row.items[i]) = row.weights[i];
    }
  }
  const Eigen::MatrixXd p =
      (x.transpose() * x + regularisation * Eigen::MatrixXd::Identity(items, items)).inverse();
  Eigen::MatrixXd b = -p * p.diagonal().cwiseInverse().asDiagonal();
  b.diagonal().setZero();
  return b;
}

TEST(Ease, IsTheClosedForm) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  for (const double half_life : {0.0, 300'000.0}) {
    EaseOptions options = kOptions;
    options.weighting.half_life = half_life;
    const ItemToItemModel model = FitEase(data, options).value();
    const Eigen::MatrixXd expected =
        ClosedForm(data.Weighed(options.weighting, data.latest_time()), options.regularisation);
    for (uint32_t from = 0; from < 24; ++from) {
      for (uint32_t to = 0; to < 24; ++to) {
        EXPECT_NEAR(model.Weight(from, to), expected(from, to), 1e-5) << from << ' ' << to;
      }
    }
  }
}

TEST(Ease, ScoresAHistoryAsTheProductOfItsRowAndTheWeights) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const ItemToItemModel model = FitEase(data, kOptions).value();
  const Eigen::MatrixXd b = ClosedForm(data, 3);
  const std::vector<HistoryItem> history = {
      {.item = 3, .weight = 2}, {.item = 900}, {.item = 7}, {.item = 3, .weight = 1}};
  const std::vector<float> scores = ScoresOf(model, history, 0);
  for (uint32_t item = 0; item < 24; ++item) {
    EXPECT_NEAR(scores[item], 3 * b(3, item) + b(7, item), 1e-5);
  }
}

TEST(Ease, ExplainsAScoreByTheHistoryItemThatAddedMost) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const ItemToItemModel model = FitEase(data, kOptions).value();
  const std::vector<HistoryItem> history = {{.item = 3}, {.item = 7, .weight = 2}, {.item = 20}};
  std::vector<uint32_t> items(24);
  std::iota(items.begin(), items.end(), 0);
  const auto reasons = model.Explain(history, 0, items);
  for (uint32_t item = 0; item < 24; ++item) {
    std::optional<uint32_t> expected;
    float best = 0;
    for (const HistoryItem& event : history) {
      if (event.weight * model.Weight(event.item, item) > best) {
        best = event.weight * model.Weight(event.item, item);
        expected = event.item;
      }
    }
    EXPECT_EQ(reasons[item], expected);
  }
}

TEST(Ease, DoesNotDependOnTheOrderOfUsersOrOnTheThreads) {
  const std::vector<Interaction> events = TestEvents(60, 24, 1);
  std::vector<Interaction> permuted = events;
  for (Interaction& event : permuted) {
    event.user = 59 - event.user;
  }
  EaseOptions two = kOptions;
  two.threads = 2;
  const ItemToItemModel a = FitEase(MakeInteractions(events, 60, 24).value(), kOptions).value();
  const ItemToItemModel b = FitEase(MakeInteractions(permuted, 60, 24).value(), two).value();
  for (uint32_t from = 0; from < 24; ++from) {
    for (uint32_t to = 0; to < 24; ++to) {
      EXPECT_NEAR(a.Weight(from, to), b.Weight(from, to), 1e-6);
    }
  }
}

TEST(Ease, TakesAnEventGivenTwiceAsOneOfDoubleWeight) {
  std::vector<Interaction> doubled = TestEvents(60, 24, 1);
  std::vector<Interaction> twice = doubled;
  twice.push_back(doubled[5]);
  doubled[5].weight *= 2;
  const ItemToItemModel a = FitEase(MakeInteractions(twice, 60, 24).value(), kOptions).value();
  const ItemToItemModel b = FitEase(MakeInteractions(doubled, 60, 24).value(), kOptions).value();
  for (uint32_t to = 0; to < 24; ++to) {
    EXPECT_EQ(a.Weight(doubled[5].item, to), b.Weight(doubled[5].item, to));
  }
}

TEST(Ease, TheUserExponentWeighsWhoHasMuchLess) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  EaseOptions options = kOptions;
  options.user_exponent = 0.5;
  const ItemToItemModel model = FitEase(data, options).value();
  Eigen::MatrixXd x = Eigen::MatrixXd::Zero(60, 24);
  double mean = 0;
  for (uint32_t user = 0; user < 60; ++user) {
    for (size_t i = 0; i < data.row(user).size(); ++i)
      x(user, data.row(user).items[i]) = data.row(user).weights[i];
    mean += std::pow(x.row(user).sum(), 0.25) / 60;
    x.row(user) /= std::pow(x.row(user).sum(), 0.25);
  }
  Eigen::MatrixXd gram = mean * mean * x.transpose() * x;
  for (Eigen::Index i = 0; i < 24; ++i) gram(i, i) += options.regularisation;
  const Eigen::MatrixXd p = gram.inverse();
  for (uint32_t from = 0; from < 24; ++from) {
    for (uint32_t to = 0; to < 24; ++to) {
      if (from != to) EXPECT_NEAR(model.Weight(from, to), -p(from, to) / p(to, to), 1e-5);
    }
  }
  options.user_exponent = 2;
  EXPECT_EQ(FieldViolations(FitEase(data, options).status())[0].field, "user_exponent");
}

// With r = 1 the weights between items are those of the ridge regression without the constraint.
TEST(Ease, RelaxationIsTheRegressionWithoutTheConstraint) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  EaseOptions options = kOptions;
  options.relaxation = 1;
  const ItemToItemModel model = FitEase(data, options).value();
  Eigen::MatrixXd x = Eigen::MatrixXd::Zero(60, 24);
  for (uint32_t user = 0; user < 60; ++user) {
    for (size_t i = 0; i < data.row(user).size(); ++i)
      x(user, data.row(user).items[i]) = data.row(user).weights[i];
  }
  const Eigen::MatrixXd gram = x.transpose() * x;
  const Eigen::MatrixXd ridge =
      (gram + options.regularisation * Eigen::MatrixXd::Identity(24, 24)).inverse() * gram;
  options.relaxation = 2;
  const ItemToItemModel twice = FitEase(data, options).value();
  for (uint32_t from = 0; from < 24; ++from) {
    for (uint32_t to = 0; to < 24; ++to) {
      if (from == to) continue;
      EXPECT_NEAR(model.Weight(from, to), ridge(from, to), 1e-5) << from << ' ' << to;
      EXPECT_NEAR(twice.Weight(from, to), ridge(from, to) * (1 - ridge(to, to)), 1e-5);
    }
  }
  options.relaxation = 5;
  EXPECT_EQ(FieldViolations(FitEase(data, options).status())[0].field, "relaxation");
}

TEST(Ease, DropoutRegularisesPopularItemsMore) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  EaseOptions options = kOptions;
  options.dropout = 0.25;
  const ItemToItemModel model = FitEase(data, options).value();
  Eigen::MatrixXd x = Eigen::MatrixXd::Zero(60, 24);
  for (uint32_t user = 0; user < 60; ++user)
    for (size_t i = 0; i < data.row(user).size(); ++i)
      x(user, data.row(user).items[i]) = data.row(user).weights[i];
  Eigen::MatrixXd gram = x.transpose() * x;
  const Eigen::VectorXd diagonal = gram.diagonal();
  for (Eigen::Index i = 0; i < 24; ++i) gram(i, i) += options.regularisation + diagonal(i) / 3;
  const Eigen::MatrixXd p = gram.inverse();
  for (uint32_t from = 0; from < 24; ++from) {
    for (uint32_t to = 0; to < 24; ++to) {
      if (from != to) EXPECT_NEAR(model.Weight(from, to), -p(from, to) / p(to, to), 1e-5);
    }
  }
  options.dropout = 1;
  EXPECT_EQ(FieldViolations(FitEase(data, options).status())[0].field, "dropout");
}

TEST(Ease, KeepsTheLargestWeightsIntoEachItem) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  EaseOptions options = kOptions;
  options.neighbours = 5;
  const ItemToItemModel model = FitEase(data, options).value();
  const Eigen::MatrixXd b = ClosedForm(data, 3);
  EXPECT_EQ(model.weights(), 24 * 5);
  for (uint32_t to = 0; to < 24; ++to) {
    double least_kept = 1e9;
    double most_dropped = 0;
    for (uint32_t from = 0; from < 24; ++from) {
      const double weight = std::abs(b(from, to));
      if (model.Weight(from, to) != 0) {
        least_kept = std::min(least_kept, weight);
      } else {
        most_dropped = std::max(most_dropped, weight);
      }
    }
    EXPECT_GE(least_kept, most_dropped - 1e-6);
  }
}

TEST(Ease, ModelsTheMostPopularItemsOnly) {
  const std::vector<Interaction> events = {{.user = 0, .item = 0}, {.user = 0, .item = 2},
                                           {.user = 1, .item = 0}, {.user = 1, .item = 2},
                                           {.user = 1, .item = 1}, {.user = 2, .item = 4}};
  const ItemToItemModel model =
      FitEase(MakeInteractions(events, 3, 5).value(), {.regularisation = 1, .max_items = 2})
          .value();
  EXPECT_EQ(model.items(), 5);
  EXPECT_EQ(model.weights(), 2);
  EXPECT_NE(model.Weight(0, 2), 0);
  EXPECT_NE(model.Weight(2, 0), 0);
}

TEST(Ease, StopsWhenAskedAndRefusesWhatItCannotDo) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  std::vector<double> seen;
  EXPECT_EQ(FitEase(data, kOptions, [&](double) { return false; }).status().code(),
            StatusCode::kCancelled);
  EXPECT_TRUE(FitEase(data, kOptions, [&](double done) {
                seen.push_back(done);
                return true;
              }).ok());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 1);
  struct Row {
    EaseOptions options;
    StatusCode code;
    std::string field;
  };
  for (const Row& row : std::vector<Row>{
           {{.weighting = {.half_life = -1}}, StatusCode::kInvalidArgument, "weighting.half_life"},
           {{.regularisation = 0}, StatusCode::kInvalidArgument, "regularisation"},
           {{.max_items = 0}, StatusCode::kInvalidArgument, "max_items"},
           {{.neighbours = -1}, StatusCode::kInvalidArgument, "neighbours"},
           {{.threads = 0}, StatusCode::kInvalidArgument, "threads"},
           {{.memory_limit = 1000}, StatusCode::kResourceExhausted, "memory_limit"}}) {
    const Status status = FitEase(data, row.options).status();
    EXPECT_EQ(status.code(), row.code) << status;
    ASSERT_EQ(FieldViolations(status).size(), 1) << status;
    EXPECT_EQ(FieldViolations(status)[0].field, row.field);
  }
}

TEST(Ease, OfNoDataKnowsNothing) {
  const ItemToItemModel model = FitEase(MakeInteractions({}, 0, 3).value(), {}).value();
  EXPECT_THAT(ScoresOf(model, {{{.item = 1}}}, 0), testing::ElementsAre(0, 0, 0));
}

TEST(Ease, ScaledByARelaxationIsTheSameAsFittedWithIt) {
  const Interactions data = MakeInteractions(TestEvents(60, 30, 3), 60, 30).value();
  const EaseOptions options{.regularisation = 5, .dropout = 0.2, .neighbours = 0};
  EaseOptions relaxed_options = options;
  relaxed_options.relaxation = 1.5;
  const auto plain = FitEase(data, options);
  const auto relaxed = FitEase(data, relaxed_options);
  ASSERT_TRUE(plain.ok() && relaxed.ok());
  const auto scaled = plain->Relaxed(1.5);
  ASSERT_TRUE(scaled.ok()) << scaled.status();
  const std::vector<HistoryItem> history = HistoryOf(data, 7);
  EXPECT_EQ(ScoresOf(*scaled, history, 0), ScoresOf(*relaxed, history, 0));
  EXPECT_NE(ScoresOf(*scaled, history, 0), ScoresOf(*plain, history, 0));
  EXPECT_EQ(FieldViolations(plain->Relaxed(9).status())[0].field, "relaxation");
  EXPECT_EQ(relaxed->Relaxed(1).status().code(), StatusCode::kFailedPrecondition);
}

TEST(Ease, ScoresAreSumsOfWeightsHoweverManyAreKept) {
  const Interactions data = MakeInteractions(TestEvents(400, 700, 5), 400, 700).value();
  for (const int neighbours : {0, 650, 20}) {
    const auto model = FitEase(data, {.regularisation = 5, .neighbours = neighbours});
    ASSERT_TRUE(model.ok()) << model.status();
    const std::vector<HistoryItem> history = {{.item = 0}, {.item = 333}, {.item = 699}};
    const std::vector<float> scores = ScoresOf(*model, history, 0);
    for (uint32_t item = 0; item < 700; ++item) {
      const float sum =
          model->Weight(0, item) + model->Weight(333, item) + model->Weight(699, item);
      ASSERT_NEAR(scores[item], sum, 1e-6) << item << " with " << neighbours;
    }
  }
}

}  // namespace
}  // namespace starling::learning

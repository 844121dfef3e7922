#include "learning/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace starling::learning {
namespace {

constexpr float kTolerance = 1e-6F;

TEST(MeasureUser, AgreesWithValuesByHand) {
  // Hits at ranks 1 and 3 of 4; five items are relevant.
  const std::vector<uint32_t> ranked = {7, 1, 5, 2};
  const std::vector<uint32_t> relevant = {3, 5, 7, 8, 9};
  const UserMetrics metrics = MeasureUser(ranked, relevant, 4);
  EXPECT_NEAR(metrics[RankingMetric::kRecall], 2.0 / 5, kTolerance);
  EXPECT_NEAR(metrics[RankingMetric::kRecallCapped], 2.0 / 4, kTolerance);
  EXPECT_NEAR(metrics[RankingMetric::kPrecision], 2.0 / 4, kTolerance);
  EXPECT_NEAR(metrics[RankingMetric::kHitRate], 1, kTolerance);
  const double ideal = 1 + 1 / std::log2(3) + 0.5 + 1 / std::log2(5);  // four of the five fit
  EXPECT_NEAR(metrics[RankingMetric::kNdcg], (1 + 0.5) / ideal, kTolerance);
  EXPECT_NEAR(metrics[RankingMetric::kMap], (1 + 2.0 / 3) / 4, kTolerance);
  EXPECT_NEAR(metrics[RankingMetric::kMrr], 1, kTolerance);
}

TEST(MeasureUser, LooksNoFurtherThanK) {
  const UserMetrics metrics = MeasureUser({{1, 2, 3}}, {{3}}, 2);
  for (size_t metric = 0; metric < kRankingMetrics; ++metric) {
    EXPECT_EQ(metrics.values[metric], 0) << Name(static_cast<RankingMetric>(metric));
  }
}

TEST(MeasureUser, IsOneForAPerfectRanking) {
  const UserMetrics metrics = MeasureUser({{4, 2, 9, 1}}, {{2, 4}}, 4);
  EXPECT_EQ(metrics[RankingMetric::kRecall], 1);
  EXPECT_EQ(metrics[RankingMetric::kNdcg], 1);
  EXPECT_EQ(metrics[RankingMetric::kMap], 1);
  EXPECT_EQ(metrics[RankingMetric::kPrecision], 0.5);
  EXPECT_EQ(MeasureUser({{1, 2}}, {{2, 4}}, 4)[RankingMetric::kMrr], 0.5);
}

TEST(RankingEvaluation, AveragesOverUsersWithATestItem) {
  RankingEvaluation evaluation(2, 10);
  evaluation.Add({{0, 1}}, {{0}});
  evaluation.Add({{0, 2}}, {{3}});
  evaluation.Add({{4, 5}}, {});
  EXPECT_EQ(evaluation.users(), 2);
  EXPECT_EQ(evaluation.Mean(RankingMetric::kRecall), 0.5);
  EXPECT_DOUBLE_EQ(evaluation.Coverage(), 0.3);
  EXPECT_EQ(RankingEvaluation(2, 0).Mean(RankingMetric::kNdcg), 0);
  EXPECT_EQ(RankingEvaluation(2, 0).Coverage(), 0);
}

TEST(RankingEvaluation, CountsARelevantItemOutsideTheCatalogueAsMissed) {
  RankingEvaluation evaluation(2, 4);
  evaluation.Add({{0, 1}}, {{0, 99}});
  EXPECT_EQ(evaluation.Mean(RankingMetric::kRecall), 0.5);
}

TEST(RankingEvaluation, KeepsEachUsersMetricsAndListsInOrder) {
  RankingEvaluation evaluation(2, 10, RankingEvaluation::Lists::kKept);
  evaluation.Add({{0, 1, 2}}, {{0}});
  evaluation.Add({{9}}, {});
  evaluation.Add({}, {{3}});
  evaluation.Add({{4}}, {{4}});
  EXPECT_EQ(evaluation.OfUsers(RankingMetric::kRecall), (std::vector<float>{1, 0, 1}));
  EXPECT_EQ(evaluation.OfUsers(RankingMetric::kPrecision), (std::vector<float>{0.5F, 0, 0.5F}));
  ASSERT_EQ(evaluation.lists().size(), 3u);
  EXPECT_EQ(evaluation.lists()[0].size(), 2u) << "no further than k";
  EXPECT_TRUE(evaluation.lists()[1].empty());
  EXPECT_EQ(evaluation.lists()[2].front(), 4u);
  const auto all = evaluation.Bootstrap({});
  ASSERT_TRUE(all.ok());
  EXPECT_EQ((*all)[static_cast<size_t>(RankingMetric::kMrr)].low,
            evaluation.Bootstrap(RankingMetric::kMrr, {})->low);
  RankingEvaluation forgetful(2, 10);
  forgetful.Add({{0, 1}}, {{0}});
  EXPECT_EQ(forgetful.lists().size(), 0u);
}

TEST(Bootstrap, CoversTheMeanWithTheWidthOfTheBinomial) {
  RankingEvaluation evaluation(1, 2);
  for (int user = 0; user < 400; ++user) {
    evaluation.Add({{0}}, {{user % 4 == 0 ? 0U : 1U}});
  }
  const Interval interval =
      evaluation.Bootstrap(RankingMetric::kRecall, {.level = 0.95, .samples = 4000}).value();
  const double half_width = 1.96 * std::sqrt(0.25 * 0.75 / 400);
  EXPECT_EQ(interval.mean, 0.25);
  EXPECT_NEAR(interval.low, 0.25 - half_width, 0.004);
  EXPECT_NEAR(interval.high, 0.25 + half_width, 0.004);
}

TEST(Bootstrap, IsTheSameForASeedAndAnotherForAnother) {
  RankingEvaluation evaluation(10, 10);
  for (uint32_t user = 0; user < 50; ++user) {
    evaluation.Add({{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}}, {{user % 10}});
  }
  const auto low = [&](uint64_t seed) {
    return evaluation.Bootstrap(RankingMetric::kNdcg, {.level = 0.9, .samples = 99, .seed = seed})
        .value()
        .low;
  };
  EXPECT_EQ(low(1), low(1));
  EXPECT_NE(low(1), low(2));
}

TEST(Bootstrap, NamesTheOptionThatIsWrong) {
  RankingEvaluation evaluation(1, 2);
  EXPECT_EQ(evaluation.Bootstrap(RankingMetric::kNdcg, {}).status().code(),
            StatusCode::kFailedPrecondition);
  evaluation.Add({{0}}, {{0}});
  struct Row {
    BootstrapOptions options;
    std::string field;
  };
  for (const Row& row : std::vector<Row>{{{.level = 0}, "level"},
                                         {{.level = 1}, "level"},
                                         {{.samples = 0}, "samples"},
                                         {{.samples = 100'001}, "samples"}}) {
    const Status status = evaluation.Bootstrap(RankingMetric::kNdcg, row.options).status();
    ASSERT_EQ(FieldViolations(status).size(), 1);
    EXPECT_EQ(FieldViolations(status)[0].field, row.field);
  }
}

}  // namespace
}  // namespace starling::learning

#include "services/training/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/training/made_interactions.h"

namespace starling::training {
namespace {

using testing::HasSubstr;

constexpr int64_t kCut = kMadeEnd - int64_t{60} * 86'400;

Dataset Load(const std::vector<features::v1::UserInteractions>& users) {
  const TrainingConfig config;
  DatasetBuilder builder(config.weights.ByKind(), config.memory.count());
  for (const auto& user : users) EXPECT_EQ(builder.Add(user), OkStatus());
  return *std::move(builder).Finish();
}

StatusOr<Evaluation> MeasureAt(const Dataset& data, const EvaluationOptions& options) {
  return Evaluate(data, {}, options, [](double, const std::string&) { return true; });
}

TEST(Evaluation, MeasuresEveryAlgorithmOnWhatCameAfterTheCut) {
  const auto evaluation = MeasureAt(Load(MakeInteractions({})), {.cut = kCut});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_EQ(evaluation->cut, kCut);
  ASSERT_EQ(evaluation->models.size(), 8u);
  const EvaluatedModel& popularity = evaluation->models[0];
  EXPECT_EQ(popularity.name, "popularity");
  const EvaluatedModel& chosen = evaluation->models[7];
  EXPECT_EQ(chosen.name, "auto");
  EXPECT_GT(chosen.metrics.at(kNdcg), 2 * popularity.metrics.at(kNdcg)) << chosen.recipe;
  EXPECT_GT(evaluation->users.at("users"), 100);
}

// What comes after the cut may change the figures, and nothing else.
TEST(Evaluation, NothingAfterTheCutReachesAModel) {
  auto users = MakeInteractions({});
  const auto before = Before(Load(users), kCut);
  ASSERT_TRUE(before.ok()) << before.status();
  // Afterwards everybody buys what nobody bought before.
  for (auto& user : users) {
    for (int i = 0; i < user.product_ids_size(); ++i) {
      if (user.occurred_at(i) >= kCut) user.set_product_ids(i, "p-new");
    }
  }
  const Dataset other = Load(users);
  const auto evaluation =
      MeasureAt(other, {.cut = kCut, .algorithms = {Algorithm::kPopularity, Algorithm::kBlend}});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  ASSERT_EQ(evaluation->models.size(), 2u);
  for (const EvaluatedModel& model : evaluation->models) {
    EXPECT_EQ(model.metrics.at(kNdcg), 0) << model.name << " cannot know what nobody had";
  }
}

TEST(Evaluation, SaysWhatCannotBeMeasured) {
  const Dataset data = Load(MakeInteractions({}));
  EXPECT_THAT(ToString(MeasureAt(data, {.cut = kMadeEnd + 86'400}).status()),
              HasSubstr("cut at another day"));
  EXPECT_THAT(ToString(Before(data, data.oldest).status()), HasSubstr("nobody did anything"));
  const Status cancelled = Evaluate(data, {}, {.cut = kCut}, [](double done, const std::string&) {
                             return done < 0.3;
                           }).status();
  EXPECT_EQ(cancelled.code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::training

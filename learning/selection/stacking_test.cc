#include "learning/selection/stacking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "learning/models/item_knn.h"
#include "learning/models/popularity.h"
#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

// Candidates of made-up models: what is relevant, model 0 says half of the time and model 1 the
// other half, by the sign of a third that itself says nothing of the order.
CandidateScores Made(size_t users) {
  constexpr size_t kEach = 30;
  Random random(3);
  CandidateScores made{.models = 3, .item_counts = std::vector<uint32_t>(kEach, 5)};
  made.offsets.push_back(0);
  for (size_t user = 0; user < users; ++user) {
    const bool first = user % 3 == 0;
    for (uint32_t item = 0; item < kEach; ++item) {
      const bool relevant = random.Unit() < 0.1;
      const auto noise = [&] { return static_cast<float>(random.Normal()); };
      made.items.push_back(item);
      made.z.push_back(relevant && first ? 2 : noise());
      made.z.push_back(relevant && !first ? 2 : noise());
      made.z.push_back(first ? 1 : -1);
      made.relevant.push_back(relevant ? 1 : 0);
    }
    made.relevants.push_back(
        std::max(1U, static_cast<uint32_t>(
                         std::accumulate(made.relevant.end() - kEach, made.relevant.end(), 0))));
    made.known.push_back(4);
    made.offsets.push_back(made.items.size());
  }
  return made;
}

TEST(NdcgOf, IsTheDefinition) {
  CandidateScores made{.models = 1};
  made.offsets = {0, 3, 5};
  made.items = {4, 5, 6, 7, 8};
  made.relevant = {0, 1, 0, 1, 0};
  made.relevants = {1, 3};
  const std::vector<float> scores = {3, 2, 1, 9, 8};
  // The first user's hit comes second; of the second's three, two fit, one is there and first.
  const double first = 1 / std::log2(3);
  const double second = 1 / (1 + 1 / std::log2(3));
  EXPECT_NEAR(NdcgOf(made, scores, 2, 1), (first + second) / 2, 1e-6);
}

TEST(CollectCandidates, HasTheBestOfEachModelAndNothingKnown) {
  const Interactions data = MakeInteractions(TestEvents(60, 24, 1), 60, 24).value();
  const Interactions later = *WithoutKnown(*MakeInteractions(TestEvents(60, 24, 9), 60, 24), data);
  const Models models = {std::make_shared<PopularityModel>(*FitPopularity(data, {})),
                         std::make_shared<ItemToItemModel>(*FitItemKnn(data, {}))};
  const std::vector<uint32_t> users = {3, 17, 44};
  const CandidateScores found = CollectCandidates(models, data, later, users, 5, 2);
  ASSERT_EQ(found.users(), 3u);
  EXPECT_EQ(found.z.size(), found.items.size() * 2);
  for (size_t u = 0; u < users.size(); ++u) {
    EXPECT_GE(found.offsets[u + 1] - found.offsets[u], 5u);
    for (size_t c = found.offsets[u]; c < found.offsets[u + 1]; ++c) {
      EXPECT_FALSE(data.Contains(users[u], found.items[c]));
      EXPECT_EQ(found.relevant[c] != 0, later.Contains(users[u], found.items[c]));
    }
    EXPECT_EQ(found.relevants[u], later.row(users[u]).size());
  }
}

TEST(FindBlend, IsBetterThanEachOfItsModels) {
  const CandidateScores made = Made(600);
  const Blend blend = FindBlend(made, 5, 2);
  for (size_t m = 0; m < 2; ++m) {
    std::vector<float> alone;
    for (size_t c = 0; c < made.items.size(); ++c) alone.push_back(made.z[c * 3 + m]);
    EXPECT_GT(blend.ndcg, NdcgOf(made, alone, 5, 1));
    EXPECT_GT(blend.weights[m], 0);
  }
}

TEST(Stacking, FindsWhichModelIsRightForWhom) {
  const CandidateScores made = Made(1'200);
  const auto stacked = FitStacked(made, {.k = 5, .threads = 2});
  ASSERT_TRUE(stacked.ok()) << stacked.status();
  EXPECT_GT(stacked->ndcg, FindBlend(made, 5, 2).ndcg * 1.05) << "no sum can know the user";
  const std::vector<float> scores = ScoreStacked(stacked->trees, made, 2);
  EXPECT_EQ(scores, ScoreStacked(stacked->trees, made, 1));
  EXPECT_GE(NdcgOf(made, scores, 5, 1), stacked->ndcg) << "these users it saw";
}

TEST(Stacking, SaysWhenThereIsTooLittle) {
  EXPECT_EQ(FitStacked(Made(50), {}).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(FitStacked(Made(600), {}, [](double) { return false; }).status().code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning

#include "learning/blend.h"

#include <gtest/gtest.h>

namespace starling::learning {
namespace {

TEST(Blend, AddsWeightedScoresBetweenTheLowestAndTheHighestOfEachSource) {
  const std::vector<ScoredItem> personal = {{1, 30}, {2, 20}, {3, 10}};
  const std::vector<ScoredItem> popular = {{4, 900}, {2, 800}, {5, 700}};
  const std::vector<BlendSource> sources = {{.weight = 1, .candidates = personal},
                                            {.weight = 0.4, .candidates = popular}};
  const std::vector<BlendedItem> ranking = Blend(sources, {.k = 3});
  ASSERT_EQ(ranking.size(), 3);
  EXPECT_EQ(ranking[0].item, 1);
  EXPECT_EQ(ranking[0].score, 1);
  EXPECT_EQ(ranking[0].main_source, 0);
  EXPECT_EQ(ranking[1].item, 2);
  EXPECT_DOUBLE_EQ(ranking[1].score, 0.5 + 0.4 * 0.5);
  EXPECT_EQ(ranking[1].main_source, 0);
  EXPECT_EQ(ranking[2].item, 4);
  EXPECT_DOUBLE_EQ(ranking[2].score, 0.4);
  EXPECT_EQ(ranking[2].main_source, 1);
}

TEST(Blend, NamesTheSourceThatAddedMost) {
  const std::vector<ScoredItem> weak = {{1, 2}, {2, 1.9F}, {3, 0}};
  const std::vector<ScoredItem> strong = {{2, 5}};
  const std::vector<BlendedItem> ranking =
      Blend({{{.weight = 0.5, .candidates = weak}, {.weight = 1, .candidates = strong}}}, {.k = 1});
  EXPECT_EQ(ranking[0].item, 2);
  EXPECT_EQ(ranking[0].main_source, 1);
}

TEST(Blend, ByReciprocalRankForgetsTheScores) {
  const std::vector<ScoredItem> outlier = {{1, 1e6F}, {2, 1}};
  const std::vector<ScoredItem> other = {{2, 3}, {1, 2}};
  const std::vector<BlendedItem> ranking =
      Blend({{{.candidates = outlier}, {.candidates = other}}},
            {.normalisation = BlendOptions::Normalisation::kReciprocalRank});
  ASSERT_EQ(ranking.size(), 2);
  EXPECT_EQ(ranking[0].item, 1);  // the same score: by item
  EXPECT_DOUBLE_EQ(ranking[0].score, 1.0 / 61 + 1.0 / 62);
  EXPECT_DOUBLE_EQ(ranking[1].score, ranking[0].score);
}

TEST(Blend, OfNothingIsNothingAndEqualScoresCountFully) {
  EXPECT_TRUE(Blend({}, {}).empty());
  EXPECT_TRUE(Blend({{{.weight = 1}}}, {}).empty());
  const std::vector<ScoredItem> alike = {{7, 3}, {8, 3}};
  for (const BlendedItem& item : Blend({{{.weight = 2, .candidates = alike}}}, {})) {
    EXPECT_EQ(item.score, 2);
  }
}

}  // namespace
}  // namespace starling::learning

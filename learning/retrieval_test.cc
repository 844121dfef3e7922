#include "learning/retrieval.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "learning/random.h"

namespace starling::learning {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<ScoredItem> BySorting(std::span<const float> scores, const TopKOptions& options) {
  std::vector<ScoredItem> all;
  for (uint32_t item = 0; item < scores.size(); ++item) {
    const bool allowed =
        options.allowed.empty() || (item / 64 < options.allowed.size() &&
                                    (options.allowed[item / 64] >> (item % 64) & 1) == 1);
    if (allowed && std::ranges::find(options.excluded, item) == options.excluded.end()) {
      all.push_back({item, scores[item]});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const ScoredItem& a, const ScoredItem& b) { return a.score > b.score; });
  all.resize(std::min(all.size(), options.k));
  return all;
}

TEST(TopK, AgreesWithSortingWhateverTheSizesAndFilters) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> scores(random.Below(200));
    for (float& score : scores) {
      score = static_cast<float>(random.Below(20));  // many ties
    }
    std::vector<uint32_t> excluded(random.Below(30));
    for (uint32_t& item : excluded) {
      item = static_cast<uint32_t>(random.Below(250));
    }
    std::vector<uint64_t> allowed(round % 2 == 0 ? 0 : 3);
    for (uint64_t& word : allowed) {
      word = random.Next();
    }
    const TopKOptions options{.k = random.Below(40), .excluded = excluded, .allowed = allowed};
    EXPECT_EQ(TopK(scores, options), BySorting(scores, options)) << "round " << round;
  }
}

TEST(TopK, GivesNoItemWithoutAScore) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(TopK({{nan, 1, -infinity, 2}}, {.k = 4}),
              ElementsAre(ScoredItem{3, 2}, ScoredItem{1, 1}));
  EXPECT_THAT(TopK({}, {.k = 4}), IsEmpty());
  EXPECT_THAT(TopK({{1, 2}}, {.k = 0}), IsEmpty());
}

TEST(RetrieveTopK, RanksByTheInnerProductForAnyDimension) {
  Random random(2);
  for (const size_t dimension : {1, 3, 8, 15, 16, 17, 33, 64, 100}) {
    std::vector<float> factors(37 * dimension);
    std::vector<float> query(dimension);
    for (float& value : factors) value = static_cast<float>(random.Normal());
    for (float& value : query) value = static_cast<float>(random.Normal());
    std::vector<float> scores;
    const auto best = RetrieveTopK(factors, dimension, query, {.k = 5}, scores);
    std::vector<float> expected(37);
    for (size_t item = 0; item < 37; ++item) {
      double sum = 0;
      for (size_t f = 0; f < dimension; ++f) {
        sum += static_cast<double>(factors[item * dimension + f]) * query[f];
      }
      expected[item] = static_cast<float>(sum);
      EXPECT_NEAR(scores[item], sum, 1e-4);
    }
    const auto sorted = BySorting(expected, {.k = 5});
    ASSERT_EQ(best.size(), 5);
    for (size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(best[i].item, sorted[i].item);
    }
  }
}

}  // namespace
}  // namespace starling::learning

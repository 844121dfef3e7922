#include "learning/retrieval/top_k.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "learning/random.h"
#include "learning/retrieval/test_catalogue.h"

namespace starling::learning {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace starling::learning

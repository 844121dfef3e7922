#include "learning/math/bump_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "learning/math/parallel.h"

namespace starling::learning {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BumpRows, HoldWhatWasTakenInAnyOrder) {
  BumpRows<float> rows(3, 5);
  std::ranges::fill(rows.Take(2, 3), 2.0F);
  std::ranges::fill(rows.Take(0, 2), 7.0F);
  EXPECT_THAT(rows[0], ElementsAre(7, 7));
  EXPECT_THAT(rows[1], IsEmpty());
  EXPECT_THAT(rows[2], ElementsAre(2, 2, 2));
  EXPECT_EQ(rows.taken(), 5);
  EXPECT_EQ(rows.rows(), 3);
}

TEST(BumpRows, AreFilledByThreadsThatDoNotMeet) {
  BumpRows<uint32_t> rows(2'000, 20'000);
  ParallelFor(2'000, 4, 1, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row)
      std::ranges::fill(rows.Take(row, row % 20), static_cast<uint32_t>(row));
  });
  for (uint32_t row = 0; row < 2'000; ++row) {
    ASSERT_EQ(rows[row].size(), row % 20);
    ASSERT_THAT(rows[row], Each(row));
  }
}

TEST(BumpRowsDeathTest, EndsTheProcessWhenMoreIsTakenThanThereIs) {
  BumpRows<float> rows(2, 4);
  rows.Take(0, 3);
  EXPECT_DEATH(rows.Take(1, 2), "more than 4");
}

}  // namespace
}  // namespace starling::learning

// The scans, at every instruction set that this machine runs, against sorting all the scores.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "learning/retrieval/quantised_items.h"
#include "learning/retrieval/test_catalogue.h"

namespace starling::learning {
namespace {

using ::testing::IsEmpty;

constexpr size_t kDimensions[] = {1, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100, 128};
// Around the groups of eight rows and the blocks of the scan.
constexpr size_t kCounts[] = {1, 2, 7, 8, 9, 31, 32, 33, 63, 97, 500, 1200};

class Scan : public ::testing::TestWithParam<const ScanKernels*> {
 protected:
  const ScanKernels& kernels() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(EveryLevel, Scan, ::testing::ValuesIn(RunnableScanKernels()),
                         [](const auto& info) {
                           std::string name(info.param->name);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TEST_P(Scan, OfFloatsAgreesWithSortingForEveryShapeWithTiesAndFilters) {
  Random random(1);
  for (const size_t dimension : kDimensions) {
    for (const size_t count : kCounts) {
      const TestCatalogue made = WholeNumbers(count, dimension, random);
      for (size_t q = 0; q < made.query_count(); ++q) {
        const TestFilters filters(count, random);
        const TopKOptions options = q == 0 ? TopKOptions{.k = 10} : filters.Of(random.Below(40));
        EXPECT_EQ(RetrieveTopK(made.items(), made.query(q), options, kernels()),
                  BySorting(made.Scores(q), options))
            << count << " x " << dimension << ", k " << options.k;
      }
    }
  }
}

TEST_P(Scan, GivesRowsThatAreEqualTheSameScoreWhereverTheyStand) {
  Random random(3);
  for (const size_t dimension : {5, 64, 100}) {
    std::vector<float> row(dimension);
    std::vector<float> query(dimension);
    for (float& value : row) value = static_cast<float>(random.Normal());
    for (float& value : query) value = static_cast<float>(random.Normal());
    std::vector<float> values;
    for (int i = 0; i < 61; ++i) values.insert(values.end(), row.begin(), row.end());
    const auto best = RetrieveTopK({values, dimension}, query, {.k = 61}, kernels());
    ASSERT_EQ(best.size(), 61);
    for (uint32_t i = 0; i < 61; ++i) EXPECT_EQ(best[i], (ScoredItem{i, best[0].score}));
  }
}

TEST_P(Scan, ScoresNormalFactorsAsDoublesDo) {
  Random random(4);
  for (const size_t dimension : kDimensions) {
    TestCatalogue made = Shop(300, dimension, 3, random);
    for (size_t q = 0; q < 3; ++q) {
      const std::vector<float> scores = made.Scores(q);
      const auto best = RetrieveTopK(made.items(), made.query(q), {.k = 300}, kernels());
      ASSERT_EQ(best.size(), 300);
      for (const ScoredItem& each : best) {
        EXPECT_NEAR(each.score, scores[each.item], 1e-4 * (1 + std::abs(scores[each.item])));
      }
    }
  }
}

TEST_P(Scan, GivesNoItemWithoutAScore) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  Random random(5);
  for (const size_t dimension : {1, 9, 64}) {
    TestCatalogue made = WholeNumbers(100, dimension, random);
    made.queries.assign(dimension, 1.0F);
    for (size_t item = 0; item < 100; item += 3) made.values[item * dimension] = nan;
    for (size_t item = 1; item < 100; item += 7) made.values[item * dimension] = -infinity;
    const auto best = RetrieveTopK(made.items(), made.query(0), {.k = 100}, kernels());
    EXPECT_EQ(best, BySorting(made.Scores(0), {.k = 100}));
    EXPECT_LT(best.size(), 67);
    // A query that has none says nothing of any item.
    made.queries[dimension - 1] = nan;
    EXPECT_THAT(RetrieveTopK(made.items(), made.query(0), {.k = 100}, kernels()), IsEmpty());
  }
}

TEST_P(Scan, OfNothingIsNothing) {
  const std::vector<float> query(8, 1.0F);
  EXPECT_THAT(RetrieveTopK({{}, 8}, query, {.k = 5}, kernels()), IsEmpty());
  EXPECT_THAT(RetrieveTopK({{}, 0}, {}, {.k = 5}, kernels()), IsEmpty());
}

TEST_P(Scan, MultipliesBytesAsWholeNumbersDo) {
  Random random(7);
  for (const size_t stride : {32, 64, 128}) {
    std::vector<int8_t> codes(50 * stride);
    for (int8_t& code : codes)
      code = static_cast<int8_t>(static_cast<int>(random.Below(255)) - 127);
    // The largest products that there are, of either sign.
    std::fill_n(codes.begin(), stride, int8_t{127});
    std::fill_n(codes.begin() + static_cast<ptrdiff_t>(stride), stride, int8_t{-127});
    for (const uint32_t of : {0, 1, 2, 3}) {
      const int8_t* query = codes.data() + of * stride;
      for (const size_t count : {1, 3, 8, 13}) {
        std::vector<uint32_t> rows = {0, 1};
        while (rows.size() < count) rows.push_back(static_cast<uint32_t>(random.Below(50)));
        rows.resize(count);
        std::vector<int32_t> dots(count + 1, 77);
        kernels().dot_codes(codes.data(), stride, rows.data(), count, query, dots.data());
        for (size_t i = 0; i < count; ++i) {
          int32_t sum = 0;
          for (size_t f = 0; f < stride; ++f) sum += codes[rows[i] * stride + f] * query[f];
          EXPECT_EQ(dots[i], sum) << "row " << rows[i] << " of " << stride;
        }
        EXPECT_EQ(dots[count], 77);  // nothing is written behind the last
      }
    }
  }
}

TEST(QuantisedItems, KeepsItemsByDescendingNorm) {
  const std::vector<float> values = {1, 0, 0, 0, 3, -4, 2, 2};
  const QuantisedItems codes = QuantisedItems::Make({values, 2});
  EXPECT_THAT(codes.item(), ::testing::ElementsAre(2, 3, 0, 1));
  EXPECT_FLOAT_EQ(codes.norms()[0], 5);
  EXPECT_EQ(codes.codes()[1], -127);
  EXPECT_FLOAT_EQ(codes.scales()[0] * 127, 4);
}

}  // namespace
}  // namespace starling::learning

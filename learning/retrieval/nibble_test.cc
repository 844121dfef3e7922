// Scans over half bytes, at every instruction set that this machine runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "learning/retrieval/best_items.h"
#include "learning/retrieval/nibble_items.h"
#include "learning/retrieval/test_catalogue.h"

namespace starling::learning {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr size_t kDimensions[] = {1, 2, 3, 4, 5, 7, 16, 31, 33, 64, 65, 100, 128, 300};
// Around the blocks of 32 rows and the stretches of the scan.
constexpr size_t kCounts[] = {1, 2, 31, 32, 33, 63, 97, 500, 1200};

class NibbleScan : public ::testing::TestWithParam<const ScanKernels*> {
 protected:
  const ScanKernels& kernels() const { return *GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(EveryLevel, NibbleScan, ::testing::ValuesIn(RunnableScanKernels()),
                         [](const auto& info) {
                           std::string name(info.param->name);
                           std::erase_if(name, [](char c) { return std::isalnum(c) == 0; });
                           return name;
                         });

TestCatalogue Normal(size_t items, size_t dimension, size_t queries, Random& random) {
  TestCatalogue made;
  made.dimension = dimension;
  made.values.resize(items * dimension);
  made.queries.resize(queries * dimension);
  for (float& value : made.values) value = static_cast<float>(random.Normal());
  for (float& value : made.queries) value = static_cast<float>(random.Normal());
  return made;
}

double MeanRecall(const TestCatalogue& made, size_t keep, const ScanKernels& kernels) {
  const NibbleItems codes = NibbleItems::Make(made.items());
  NibbleQuery scratch;
  double recall = 0;
  for (size_t q = 0; q < made.query_count(); ++q) {
    const auto found =
        codes.Retrieve(made.items(), made.query(q), {.k = 10}, keep, scratch, kernels);
    EXPECT_EQ(found.size(), 10);
    recall += RecallOf(found, RetrieveTopK(made.items(), made.query(q), {.k = 10}));
  }
  return recall / static_cast<double>(made.query_count());
}

TEST_P(NibbleScan, AgreesWithSortingWhereAllAreKeptForEveryShapeWithTiesAndFilters) {
  Random random(2);
  for (const size_t dimension : kDimensions) {
    for (const size_t count : kCounts) {
      const TestCatalogue made = WholeNumbers(count, dimension, random);
      const NibbleItems codes = NibbleItems::Make(made.items());
      NibbleQuery scratch;
      for (size_t q = 0; q < made.query_count(); ++q) {
        const TestFilters filters(count, random);
        const TopKOptions options = q == 0 ? TopKOptions{.k = 10} : filters.Of(random.Below(40));
        EXPECT_EQ(codes.Retrieve(made.items(), made.query(q), options, count, scratch, kernels()),
                  BySorting(made.Scores(q), options))
            << count << " x " << dimension << ", k " << options.k;
      }
    }
  }
}

// Codes and query bytes as large as they may be, of either sign, so that sums wrap on the way.
TEST_P(NibbleScan, GivesWhatWholeNumbersGiveToTheLastBit) {
  Random random(8);
  for (const size_t steps : {1, 2, 3, 16, 17, 64}) {
    for (const size_t blocks : {1, 2, 5}) {
      for (const bool extreme : {false, true}) {
        std::vector<NibbleStep> codes(blocks * steps);
        for (NibbleStep& step : codes) {
          for (uint8_t& byte : step.bytes)
            byte = extreme ? (random.Below(2) == 0 ? 0x00 : 0xFF)
                           : static_cast<uint8_t>(random.Below(256));
        }
        const size_t rows = blocks * kNibbleRows;
        std::vector<float> scales(rows);
        for (float& scale : scales) scale = static_cast<float>(random.Normal());
        // |byte - 136| <= 136 and |half - 8| <= 8, each of 2 steps.
        const int most_byte = static_cast<int>(std::min<size_t>(64, kLargestSum / 272 / steps));
        const int most_lower = static_cast<int>(std::min<size_t>(127, kLargestSum / 16 / steps));
        std::vector<int8_t> bytes(steps * kNibbleStep);
        NibbleBytes query{.bytes = bytes.data(), .ratio = 7};
        for (size_t f = 0; f < bytes.size(); ++f) {
          const bool lower = f % kNibbleStep < 2;
          const int most = lower ? most_lower : most_byte;
          const int value =
              extreme ? (random.Below(2) == 0 ? most : -most)
                      : static_cast<int>(random.Below(2 * static_cast<uint64_t>(most) + 1)) - most;
          bytes[f] = static_cast<int8_t>(value);
          (lower ? query.lower_sum : query.byte_sum) += value;
        }
        std::vector<float> expected(rows);
        for (size_t row = 0; row < rows; ++row) {
          int dot = 0;
          for (size_t step = 0; step < steps; ++step) {
            for (size_t i = 0; i < 2; ++i) {
              const int byte =
                  codes[row / kNibbleRows * steps + step].bytes[2 * (row % kNibbleRows) + i];
              dot += (byte - 136) * bytes[step * kNibbleStep + 2 + i];
              dot += 7 * ((byte % 16) - 8) * bytes[step * kNibbleStep + i];
            }
          }
          expected[row] = scales[row] * static_cast<float>(dot);
        }
        std::vector<float> scores(rows);
        std::vector<uint32_t> above(rows);
        above.resize(kernels().scan_nibbles({codes.data(), scales.data(), steps}, blocks, query,
                                            expected[3], scores.data(), above.data()));
        EXPECT_EQ(scores, expected) << blocks << " x " << steps;
        std::vector<uint32_t> higher;
        for (uint32_t row = 0; row < rows; ++row) {
          if (expected[row] > expected[3]) higher.push_back(row);
        }
        EXPECT_EQ(above, higher);
      }
    }
  }
}

// Where all codes are as large as can be, no query may bring a sum beyond 16 bits; and all levels
// then agree with plain code, which has 32.
TEST_P(NibbleScan, NoQueryBringsASumBeyondItsBits) {
  Random random(9);
  for (const size_t dimension : {4, 64, 500}) {
    TestCatalogue made = Normal(64, dimension, 20, random);
    for (float& value : made.values) value = value > 0 ? 7.0F : -8.0F;
    for (size_t f = 0; f < dimension; ++f)
      made.queries[f] = made.values[f];  // as parallel as it gets
    const NibbleItems codes = NibbleItems::Make(made.items());
    NibbleQuery scratch;
    for (size_t q = 0; q < made.query_count(); ++q) {
      codes.Encode(made.query(q), scratch);
      ASSERT_GT(scratch.scale, 0);
      for (size_t row = 0; row < codes.rows(); ++row) {
        int lower = 0, whole = 0;
        for (size_t f = 0; f < dimension; ++f) {
          const bool upper = f % kNibbleStep >= 2;
          if (!upper) lower += codes.code(row, f) * scratch.bytes[f];
          whole += codes.code(row, f) * scratch.bytes[upper ? f : f + 2] * (upper ? 16 : 1);
        }
        ASSERT_LE(std::abs(lower), kLargestSum);
        ASSERT_LE(std::abs(whole), kLargestSum);
      }
      const TopKOptions five{.k = 5};
      const auto found = codes.Retrieve(made.items(), made.query(q), five, 5, scratch, kernels());
      const auto plain =
          codes.Retrieve(made.items(), made.query(q), five, 5, scratch, *RunnableScanKernels()[0]);
      ASSERT_EQ(found.size(), 5);
      for (size_t i = 0; i < 5; ++i) EXPECT_EQ(found[i].item, plain[i].item);
    }
  }
}

TEST_P(NibbleScan, ScoresAreNearThoseOfTheFactors) {
  Random random(10);
  for (const size_t dimension : {3, 64, 130}) {
    const TestCatalogue made = Normal(200, dimension, 20, random);
    const NibbleItems codes = NibbleItems::Make(made.items());
    NibbleQuery scratch;
    double error = 0, size = 0;
    for (size_t q = 0; q < made.query_count(); ++q) {
      codes.Encode(made.query(q), scratch);
      const std::vector<float> exact = made.Scores(q);
      for (size_t row = 0; row < codes.rows(); ++row) {
        double score = 0;
        for (size_t f = 0; f < dimension; ++f)
          score += codes.code(row, f) * codes.scales()[row] * made.query(q)[f];
        error += std::pow(score - exact[codes.item()[row]], 2);
        size += std::pow(exact[codes.item()[row]], 2);
      }
    }
    EXPECT_LT(std::sqrt(error / size), 0.12) << dimension;
  }
}

TEST_P(NibbleScan, FindsWhatTheFactorsFind) {
  Random random(6);
  EXPECT_GE(MeanRecall(Shop(5'000, 64, 100, random), 40, kernels()), 0.99);
  EXPECT_GE(MeanRecall(Normal(5'000, 64, 100, random), 40, kernels()), 0.99);
  EXPECT_GE(MeanRecall(Normal(5'000, 50, 100, random), 40, kernels()), 0.99);
  EXPECT_GE(MeanRecall(Normal(3'000, 256, 50, random), 80, kernels()), 0.99);
}

// One item, and then every one, has a value that leaves its others few codes or none.
TEST_P(NibbleScan, FindsWhatTheFactorsFindBesideAnOutlier) {
  Random random(11);
  TestCatalogue one = Normal(3'000, 64, 50, random);
  one.values[77 * 64 + 5] = 1e6F;
  EXPECT_GE(MeanRecall(one, 40, kernels()), 0.99);
  TestCatalogue all = Normal(3'000, 64, 50, random);
  for (size_t item = 0; item < 3'000; ++item) all.values[item * 64 + 5] = 5;
  EXPECT_GE(MeanRecall(all, 80, kernels()), 0.99);
}

TEST_P(NibbleScan, GivesEqualItemsByTheirNumbers) {
  Random random(12);
  const TestCatalogue made = Normal(1, 40, 1, random);
  std::vector<float> values;
  for (int i = 0; i < 500; ++i) values.insert(values.end(), made.values.begin(), made.values.end());
  const ItemFactors items{values, 40};
  const NibbleItems codes = NibbleItems::Make(items);
  NibbleQuery scratch;
  std::vector<float> query(made.values);  // a score above 0
  const auto found = codes.Retrieve(items, query, {.k = 12}, 24, scratch, kernels());
  ASSERT_EQ(found.size(), 12);
  for (uint32_t i = 0; i < 12; ++i) EXPECT_EQ(found[i], (ScoredItem{i, found[0].score}));
}

TEST_P(NibbleScan, OfZerosAndOfNothing) {
  Random random(13);
  TestCatalogue made = Normal(70, 9, 2, random);
  std::fill_n(made.values.begin(), 60 * 9, 0.0F);  // the rest are 60 to 69
  const NibbleItems codes = NibbleItems::Make(made.items());
  NibbleQuery scratch;
  const TopKOptions all{.k = 70};
  EXPECT_EQ(codes.Retrieve(made.items(), made.query(0), all, 70, scratch, kernels()),
            RetrieveTopK(made.items(), made.query(0), all, kernels()));
  const std::vector<float> zero(9);
  EXPECT_EQ(codes.Retrieve(made.items(), zero, {.k = 3}, 6, scratch, kernels()),
            (std::vector<ScoredItem>{{0, 0}, {1, 0}, {2, 0}}));
  EXPECT_THAT(codes.Retrieve(made.items(), made.query(0), {.k = 0}, 6, scratch, kernels()),
              IsEmpty());
  EXPECT_THAT(NibbleItems::Make({{}, 9}).Retrieve({{}, 9}, zero, {.k = 5}, 20, scratch, kernels()),
              IsEmpty());
  // A query with a value that is no number says nothing of any item.
  std::vector<float> none(9, 1.0F);
  none[8] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(codes.Retrieve(made.items(), none, {.k = 5}, 20, scratch, kernels()), IsEmpty());
}

// 16 bits have no room for so many values: all factors are read.
TEST_P(NibbleScan, OfVeryLongRowsIsExact) {
  Random random(14);
  TestCatalogue made = Normal(40, 3'000, 1, random);
  for (float& value : made.values) value = value > 0 ? 7.0F : -8.0F;
  const NibbleItems codes = NibbleItems::Make(made.items());
  NibbleQuery scratch;
  EXPECT_EQ(codes.Retrieve(made.items(), made.query(0), {.k = 5}, 5, scratch, kernels()),
            RetrieveTopK(made.items(), made.query(0), {.k = 5}, kernels()));
  EXPECT_EQ(scratch.scale, 0);
}

TEST(NibbleItems, KeepsItemsByDescendingNormAndUsesAllCodes) {
  const std::vector<float> values = {1, 0, 0, 0, 3, -4, 2, 2};
  const NibbleItems codes = NibbleItems::Make({values, 2});
  EXPECT_THAT(codes.item(), ElementsAre(2, 3, 0, 1));
  EXPECT_EQ(codes.code(0, 0), 6);
  EXPECT_EQ(codes.code(0, 1), -8);
  EXPECT_FLOAT_EQ(codes.scales()[0], 0.5);
  EXPECT_EQ(codes.code(1, 0), -8);
  EXPECT_FLOAT_EQ(codes.scales()[1], -0.25);
  EXPECT_EQ(codes.scales()[3], 0);
}

TEST(BestOfMany, KeepsWhatSortingKeeps) {
  Random random(15);
  for (const size_t k : {1, 2, 20, 127, 129, 400}) {
    for (const size_t count : {k, 2 * k, 10 * k}) {
      BestOfMany best(k);
      std::vector<float> scores;
      for (uint32_t item = 0; item < count; ++item) {
        scores.push_back(static_cast<float>(random.Below(k)));  // many are the same
        if (scores.back() > best.bar()) best.Add(item, scores.back());
      }
      std::vector<ScoredItem> kept = best.Take();
      std::sort(kept.begin(), kept.end(), Before);
      EXPECT_EQ(kept, BySorting(scores, {.k = k})) << k << " of " << count;
    }
  }
}

}  // namespace
}  // namespace starling::learning

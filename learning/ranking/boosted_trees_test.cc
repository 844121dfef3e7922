#include "learning/ranking/boosted_trees.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/math/kernels.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

using testing::HasSubstr;

// Yes where exactly one of x0 and x1 is above 0: no single question helps. x2 is noise.
struct Crossed {
  explicit Crossed(size_t rows, uint64_t seed = 3) : rows(rows), columns(3 * rows) {
    Random random(seed);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t f = 0; f < 3; ++f) columns[f * rows + row] = static_cast<float>(random.Normal());
      targets.push_back((columns[row] > 0) != (columns[rows + row] > 0) ? 1 : 0);
    }
  }
  TreeExamples examples() const { return {columns, rows, targets}; }
  size_t rows;
  std::vector<float> columns;
  std::vector<uint8_t> targets;
};

std::vector<float> ScoresOf(const BoostedTrees& trees, const Crossed& data) {
  std::vector<float> scores(data.rows);
  std::vector<uint32_t> scratch;
  trees.Score(data.columns.data(), data.rows, scratch, scores.data());
  return scores;
}

double ShareRight(const BoostedTrees& trees, const Crossed& data) {
  const std::vector<float> scores = ScoresOf(trees, data);
  size_t right = 0;
  for (size_t row = 0; row < data.rows; ++row)
    right += (scores[row] > 0) == (data.targets[row] == 1);
  return static_cast<double>(right) / static_cast<double>(data.rows);
}

TEST(BoostedTrees, LearnWhatOnlyTwoFeaturesTogetherSay) {
  const Crossed train(4'000);
  const auto trees = FitBoostedTrees(train.examples(), {.trees = 40, .depth = 3});
  ASSERT_TRUE(trees.ok()) << trees.status();
  EXPECT_GT(ShareRight(*trees, Crossed(2'000, 9)), 0.95);
  EXPECT_GT(trees->importance()[0] + trees->importance()[1], 0.9);
}

TEST(BoostedTrees, AreCalibratedWhereOneFeatureSaysAll) {
  constexpr size_t kRows = 40'000;
  Random random(5);
  std::vector<float> column;
  std::vector<uint8_t> targets;
  for (size_t row = 0; row < kRows; ++row) {
    column.push_back(static_cast<float>(random.Below(3)));
    targets.push_back(random.Unit() < (column.back() == 0 ? 0.1 : column.back() == 1 ? 0.3 : 0.8));
  }
  const auto trees = FitBoostedTrees({column, kRows, targets}, {.trees = 60, .depth = 2});
  ASSERT_TRUE(trees.ok()) << trees.status();
  const std::vector<float> asked = {0, 1, 2, std::nanf("")};
  std::vector<float> scores(4);
  std::vector<uint32_t> scratch;
  trees->Score(asked.data(), 4, scratch, scores.data());
  const auto probability = [](float s) { return 1 / (1 + std::exp(-s)); };
  EXPECT_NEAR(probability(scores[0]), 0.1, 0.02);
  EXPECT_NEAR(probability(scores[1]), 0.3, 0.02);
  EXPECT_NEAR(probability(scores[2]), 0.8, 0.02);
  EXPECT_EQ(scores[3], scores[0]) << "what is no number counts as smallest";
}

TEST(BoostedTrees, AreTheSameForASeedWhateverTheThreads) {
  const Crossed data(3'000);
  const auto one = FitBoostedTrees(data.examples(), {.trees = 10, .threads = 1});
  const auto four = FitBoostedTrees(data.examples(), {.trees = 10, .threads = 4});
  const auto other = FitBoostedTrees(data.examples(), {.trees = 10, .seed = 2});
  ASSERT_TRUE(one.ok() && four.ok() && other.ok());
  EXPECT_EQ(ScoresOf(*one, data), ScoresOf(*four, data));
  EXPECT_NE(ScoresOf(*one, data), ScoresOf(*other, data));
}

TEST(BoostedTrees, AnOrderOfTheFeaturesThatKeepsItKeepsTheScores) {
  // A feature only matters by its order: a stretched one asks the same questions.
  Crossed data(3'000);
  Crossed stretched = data;
  for (float& value : stretched.columns) value = value * value * value;
  const BoostedTreesOptions options{.trees = 10};
  const auto trees = FitBoostedTrees(data.examples(), options);
  const auto same = FitBoostedTrees(stretched.examples(), options);
  ASSERT_TRUE(trees.ok() && same.ok());
  EXPECT_EQ(ScoresOf(*trees, data), ScoresOf(*same, stretched));
}

TEST(BoostedTrees, ScoreTheSameAtEveryInstructionSetAndCount) {
  const Crossed data(100);
  std::vector<uint32_t> asked = {0, 2, 1, 1};
  std::vector<float> borders = {0.1F, -0.3F, 0.7F, -0.7F};
  std::vector<float> leaves = {1, 2, 4, 8, 16, 32, 64, 128};
  for (const size_t count : {size_t{1}, size_t{7}, size_t{16}, size_t{33}, size_t{100}}) {
    std::vector<float> columns;
    for (size_t f = 0; f < 3; ++f)
      columns.insert(columns.end(), data.columns.begin() + static_cast<ptrdiff_t>(f * data.rows),
                     data.columns.begin() + static_cast<ptrdiff_t>(f * data.rows + count));
    std::vector<float> expected(count);
    for (size_t row = 0; row < count; ++row) {
      for (size_t tree = 0; tree < 2; ++tree) {
        size_t leaf = 0;
        for (size_t level = 0; level < 2; ++level) {
          const size_t question = tree * 2 + level;
          if (columns[asked[question] * count + row] > borders[question])
            leaf |= size_t{1} << level;
        }
        expected[row] += leaves[tree * 4 + leaf];
      }
    }
    for (const Kernels* kernels : RunnableKernels()) {
      std::vector<float> scores(count);
      std::vector<uint32_t> scratch(count);
      kernels->sum_leaves(
          {columns.data(), count, asked.data(), borders.data(), leaves.data(), 2, 2},
          scratch.data(), scores.data());
      EXPECT_EQ(scores, expected) << kernels->name << " " << count;
    }
  }
}

TEST(BoostedTrees, SurviveTheirArtifact) {
  const Crossed data(1'000);
  const auto trees = FitBoostedTrees(data.examples(), {.trees = 5});
  ASSERT_TRUE(trees.ok());
  ArtifactWriter writer("test");
  trees->AddTo(writer);
  const std::string bytes = std::move(writer).Finish();
  const auto artifact = Artifact::Open(std::as_bytes(std::span(bytes)), nullptr);
  ASSERT_TRUE(artifact.ok());
  const auto opened = BoostedTrees::Open(*artifact);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->trees(), 5u);
  EXPECT_EQ(ScoresOf(*opened, data), ScoresOf(*trees, data));
  ArtifactWriter wrong("test");
  const std::vector<double> shape = {2, 6, 0};
  wrong.Add<double>("trees.shape", shape);
  const std::vector<uint32_t> asked = {0, 1, 2, 0, 1, 0};
  wrong.Add<uint32_t>("trees.features", asked, 1, 6);
  const std::string bad = std::move(wrong).Finish();
  const auto refused = BoostedTrees::Open(*Artifact::Open(std::as_bytes(std::span(bad)), nullptr));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("beyond the 2 there are"));
}

TEST(BoostedTrees, LeavesThatAreNoNumbersAreRefused) {
  ArtifactWriter writer("test");
  const std::vector<double> shape = {1, 1, 0};
  const std::vector<uint32_t> asked = {0};
  const std::vector<float> borders = {0};
  const std::vector<float> leaves = {1, std::nanf("")};
  writer.Add<double>("trees.shape", shape);
  writer.Add<uint32_t>("trees.features", asked, 1, 1);
  writer.Add<float>("trees.borders", borders, 1, 1);
  writer.Add<float>("trees.leaves", leaves, 1, 2);
  const std::string bytes = std::move(writer).Finish();
  const auto opened = BoostedTrees::Open(*Artifact::Open(std::as_bytes(std::span(bytes)), nullptr));
  EXPECT_EQ(opened.status().code(), StatusCode::kDataLoss);
}

TEST(BoostedTrees, OneAnswerOnlyAndFeaturesThatSayNothingAreNoTrouble) {
  const std::vector<float> column(100, 7);
  const std::vector<uint8_t> never(100, 0);
  const auto trees = FitBoostedTrees({column, 100, never}, {.trees = 3});
  ASSERT_TRUE(trees.ok()) << trees.status();
  float score = 0;
  std::vector<uint32_t> scratch;
  trees->Score(column.data(), 1, scratch, &score);
  EXPECT_LT(score, -4);
}

TEST(BoostedTrees, HearAValueThatHardlyOccurs) {
  std::vector<float> column(1'000, 7);  // the largest is also the commonest
  std::vector<uint8_t> targets(1'000, 0);
  for (size_t row = 0; row < 5; ++row) {
    column[row] = -1;
    targets[row] = 1;
  }
  const auto trees = FitBoostedTrees({column, 1'000, targets}, {.row_share = 1});
  ASSERT_TRUE(trees.ok()) << trees.status();
  std::vector<float> scores(1'000);
  std::vector<uint32_t> scratch;
  trees->Score(column.data(), 1'000, scratch, scores.data());
  EXPECT_GT(scores[0], scores[999] + 1);
}

TEST(BoostedTrees, BadOptionsAreNamed) {
  const Crossed data(10);
  EXPECT_EQ(FieldViolations(FitBoostedTrees(data.examples(), {.depth = 9}).status())[0].field,
            "depth");
  EXPECT_EQ(FieldViolations(FitBoostedTrees(data.examples(), {.row_share = 0}).status())[0].field,
            "row_share");
  EXPECT_EQ(FieldViolations(FitBoostedTrees({}, {}).status())[0].field, "rows");
  EXPECT_EQ(FitBoostedTrees(data.examples(), {.memory_limit = 10}).status().code(),
            StatusCode::kResourceExhausted);
  const auto stopped = FitBoostedTrees(data.examples(), {}, [](double) { return false; });
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace starling::learning

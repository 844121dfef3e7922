#include "learning/metrics/resampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/random.h"

namespace starling::learning {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(BootstrapMeans, DrawsTheSameUsersForEveryColumn) {
  std::vector<float> values;
  Random random(3);
  for (int user = 0; user < 200; ++user) {
    const auto value = static_cast<float>(random.Unit());
    values.insert(values.end(), {value, 2 * value, 1});
  }
  const auto intervals = BootstrapMeans(values, 3, {});
  ASSERT_TRUE(intervals.ok()) << intervals.status();
  ASSERT_EQ(intervals->size(), 3u);
  const Interval& once = (*intervals)[0];
  const Interval& twice = (*intervals)[1];
  EXPECT_LT(once.low, once.mean);
  EXPECT_LT(once.mean, once.high);
  EXPECT_NEAR(twice.low, 2 * once.low, 1e-6);
  EXPECT_NEAR(twice.high, 2 * once.high, 1e-6);
  EXPECT_EQ((*intervals)[2].low, 1);
  EXPECT_EQ((*intervals)[2].high, 1);
}

// Eight users who all differ the same way: of 2^8 ways to flip only two are as extreme.
TEST(ComparePaired, FlipsSignsAsOftenAsTheExactTest) {
  const std::vector<float> a = {0.5F, 0.7F, 0.9F, 0.6F, 0.8F, 0.4F, 0.3F, 0.9F};
  const std::vector<float> b = {0.1F, 0.2F, 0.3F, 0.4F, 0.5F, 0.3F, 0.1F, 0.6F};
  const auto compared = ComparePaired(a, b, {.flips = 200'000});
  ASSERT_TRUE(compared.ok()) << compared.status();
  EXPECT_NEAR(compared->p, 2.0 / 256, 0.001);
  EXPECT_NEAR(compared->difference.mean, 2.6 / 8, 1e-6);
  EXPECT_GT(compared->difference.low, 0);
}

// The differences 3, 1, 1: |sum| = 5; flips that keep 5 or more: none or all. Then 3, 1, -1: sum 3;
// as far are 5, 3, 3 and their opposites, so 6 of 8.
TEST(ComparePaired, CountsWhatIsExactlyAsFar) {
  const auto p = [](std::vector<float> differences) {
    const std::vector<float> zeros(differences.size(), 0);
    return ComparePaired(differences, zeros, {.flips = 200'000})->p;
  };
  EXPECT_NEAR(p({3, 1, 1}), 2.0 / 8, 0.005);
  EXPECT_NEAR(p({3, 1, -1}), 6.0 / 8, 0.005);
  EXPECT_NEAR(p({0.3F, 0.1F, -0.1F, 0, 0}), 6.0 / 8, 0.005) << "users without a difference";
}

TEST(ComparePaired, SeesASmallDifferenceThatAllUsersShareAndNoneInNoise) {
  Random random(5);
  std::vector<float> a;
  std::vector<float> better;
  std::vector<float> other;
  for (int user = 0; user < 500; ++user) {
    const double level = random.Unit();  // users differ far more than models do
    a.push_back(static_cast<float>(level));
    better.push_back(static_cast<float>(level + 0.01 + 0.02 * random.Normal()));
    other.push_back(static_cast<float>(level + 0.02 * random.Normal()));
  }
  const auto clear = ComparePaired(better, a, {});
  EXPECT_LT(clear->p, 0.001);
  EXPECT_GT(clear->difference.low, 0);
  EXPECT_GT(ComparePaired(other, a, {})->p, 0.05);
  EXPECT_EQ(ComparePaired(a, a, {})->p, 1);
  EXPECT_EQ(ComparePaired(a, better, {})->difference.mean, -clear->difference.mean);
}

// Where nothing differs but by chance, p below 0.05 is to come up one time in twenty.
TEST(ComparePaired, ErrsAsOftenAsItSays) {
  Random random(11);
  int below = 0;
  constexpr int kTrials = 600;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<float> a(40);
    std::vector<float> b(40);
    for (float& value : a) value = static_cast<float>(random.Normal());
    for (float& value : b) value = static_cast<float>(random.Normal());
    below += ComparePaired(a, b, {.bootstrap = {.samples = 1}, .flips = 400})->p < 0.05 ? 1 : 0;
  }
  EXPECT_NEAR(below / static_cast<double>(kTrials), 0.05, 0.03);
}

TEST(ComparePaired, NamesWhatIsWrong) {
  const auto field = [](const auto& result) {
    const auto fields = FieldViolations(result.status());
    return fields.empty() ? std::string() : fields[0].field;
  };
  EXPECT_EQ(field(ComparePaired({{1, 2}}, {{1}}, {})), "b");
  EXPECT_EQ(field(ComparePaired({{1}}, {{1}}, {.flips = 0})), "flips");
  EXPECT_EQ(field(ComparePaired({{1}}, {{1}}, {.bootstrap = {.level = 1}})), "level");
  EXPECT_EQ(ComparePaired({}, {}, {}).status().code(), StatusCode::kFailedPrecondition);
}

TEST(HolmAdjusted, AgreesWithValuesByHand) {
  EXPECT_THAT(HolmAdjusted({{0.01, 0.04, 0.03, 0.005}}),
              ElementsAre(DoubleNear(0.03, 1e-12), DoubleNear(0.06, 1e-12), DoubleNear(0.06, 1e-12),
                          DoubleNear(0.02, 1e-12)));
  EXPECT_THAT(HolmAdjusted({{0.6, 0.9}}), ElementsAre(1, 1));
  EXPECT_THAT(HolmAdjusted({{0.2}}), ElementsAre(0.2));
  EXPECT_TRUE(HolmAdjusted({}).empty());
}

}  // namespace
}  // namespace starling::learning

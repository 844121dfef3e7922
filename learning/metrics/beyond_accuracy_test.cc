#include "learning/metrics/beyond_accuracy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "learning/random.h"

namespace starling::learning {
namespace {

using testing::ElementsAre;

constexpr double kTolerance = 1e-6;

// Four users; item 0 is had by all of them, 1 by two, 2 and 3 by one, 4 by nobody. A fifth user had
// nothing.
Interactions Made() {
  return *MakeInteractions(
      std::vector<Interaction>{{0, 0}, {1, 0}, {2, 0}, {3, 0}, {0, 1}, {1, 1}, {2, 2}, {3, 3}}, 5,
      5);
}

RankedLists Lists(const std::vector<std::vector<uint32_t>>& lists) {
  RankedLists made;
  for (const auto& list : lists) made.Add(list);
  return made;
}

BeyondAccuracyFigures Measured(const Interactions& known, std::vector<uint32_t> users,
                               const std::vector<std::vector<uint32_t>>& lists,
                               std::vector<uint32_t> groups = {}, int threads = 1) {
  const BeyondAccuracy beyond(known, std::move(groups), threads);
  auto figures = beyond.Measure(users, Lists(lists), {});
  EXPECT_TRUE(figures.ok()) << figures.status();
  return *figures;
}

TEST(BeyondAccuracy, NoveltyIsTheBitsThatAnItemTells) {
  const Interactions known = Made();
  EXPECT_NEAR(Measured(known, {2}, {{0}}).novelty.mean, 0, kTolerance) << "everybody has it";
  EXPECT_NEAR(Measured(known, {2}, {{1}}).novelty.mean, 1, kTolerance);
  EXPECT_NEAR(Measured(known, {2}, {{3}}).novelty.mean, 2, kTolerance);
  EXPECT_NEAR(Measured(known, {2}, {{4}}).novelty.mean, 2, kTolerance)
      << "what nobody had counts as had once";
  EXPECT_NEAR(Measured(known, {2, 3}, {{1, 3}, {0}}).novelty.mean, 0.75, kTolerance)
      << "the mean of the users' means";
}

TEST(BeyondAccuracy, PopularityIsAPercentileAndItsLiftAgainstWhatUsersHad) {
  const Interactions known = Made();
  // By descending count: 0, 1, {2, 3}, 4; the middle of each in five.
  EXPECT_NEAR(Measured(known, {2}, {{0}}).popularity.mean, 0.9, kTolerance);
  EXPECT_NEAR(Measured(known, {2}, {{1}}).popularity.mean, 0.7, kTolerance);
  EXPECT_NEAR(Measured(known, {2}, {{2}}).popularity.mean, 0.4, kTolerance);
  EXPECT_NEAR(Measured(known, {2}, {{3}}).popularity.mean, 0.4, kTolerance);
  EXPECT_NEAR(Measured(known, {2}, {{4}}).popularity.mean, 0.1, kTolerance);
  // User 2 had 0 and 2, with shares 1 and 1/4: 5/8. Shown 1, with 1/2; user 0 had 0 and 1: 3/4.
  const auto figures = Measured(known, {2, 0}, {{1}, {0}});
  EXPECT_NEAR(figures.popularity_lift, (0.5 + 1) / (0.625 + 0.75) - 1, kTolerance);
  EXPECT_NEAR(figures.history_popularity, ((0.9 + 0.4) / 2 + (0.9 + 0.7) / 2) / 2, kTolerance);
  EXPECT_NEAR(Measured(known, {0}, {{0, 1}}).popularity_lift, 0, kTolerance);
}

TEST(BeyondAccuracy, DiversityIsTheMeanDistanceOfPairs) {
  const Interactions known = Made();
  const double cos01 = 2 / std::sqrt(8.0);
  const double cos02 = 1 / std::sqrt(4.0);
  EXPECT_NEAR(Measured(known, {3}, {{0, 1}}).diversity.mean, 1 - cos01, kTolerance);
  EXPECT_NEAR(Measured(known, {3}, {{0, 1, 2}}).diversity.mean, 1 - (cos01 + cos02) / 3,
              kTolerance);
  EXPECT_NEAR(Measured(known, {3}, {{2, 3}}).diversity.mean, 1, kTolerance) << "nobody had both";
  EXPECT_NEAR(Measured(known, {3}, {{0, 4}}).diversity.mean, 1, kTolerance) << "nobody had one";
  EXPECT_EQ(Measured(known, {3}, {{0}}).diversity.mean, 0);
}

// Cosines pair by pair, on random data and by several threads: the same.
TEST(BeyondAccuracy, DiversityOfRandomListsIsThatOfTheirPairs) {
  Random random(9);
  constexpr uint32_t kUsers = 200;
  constexpr uint32_t kItems = 40;
  std::vector<Interaction> events;
  events.reserve(1'500);
  for (int i = 0; i < 1'500; ++i) {
    events.push_back(
        {static_cast<uint32_t>(random.Below(kUsers)), static_cast<uint32_t>(random.Below(kItems))});
  }
  const Interactions known = *MakeInteractions(events, kUsers, kItems);
  const auto had = [&](uint32_t user, uint32_t item) { return known.Contains(user, item); };
  std::vector<uint32_t> users;
  std::vector<std::vector<uint32_t>> lists;
  double expected = 0;
  for (uint32_t user = 0; user < kUsers; ++user) {
    ASSERT_GT(known.row(user).size(), 0u);
    users.push_back(user);
    std::vector<uint32_t>& list = lists.emplace_back();
    while (list.size() < 6) {
      const auto item = static_cast<uint32_t>(random.Below(kItems));
      if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(item);
    }
    for (size_t i = 0; i < list.size(); ++i) {
      for (size_t j = 0; j < i; ++j) {
        double both = 0;
        double ones = 0;
        double others = 0;
        for (uint32_t who = 0; who < kUsers; ++who) {
          both += had(who, list[i]) && had(who, list[j]) ? 1 : 0;
          ones += had(who, list[i]) ? 1 : 0;
          others += had(who, list[j]) ? 1 : 0;
        }
        expected += (1 - both / std::sqrt(ones * others)) / 15 / kUsers;
      }
    }
  }
  const auto figures = Measured(known, users, lists);
  EXPECT_NEAR(figures.diversity.mean, expected, kTolerance);
  EXPECT_LT(figures.diversity.low, figures.diversity.mean);
  EXPECT_GT(figures.diversity.high, figures.diversity.mean);
  const auto threaded = Measured(known, users, lists, {}, 3);
  EXPECT_EQ(threaded.diversity.mean, figures.diversity.mean);
  EXPECT_EQ(threaded.novelty.low, figures.novelty.low);
}

TEST(BeyondAccuracy, CalibrationComparesSharesOfGroups) {
  const Interactions known = Made();
  const std::vector<uint32_t> groups = {0, 1, 1, 2, 2};
  // User 0 had groups 0 and 1, half each.
  EXPECT_NEAR(Measured(known, {0}, {{0, 2}}, groups).calibration.mean, 0, kTolerance);
  const double q0 = 0.99 * 0.25 + 0.01 * 0.5;
  const double q1 = 0.99 * 0.75 + 0.01 * 0.5;
  EXPECT_NEAR(Measured(known, {0}, {{0, 1, 2, 1}}, groups).calibration.mean,
              0.5 * std::log(0.5 / q0) + 0.5 * std::log(0.5 / q1), kTolerance);
  EXPECT_NEAR(Measured(known, {0}, {{3, 4}}, groups).calibration.mean, std::log(100.0), kTolerance)
      << "nothing in common";
}

TEST(BeyondAccuracy, PopularityThirdsShareTheInteractions) {
  EXPECT_THAT(PopularityThirds(std::vector<uint32_t>{1, 4, 0, 2, 1, 1}),
              ElementsAre(2, 0, 2, 1, 2, 2));
  EXPECT_THAT(PopularityThirds(std::vector<uint32_t>{9, 1}), ElementsAre(0, 2));
  EXPECT_TRUE(PopularityThirds({}).empty());
}

TEST(BeyondAccuracy, GiniIsZeroForEvenExposureAndNearOneForOneItem) {
  const Interactions known = Made();
  EXPECT_NEAR(Measured(known, {0}, {{0, 1, 2, 3, 4}}).gini, 0, kTolerance);
  EXPECT_NEAR(Measured(known, {0, 1}, {{0}, {0}}).gini, 0.8, kTolerance) << "1 - 1/n";
  EXPECT_NEAR(Measured(known, {0, 1}, {{0, 1}, {0, 2}}).gini,
              (0 * (-4 - 2) + 1 * 0 + 1 * 2 + 2 * 4) / (5.0 * 4), kTolerance);
}

TEST(BeyondAccuracy, WhoHadNothingOrWasShownNothingDoesNotCount) {
  const Interactions known = Made();
  const auto figures = Measured(known, {4, 2, 3}, {{0}, {}, {1}});
  EXPECT_EQ(figures.users, 1u);
  EXPECT_NEAR(figures.novelty.mean, 1, kTolerance);
  EXPECT_EQ(Measured(known, {4}, {{0}}).users, 0u);
  EXPECT_EQ(Measured(known, {}, {}).gini, 0);
}

TEST(BeyondAccuracy, NamesWhatDoesNotFitTogether) {
  const Interactions known = Made();
  const auto field = [](const StatusOr<BeyondAccuracyFigures>& figures) {
    const auto fields = FieldViolations(figures.status());
    return fields.empty() ? std::string() : fields[0].field;
  };
  EXPECT_EQ(field(BeyondAccuracy(known, {0, 1}, 1).Measure({}, {}, {})), "groups");
  const std::vector<uint32_t> user = {0};
  EXPECT_EQ(field(BeyondAccuracy(known, {}, 1).Measure(user, {}, {})), "lists");
}

}  // namespace
}  // namespace starling::learning

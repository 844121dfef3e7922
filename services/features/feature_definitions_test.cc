#include "services/features/feature_definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "services/features/decayed_sum.h"

namespace starling::features {
namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::Matcher;
using testing::NanSensitiveDoubleEq;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kAt = 1'000 * kDay;

double Value(std::string_view feature, const std::vector<Interaction>& interactions,
             int64_t at = kAt) {
  const FeatureDefinition* definition = FindFeature(feature);
  if (definition == nullptr) {
    ADD_FAILURE() << "no feature " << feature;
    return 0;
  }
  return definition->value(Summarize(interactions, at, definition->distinct));
}

// Products 1 to 3; ages in days before kAt: 0, 0.5, 1, 3, 7, 30 and 400.
const std::vector<Interaction> kHistory = {
    {kAt - 400 * kDay, 1, Kind::kPurchase, 1, 8},
    {kAt - 30 * kDay, 2, Kind::kPurchase, 2, 3},
    {kAt - 7 * kDay, 1, Kind::kView, 1, 0},
    {kAt - 3 * kDay, 3, Kind::kCart, 1, 0},
    {kAt - 1 * kDay, 2, Kind::kView, 1, 0},
    {kAt - kDay / 2, 2, Kind::kPurchase, 3, 4},
    {kAt, 3, Kind::kPurchase, 5, 0},  // its price is not known
};

TEST(FeatureDefinitions, AreThoseComputedByHand) {
  const double half = std::exp2(-0.5 / 30);
  struct Case {
    const char* feature;
    double value;
  };
  const Case cases[] = {
      // A window ends with `at` and begins just after `at` minus its days.
      {"user.purchases_1d", 2},
      {"user.purchases_7d", 2},
      {"user.purchases_30d", 2},
      {"user.purchases_365d", 3},
      {"user.purchases", 4},
      {"user.views_1d", 0},
      {"user.views_7d", 1},
      {"user.views_30d", 2},
      {"user.carts_7d", 1},
      {"user.clicks", 0},
      {"user.events_7d", 4},
      {"user.events", 7},
      {"user.units_30d", 8},
      {"user.units", 11},
      {"user.revenue_30d", 12},
      {"user.revenue_365d", 18},
      {"user.revenue", 26},
      {"user.mean_price", 26.0 / 6},
      {"user.distinct_products_1d", 2},
      {"user.distinct_products_30d", 3},
      {"product.distinct_users_1d", 2},
      {"user.purchases_per_view_30d", 1},
      {"user.purchases_per_view_1d", kNaN},
      {"user.days_since_event", 0},
      {"user.days_since_view", 1},
      {"user.days_since_first_event", 400},
      {"user.purchases_decayed", 1 + half + 0.5 + std::exp2(-400.0 / 30)},
      {"product.popularity", 1 + half + 0.5 + std::exp2(-400.0 / 30) +
                                 0.1 * (std::exp2(-7.0 / 30) + std::exp2(-1.0 / 30)) +
                                 0.5 * std::exp2(-3.0 / 30)},
  };
  for (const Case& c : cases) {
    const Matcher<double> expected =
        std::isnan(c.value) ? NanSensitiveDoubleEq(c.value) : DoubleNear(c.value, 1e-12);
    EXPECT_THAT(Value(c.feature, kHistory), expected) << c.feature;
  }
}

TEST(FeatureDefinitions, AnEarlierTimeGivesWhatWasThen) {
  const std::vector<Interaction> then(kHistory.begin(), kHistory.begin() + 3);
  for (const FeatureDefinition& feature : FeatureDefinitions()) {
    EXPECT_THAT(Value(feature.name, kHistory, kAt - 4 * kDay),
                NanSensitiveDoubleEq(Value(feature.name, then, kAt - 4 * kDay)))
        << feature.name;
  }
}

TEST(FeatureDefinitions, OfNothingCountsAreZeroAndMeansAndAgesHaveNoValue) {
  for (const FeatureDefinition& feature : FeatureDefinitions()) {
    const bool none = feature.name.find("days_since") != std::string::npos ||
                      feature.name.find("mean_") != std::string::npos ||
                      feature.name.find("price") != std::string::npos ||
                      feature.name.find("share") != std::string::npos ||
                      feature.name.find("_per_") != std::string::npos;
    EXPECT_THAT(Value(feature.name, {}), NanSensitiveDoubleEq(none ? kNaN : 0)) << feature.name;
  }
}

TEST(FeatureDefinitions, TheOrderOfTheInteractionsIsOfNoImportance) {
  const std::vector<Interaction> backwards(kHistory.rbegin(), kHistory.rend());
  for (const FeatureDefinition& feature : FeatureDefinitions()) {
    const double value = Value(feature.name, kHistory);
    if (std::isnan(value)) continue;
    EXPECT_NEAR(Value(feature.name, backwards), value, 1e-12) << feature.name;
  }
}

TEST(FeatureDefinitions, EachHasANameOfItsOwnAnEntityAndADescription) {
  std::set<std::string> names, descriptions;
  for (const FeatureDefinition& feature : FeatureDefinitions()) {
    EXPECT_TRUE(names.insert(feature.name).second) << feature.name;
    EXPECT_FALSE(feature.description.empty()) << feature.name;
    EXPECT_EQ(feature.name.starts_with("user."), feature.entity == FeatureDefinition::kUser);
    EXPECT_EQ(FindFeature(feature.name), &feature);
  }
  EXPECT_EQ(FindFeature("user.purchase_30d"), nullptr);
  EXPECT_EQ(FindFeature(""), nullptr);
}

TEST(PopularityTime, IsNowUnlessNothingHappenedForAHalfLife) {
  EXPECT_EQ(PopularityTime(100, 95, 10), 100);
  EXPECT_EQ(PopularityTime(100, 90, 10), 100);
  EXPECT_EQ(PopularityTime(100, 89, 10), 89);
}

TEST(DecayedSum, IsTheSumOfItsPartsInAnyOrderAndAfterTakingSomeBack) {
  constexpr int64_t kHalfLife = 10;
  DecayedSum sum;
  sum.Add(1, 100, kHalfLife);
  sum.Add(1, 120, kHalfLife);
  sum.Add(0.5, 110, kHalfLife);
  EXPECT_THAT(sum.At(130, kHalfLife), DoubleEq(0.125 + 0.5 + 0.125));
  sum.Subtract(1, 100, kHalfLife);
  EXPECT_NEAR(sum.At(130, kHalfLife), 0.5 + 0.125, 1e-12);
  sum.Subtract(0.5, 110, kHalfLife);
  sum.Subtract(1, 120, kHalfLife);
  EXPECT_EQ(sum.At(130, kHalfLife), 0);
}

}  // namespace
}  // namespace starling::features

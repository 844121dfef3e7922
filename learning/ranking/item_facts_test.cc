#include "learning/ranking/item_facts.h"

#include <gtest/gtest.h>

#include <cmath>

namespace starling::learning {
namespace {

constexpr int64_t kDay = 86'400;
constexpr int64_t kUntil = 1'000 * kDay;

float FactOf(const std::vector<float>& facts, uint32_t item, ItemFact fact) {
  return facts[item * kItemFactStride + fact];
}

// Three users; item 0 is old and bought again, 1 is new, 2 was never bought.
TEST(FactsOfItems, CountBuyersByWindowPerThousandWhoBought) {
  const std::vector<GoalEvent> events = {{0, 0, kUntil - 40 * kDay}, {0, 0, kUntil - 3 * kDay},
                                         {0, 1, kUntil - 2 * kDay},  {1, 0, kUntil - 40 * kDay},
                                         {2, 1, kUntil - 1 * kDay},  {2, 1, kUntil + 5 * kDay}};
  const std::vector<float> facts = FactsOfItems(events, 3, kUntil);
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kBuyers7), 500) << "one of two";
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kBuyersEver), 2'000.0F / 3);
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kBuyersBefore), 1'000) << "both who bought then";
  EXPECT_FLOAT_EQ(FactOf(facts, 1, kBuyers28), 1'000);
  EXPECT_FLOAT_EQ(FactOf(facts, 1, kBuyersBefore), 0);
  EXPECT_GT(FactOf(facts, 1, kTrend28), FactOf(facts, 0, kTrend28));
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kFirstBuyers28), 0);
  EXPECT_FLOAT_EQ(FactOf(facts, 1, kFirstBuyers14), 1'000);
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kDaysOnSale), 40);
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kDaysIdle), 3);
  EXPECT_FLOAT_EQ(FactOf(facts, 1, kDaysIdle), 1) << "what came later is not known yet";
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kTimesPerBuyer), 1.5F);
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kComeBack), 0.5F);
  EXPECT_FLOAT_EQ(FactOf(facts, 2, kBuyersEver), 0);
  EXPECT_GT(FactOf(facts, 2, kDaysIdle), 1'000);
  for (const float fact : facts) EXPECT_TRUE(std::isfinite(fact));
}

TEST(FactsOfItems, APurchaseToldTwiceIsOne) {
  const std::vector<GoalEvent> once = {{0, 0, kUntil - kDay}};
  const std::vector<GoalEvent> twice = {{0, 0, kUntil - kDay}, {0, 0, kUntil - kDay}};
  EXPECT_EQ(FactsOfItems(once, 1, kUntil), FactsOfItems(twice, 1, kUntil));
}

TEST(FactsOfItems, TheCatalogueAddsPriceAndPlace) {
  ItemAttributes attributes(4);
  for (size_t item = 0; item < 3; ++item)
    attributes.SetGroup(item, ItemAttributes::kNarrowest, "milk");
  attributes.SetGroup(1, ItemAttributes::kBrand, "milk");  // a brand of that name is another group
  attributes.SetPrice(1, 2);
  const std::vector<GoalEvent> events = {
      {0, 0, kUntil - kDay}, {0, 1, kUntil - kDay}, {1, 1, kUntil - kDay}, {1, 3, kUntil - kDay}};
  std::vector<float> facts = FactsOfItems(events, 4, kUntil);
  AddAttributes(attributes, facts);
  EXPECT_FLOAT_EQ(FactOf(facts, 1, kPrice), std::log(3.0F));
  EXPECT_FLOAT_EQ(FactOf(facts, 1, kPlaceInGroup), 0);
  EXPECT_FLOAT_EQ(FactOf(facts, 0, kPlaceInGroup), 1);
  EXPECT_FLOAT_EQ(FactOf(facts, 2, kPlaceInGroup), 2);
  EXPECT_FLOAT_EQ(FactOf(facts, 3, kPlaceInGroup), 0) << "belongs to no group";
  EXPECT_NE(attributes.groups()[ItemAttributes::kKinds + ItemAttributes::kNarrowest],
            attributes.groups()[ItemAttributes::kKinds + ItemAttributes::kBrand]);
  const PopularByGroup popular = PopularOfGroups(attributes, facts, 5);
  const uint32_t milk = attributes.groups()[ItemAttributes::kNarrowest];
  ASSERT_EQ(popular.offsets.size(), attributes.group_count() + 1);
  EXPECT_EQ(std::vector<uint32_t>(popular.items.begin() + popular.offsets[milk],
                                  popular.items.begin() + popular.offsets[milk + 1]),
            (std::vector<uint32_t>{1, 0}))
      << "and nothing that nobody bought";
}

TEST(FactsOfItems, NothingHappenedIsFine) {
  for (const float fact : FactsOfItems({}, 2, kUntil)) EXPECT_TRUE(std::isfinite(fact));
}

}  // namespace
}  // namespace starling::learning

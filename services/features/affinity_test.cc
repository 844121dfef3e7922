#include "services/features/affinity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "services/features/features_service_fixture.h"

namespace starling::features {
namespace {

using testing::DoubleNear;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

constexpr int64_t kAt = 1'000 * kDay;

// Products 0 to 5; the last is not in the catalogue.
class AffinityTest : public testing::Test {
 protected:
  void SetUp() override {
    const catalog::v1::Product products[] = {
        MakeProduct("0", "food/tea", "Hill", 1), MakeProduct("1", "food/tea", "", 2),
        MakeProduct("2", "food/milk", "Dale", 4), MakeProduct("3", "toys", "Hill"),
        MakeProduct("4", "", "", 9)};
    for (const catalog::v1::Product& product : products) table_.Put(product);
    table_.Finish();
    for (const char* id : {"0", "1", "2", "3", "4", "5"})
      traits_.push_back(table_.Find(ProductTable::KeyOf(id)));
  }
  Affinity Of(const std::vector<Interaction>& interactions, int64_t at = kAt) const {
    return AffinityOf(interactions, at, table_, traits_);
  }
  // By "food/tea".
  static std::map<std::string, double> Named(const std::vector<Affinity::Share>& shares,
                                             const GroupTree& groups) {
    std::map<std::string, double> named;
    for (const auto& [group, share] : shares) {
      std::string path;
      for (const std::string_view name : groups.Path(group))
        path.append(path.empty() ? "" : "/").append(name);
      named[path] += share;
    }
    return named;
  }

  ProductTable table_;
  std::vector<ProductTraits> traits_;
};

TEST_F(AffinityTest, IsThatComputedByHand) {
  const std::vector<Interaction> history = {
      {kAt, 0, Kind::kPurchase, 3, 100},      // 1: quantity and what it cost do not count
      {kAt - 30 * kDay, 1, Kind::kPurchase},  // 0.5
      {kAt, 2, Kind::kCart},                  // 0.5
      {kAt - 60 * kDay, 3, Kind::kPurchase},  // 0.25
      {kAt, 4, Kind::kClick},                 // 0.2
      {kAt, 5, Kind::kView},                  // 0.1, of a product that there is not
      {kAt, 2, Kind::kImpression},            // nothing
      {kAt + 1, 2, Kind::kPurchase},          // after it
  };
  const Affinity affinity = Of(history);
  const double whole = 1 + 0.5 + 0.5 + 0.25;
  EXPECT_THAT(Named(affinity.categories, table_.categories()),
              UnorderedElementsAre(Pair("food", DoubleNear(2 / whole, 1e-12)),
                                   Pair("food/tea", DoubleNear(1.5 / whole, 1e-12)),
                                   Pair("food/milk", DoubleNear(0.5 / whole, 1e-12)),
                                   Pair("toys", DoubleNear(0.25 / whole, 1e-12))));
  EXPECT_THAT(Named(affinity.brands, table_.brands()),
              UnorderedElementsAre(Pair("Hill", DoubleNear(1.25 / 1.75, 1e-12)),
                                   Pair("Dale", DoubleNear(0.5 / 1.75, 1e-12))));
  // Levels: 0.25 and 0.75 of the two teas, 0.5 of the one milk and of the one without a category.
  EXPECT_NEAR(affinity.price_level,
              (1 * 0.25 + 0.5 * 0.75 + 0.5 * 0.5 + 0.2 * 0.5) / (1 + 0.5 + 0.5 + 0.2), 1e-12);
  EXPECT_NEAR(affinity.weight, whole + 0.2 + 0.1, 1e-12);
  EXPECT_EQ(affinity.narrowest_categories, 3);
  EXPECT_NEAR(affinity.top_category_share, 1.5 / whole, 1e-12);
}

TEST_F(AffinityTest, OfNothingThereIsNone) {
  for (const std::vector<Interaction>& history :
       std::vector<std::vector<Interaction>>{{},
                                             {{kAt + 1, 0, Kind::kPurchase}},
                                             {{kAt, 0, Kind::kImpression}},
                                             {{0, 0, Kind::kPurchase}}}) {
    // The last one is so long ago that its weight is 0.
    const Affinity affinity =
        Of(history, history.empty() || history[0].time > 0 ? kAt : 100'000'000 * kDay);
    EXPECT_THAT(affinity.categories, IsEmpty());
    EXPECT_THAT(affinity.brands, IsEmpty());
    EXPECT_TRUE(std::isnan(affinity.price_level));
    EXPECT_TRUE(std::isnan(affinity.top_category_share));
    EXPECT_EQ(affinity.narrowest_categories, 0);
    EXPECT_EQ(affinity.weight, 0);
  }
}

TEST_F(AffinityTest, AProductOutsideTheCatalogueWeighsButIsOfNoCategory) {
  const Affinity affinity = Of({{kAt, 5, Kind::kPurchase}});
  EXPECT_THAT(affinity.categories, IsEmpty());
  EXPECT_TRUE(std::isnan(affinity.price_level));
  EXPECT_EQ(affinity.weight, 1);
}

TEST_F(AffinityTest, AnEarlierTimeGivesWhatWasThenAndTimeAloneChangesNoShare) {
  const std::vector<Interaction> history = {{kAt - 9 * kDay, 0, Kind::kPurchase},
                                            {kAt - 5 * kDay, 2, Kind::kView},
                                            {kAt, 3, Kind::kPurchase}};
  const std::vector<Interaction> then(history.begin(), history.begin() + 2);
  const int64_t at = kAt - kDay;
  const auto shares = Named(Of(then, at).categories, table_.categories());
  EXPECT_EQ(Named(Of(history, at).categories, table_.categories()), shares);
  const auto later = Named(Of(then, kAt + 300 * kDay).categories, table_.categories());
  ASSERT_EQ(later.size(), shares.size());
  for (const auto& [name, share] : later) EXPECT_NEAR(share, shares.at(name), 1e-12) << name;
}

TEST_F(AffinityTest, TheOrderOfTheInteractionsIsOfNoImportance) {
  std::vector<Interaction> history;
  history.reserve(60);
  for (int64_t i = 0; i < 60; ++i)
    history.push_back({kAt - 5 * i * kDay, static_cast<uint32_t>(i * 7 % 6), Kind::kView});
  const Affinity forwards = Of(history);
  std::reverse(history.begin(), history.end());
  const Affinity backwards = Of(history);
  const auto expected = Named(forwards.categories, table_.categories());
  const auto shares = Named(backwards.categories, table_.categories());
  ASSERT_EQ(shares.size(), expected.size());
  for (const auto& [name, share] : shares) EXPECT_NEAR(share, expected.at(name), 1e-12) << name;
  EXPECT_NEAR(backwards.price_level, forwards.price_level, 1e-12);
  EXPECT_NEAR(shares.at("food") + shares.at("toys"), 1, 1e-12);
}

}  // namespace
}  // namespace starling::features

#include "services/features/product_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/features/features_service_fixture.h"

namespace starling::features {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ProductTraits Traits(const ProductTable& table, std::string_view id) {
  return table.Find(ProductTable::KeyOf(id));
}

ProductTable TableOf(const std::vector<catalog::v1::Product>& products) {
  ProductTable table;
  for (const catalog::v1::Product& product : products) table.Put(product);
  table.Finish();
  return table;
}

TEST(GroupTree, APathIsAGroupAndOtherPathsAreOthers) {
  GroupTree tree;
  const std::string_view milk[] = {"grocery", "dairy", "milk"};
  const std::string_view dairy[] = {"grocery", "dairy"};
  const std::string_view pets[] = {"pets", "dairy"};
  const uint32_t a = tree.Hold(milk);
  EXPECT_EQ(tree.Hold(milk), a);
  EXPECT_EQ(tree.Hold(dairy), tree.Parent(a));
  EXPECT_NE(tree.Hold(pets), tree.Parent(a));
  EXPECT_THAT(tree.Path(a), ElementsAre("grocery", "dairy", "milk"));
  EXPECT_EQ(tree.Level(a), 3u);
  EXPECT_TRUE(tree.Is(a, milk));
  EXPECT_FALSE(tree.Is(a, dairy));
  EXPECT_FALSE(tree.Is(tree.Parent(a), pets));
  EXPECT_EQ(tree.Hold({}), GroupTree::kRoot);
  EXPECT_THAT(tree.Path(GroupTree::kRoot), IsEmpty());
}

TEST(GroupTree, WhatNobodyHoldsGivesItsNumberBackSoThatNothingGrows) {
  GroupTree tree;
  const std::string_view kept[] = {"grocery", "dairy"};
  const uint32_t dairy = tree.Hold(kept);
  for (int i = 0; i < 100; ++i) {
    const std::string name = std::to_string(i);
    const std::string_view path[] = {"grocery", "dairy", name, "deep"};
    tree.Release(tree.Hold(path));
  }
  EXPECT_EQ(tree.size(), 5u) << "the root, two that are held, and two numbers used again and again";
  EXPECT_THAT(tree.Path(dairy), ElementsAre("grocery", "dairy"));
}

TEST(ProductTable, APriceLevelIsThePlaceAmongThePricesOfTheNarrowestCategory) {
  const ProductTable table =
      TableOf({MakeProduct("a", "food/tea", "Hill", 1), MakeProduct("b", "food/tea", "Hill", 2),
               MakeProduct("c", "food/tea", "", 2), MakeProduct("d", "food/tea", "", 9),
               MakeProduct("unpriced", "food/tea"), MakeProduct("alone", "food/milk", "", 500),
               MakeProduct("wide", "food", "", 3), MakeProduct("bare", "", "", 7),
               MakeProduct("bare2", "", "", 8)});
  EXPECT_FLOAT_EQ(Traits(table, "a").price_level, 0.5f / 4);
  EXPECT_FLOAT_EQ(Traits(table, "b").price_level, 2.0f / 4);
  EXPECT_FLOAT_EQ(Traits(table, "c").price_level, 2.0f / 4);
  EXPECT_FLOAT_EQ(Traits(table, "d").price_level, 3.5f / 4);
  EXPECT_TRUE(std::isnan(Traits(table, "unpriced").price_level));
  EXPECT_TRUE(std::isnan(Traits(table, "unpriced").price));
  EXPECT_FLOAT_EQ(Traits(table, "alone").price_level, 0.5f);
  EXPECT_FLOAT_EQ(Traits(table, "wide").price_level, 0.5f) << "what is below it is not in it";
  EXPECT_FLOAT_EQ(Traits(table, "bare").price_level, 0.25f) << "no category is one, too";
  EXPECT_DOUBLE_EQ(Traits(table, "alone").price, 500);
  EXPECT_THAT(table.categories().Path(Traits(table, "a").category), ElementsAre("food", "tea"));
  EXPECT_THAT(table.brands().Path(Traits(table, "a").brand), ElementsAre("Hill"));
  EXPECT_EQ(Traits(table, "c").brand, GroupTree::kRoot);
  EXPECT_FALSE(table.Has(ProductTable::KeyOf("nothing")));
  EXPECT_EQ(Traits(table, "nothing").category, GroupTree::kRoot);
}

TEST(ProductTable, IsTheSameWhateverCameBefore) {
  ProductTable table =
      TableOf({MakeProduct("a", "food/tea", "Hill", 1), MakeProduct("b", "food/tea", "Hill", 2),
               MakeProduct("c", "food/milk", "Dale", 3)});
  table.Put(MakeProduct("a", "food/milk", "Dale", 4));  // moved, dearer
  table.Put(MakeProduct("b", "food/tea", "Hill"));      // no longer for sale
  table.Put(MakeProduct("d", "toys", "", 5));
  table.Finish();
  table.Remove("c");
  table.Remove("never there");
  table.Put(MakeProduct("e", "food/milk", "", 1));
  table.Finish();
  const ProductTable anew =
      TableOf({MakeProduct("e", "food/milk", "", 1), MakeProduct("d", "toys", "", 5),
               MakeProduct("b", "food/tea", "Hill"), MakeProduct("a", "food/milk", "Dale", 4)});
  EXPECT_EQ(table.size(), anew.size());
  for (const char* id : {"a", "b", "c", "d", "e"}) {
    const ProductTraits one = Traits(table, id), other = Traits(anew, id);
    EXPECT_EQ(table.categories().Path(one.category), anew.categories().Path(other.category)) << id;
    EXPECT_EQ(table.brands().Path(one.brand), anew.brands().Path(other.brand)) << id;
    EXPECT_THAT(one.price, testing::NanSensitiveDoubleEq(other.price)) << id;
    EXPECT_THAT(one.price_level, testing::NanSensitiveFloatEq(other.price_level)) << id;
  }
}

TEST(ProductTable, ACopyIsIndependent) {
  const ProductTable before = TableOf({MakeProduct("a", "food/tea", "Hill", 1)});
  ProductTable after = before;
  after.Put(MakeProduct("a", "toys", "Dale", 2));
  after.Finish();
  EXPECT_THAT(before.categories().Path(Traits(before, "a").category), ElementsAre("food", "tea"));
  EXPECT_THAT(before.brands().Path(Traits(before, "a").brand), ElementsAre("Hill"));
  EXPECT_THAT(after.categories().Path(Traits(after, "a").category), ElementsAre("toys"));
}

TEST(ProductTable, SaysWhatItWasToldAndNothingElse) {
  const catalog::v1::Product product = MakeProduct("a", "food/tea", "Hill", 1.25);
  const ProductTable table = TableOf({product, MakeProduct("b", "food")});
  EXPECT_TRUE(table.Says(product));
  EXPECT_TRUE(table.Says(MakeProduct("b", "food")));
  catalog::v1::Product same = product;
  same.set_title("another title is of no importance");
  same.set_availability(catalog::v1::AVAILABILITY_OUT_OF_STOCK);
  EXPECT_TRUE(table.Says(same));
  EXPECT_FALSE(table.Says(MakeProduct("a", "food/tea", "Hill", 1.26)));
  EXPECT_FALSE(table.Says(MakeProduct("a", "food/tea", "Hill")));
  EXPECT_FALSE(table.Says(MakeProduct("a", "food/tea", "", 1.25)));
  EXPECT_FALSE(table.Says(MakeProduct("a", "food", "Hill", 1.25)));
  EXPECT_FALSE(table.Says(MakeProduct("a", "tea/food", "Hill", 1.25)));
  EXPECT_FALSE(table.Says(MakeProduct("c", "food/tea", "Hill", 1.25)));
}

}  // namespace
}  // namespace starling::features

#include "services/recommendation/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::recommendation {
namespace {

using catalog::v1::Product;
using testing::ElementsAre;
using testing::HasSubstr;

Product In(const std::string& id, const std::string& category) {
  Product product;
  product.set_product_id(id);
  if (!category.empty()) product.add_categories(category);
  return product;
}

TEST(Rules, KnowThreePlacements) {
  EXPECT_EQ(*ParsePlacement(""), Placement::kHome);
  EXPECT_EQ(*ParsePlacement("cart"), Placement::kCart);
  const Status wrong = ParsePlacement("crat").status();
  ASSERT_EQ(FieldViolations(wrong).size(), 1u);
  EXPECT_EQ(FieldViolations(wrong)[0].field, "context");
  EXPECT_THAT(FieldViolations(wrong)[0].description, HasSubstr("did you mean 'cart'"));
}

TEST(Rules, WeighWhatUsersDidByItsKind) {
  RecommendationConfig config;
  config.view_weight = 0;
  profile::v1::GetHistoryResponse history;
  for (const auto& [type, id] :
       {std::pair{"purchase", "a"}, {"view", "b"}, {"click", "c"}, {"custom", "d"}, {"cart", ""}}) {
    auto& interaction = *history.add_interactions();
    interaction.set_type(type);
    interaction.set_product_id(id);
    interaction.mutable_occurred_at()->set_seconds(7);
  }
  google::protobuf::RepeatedPtrField<inference::v1::Signal> signals;
  AddSignals(history, config, signals);
  ASSERT_EQ(signals.size(), 2);
  EXPECT_EQ(signals[0].product_id(), "a");
  EXPECT_FLOAT_EQ(signals[0].weight(), 1);
  EXPECT_EQ(signals[1].product_id(), "c");
  EXPECT_FLOAT_EQ(signals[1].weight(), 0.3f);
  EXPECT_EQ(signals[1].occurred_at(), 7);
}

TEST(Rules, ShowNoMoreOfACategoryThanItsShareWhileOthersAreThere) {
  const Product products[] = {In("a", "x"), In("b", "x"), In("c", "x"),
                              In("d", "y"), In("e", ""),  In("f", "")};
  std::vector<Candidate> candidates;
  for (const Product& product : products) candidates.push_back({&product});
  EXPECT_THAT(Choose(candidates, 4, 0.5).shown, ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(Choose(candidates, 4, 1).shown, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Choose(candidates, 4, 0).shown, ElementsAre(0, 3, 4, 5)) << "at least one of each";
  EXPECT_THAT(Choose(candidates, 10, 0.1).shown, ElementsAre(0, 3, 4, 5, 1, 2))
      << "rather one too many of a category than an empty place";
  EXPECT_THAT(Choose({}, 4, 0.5).shown, ElementsAre());
}

TEST(Rules, TellWhetherMoreCandidatesWouldChangeTheChoice) {
  const Product products[] = {In("a", "x"), In("b", "x"), In("c", "x"), In("d", "y")};
  std::vector<Candidate> candidates;
  for (const Product& product : products) candidates.push_back({&product});
  EXPECT_TRUE(Choose(candidates, 2, 0.5).settled);
  EXPECT_FALSE(Choose(candidates, 4, 0.5).settled) << "c filled a place";
  EXPECT_FALSE(Choose(candidates, 5, 1).settled) << "a place is empty";
}

TEST(Rules, BeginWithWhatThePinnedProductsAre) {
  const Product products[] = {In("a", "x"), In("b", "x"), In("p", "x"), In("q", "x")};
  std::vector<Candidate> candidates;
  for (const Product& product : products) candidates.push_back({&product});
  candidates[2].pinned = candidates[3].pinned = true;
  EXPECT_THAT(Choose(candidates, 3, 0.34).shown, ElementsAre(2, 3, 0));
  EXPECT_THAT(Choose(candidates, 1, 0.34).shown, ElementsAre(2));
}

TEST(Rules, SayWhyInAFewTrueWords) {
  using namespace inference::v1;
  using namespace features::v1;
  EXPECT_EQ(Reason(SOURCE_SIMILAR, INTERACTION_TYPE_PURCHASE, "Milk", Placement::kHome),
            "because you bought Milk");
  EXPECT_EQ(Reason(SOURCE_SIMILAR, INTERACTION_TYPE_VIEW, "Milk", Placement::kHome),
            "because you looked at Milk");
  EXPECT_EQ(Reason(SOURCE_SIMILAR, INTERACTION_TYPE_UNSPECIFIED, "Milk", Placement::kHome),
            "because of Milk in your history");
  EXPECT_EQ(Reason(SOURCE_SIMILAR, INTERACTION_TYPE_UNSPECIFIED, "", Placement::kHome),
            "chosen by people like you");
  EXPECT_EQ(Reason(SOURCE_SIMILAR, INTERACTION_TYPE_UNSPECIFIED, "Milk", Placement::kProduct),
            "goes with Milk");
  EXPECT_EQ(Reason(SOURCE_SIMILAR, INTERACTION_TYPE_UNSPECIFIED, "Milk", Placement::kCart),
            "goes with Milk in your cart");
  EXPECT_EQ(Reason(SOURCE_POPULAR, INTERACTION_TYPE_UNSPECIFIED, "", Placement::kHome),
            "popular now");
  EXPECT_EQ(Reason(SOURCE_UNSPECIFIED, INTERACTION_TYPE_UNSPECIFIED, "", Placement::kHome),
            "from our range");
}

}  // namespace
}  // namespace starling::recommendation

#include "services/catalog/catalogue.h"

#include <gtest/gtest.h>

#include <random>

namespace starling::catalog {
namespace {

Catalogue::ProductPointer Make(const std::string& id, const std::string& title) {
  auto product = std::make_shared<v1::Product>();
  product->set_product_id(id);
  product->set_title(title);
  return product;
}

std::vector<std::string> IdsAfter(const Catalogue& catalogue, std::string_view after) {
  std::vector<std::string> ids;
  catalogue.ForEachAfter(after, [&](const v1::Product& product) {
    ids.push_back(product.product_id());
    return true;
  });
  return ids;
}

TEST(Catalogue, AnEmptyOneHasNothing) {
  const Catalogue catalogue;
  EXPECT_EQ(catalogue.Find("p"), nullptr);
  EXPECT_TRUE(IdsAfter(catalogue, "").empty());
  EXPECT_EQ(catalogue.With({{"p", nullptr}}, 1).size(), 0u);
}

TEST(Catalogue, AgreesWithAMapThroughRandomChanges) {
  std::mt19937 random(7);
  Catalogue catalogue;
  std::map<std::string, std::string> expected;
  for (int64_t round = 1; round <= 300; ++round) {
    Catalogue::Changes changes;
    // Now and then a batch, so that chunks split; now and then mostly removals, so that they empty.
    const size_t count = random() % 10 == 0 ? 400 : 1 + random() % 5;
    const bool removing = random() % 4 == 0;
    for (size_t i = 0; i < count; ++i) {
      const std::string id = "p" + std::to_string(random() % 3'000);
      if (removing && random() % 8 != 0) {
        changes[id] = nullptr;
        expected.erase(id);
      } else {
        const std::string title = std::to_string(round);
        changes[id] = Make(id, title);
        expected[id] = title;
      }
    }
    catalogue = catalogue.With(changes, round);
    ASSERT_EQ(catalogue.size(), expected.size()) << "round " << round;
    ASSERT_EQ(catalogue.sequence(), round);
    const std::string probe = "p" + std::to_string(random() % 3'000);
    const v1::Product* found = catalogue.Find(probe);
    const auto at = expected.find(probe);
    ASSERT_EQ(found != nullptr, at != expected.end()) << probe;
    if (found != nullptr) {
      ASSERT_EQ(found->title(), at->second);
    }
    std::vector<std::string> rest;
    for (auto next = expected.upper_bound(probe); next != expected.end(); ++next)
      rest.push_back(next->first);
    ASSERT_EQ(IdsAfter(catalogue, probe), rest) << "after " << probe;
  }
}

TEST(Catalogue, AStateStaysAsItWasWhenTheNextIsMade) {
  const Catalogue first = Catalogue().With({{"a", Make("a", "old")}}, 1);
  const Catalogue second = first.With({{"a", Make("a", "new")}, {"b", Make("b", "B")}}, 2);
  EXPECT_EQ(first.Find("a")->title(), "old");
  EXPECT_EQ(first.Find("b"), nullptr);
  EXPECT_EQ(second.Find("a")->title(), "new");
  EXPECT_EQ(second.size(), 2u);
}

}  // namespace
}  // namespace starling::catalog

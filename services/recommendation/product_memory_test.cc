#include "services/recommendation/product_memory.h"

#include <gtest/gtest.h>

#include <string>

namespace starling::recommendation {
namespace {

catalog::v1::Product Make(const std::string& id, const std::string& etag) {
  catalog::v1::Product product;
  product.set_product_id(id);
  product.set_etag(etag);
  return product;
}

TEST(ProductMemory, GivesTheStateThatWasKeptLast) {
  ProductMemory memory(64);
  EXPECT_EQ(memory.Find("a"), nullptr);
  memory.Keep(Make("a", "1"));
  const auto first = memory.Find("a");
  ASSERT_NE(first, nullptr);
  memory.Keep(Make("a", "1"));
  EXPECT_EQ(memory.Find("a"), first) << "nothing is copied for a state that is there";
  memory.Keep(Make("a", "2"));
  EXPECT_EQ(memory.Find("a")->etag(), "2");
  EXPECT_EQ(first->etag(), "1");
}

TEST(ProductMemory, IsBoundedAndForgetsWhatWasSeenLongestAgo) {
  ProductMemory memory(4);  // one set of four
  for (const char* id : {"a", "b", "c", "d"}) memory.Keep(Make(id, "1"));
  memory.Keep(Make("a", "1"));
  memory.Keep(Make("e", "1"));
  EXPECT_NE(memory.Find("a"), nullptr);
  EXPECT_EQ(memory.Find("b"), nullptr);
  EXPECT_NE(memory.Find("e"), nullptr);
}

TEST(ProductMemory, HoldsNearlyAllOfWhatItIsMadeFor) {
  ProductMemory memory(1'024);
  for (int i = 0; i < 512; ++i) memory.Keep(Make("p" + std::to_string(i), "1"));
  int held = 0;
  for (int i = 0; i < 512; ++i) held += memory.Find("p" + std::to_string(i)) != nullptr ? 1 : 0;
  EXPECT_GT(held, 480);
}

}  // namespace
}  // namespace starling::recommendation

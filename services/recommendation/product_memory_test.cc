#include "services/recommendation/product_memory.h"

#include <gtest/gtest.h>

#include <string>

namespace starling::recommendation {
namespace {

constexpr Duration kSecond = std::chrono::seconds(1);

catalog::v1::Product Make(const std::string& id, const std::string& etag = "1") {
  catalog::v1::Product product;
  product.set_product_id(id);
  product.set_etag(etag);
  return product;
}

TEST(ProductMemory, GivesTheStateThatWasKeptLastWhileItIsYoungEnough) {
  ProductMemory memory(64);
  const Instant now(std::chrono::hours(1));
  EXPECT_EQ(memory.Find("a", ProductMemory::kHoweverOld, now), nullptr);
  memory.Keep(Make("a", "1"), now);
  const auto kept = memory.Keep(Make("a", "2"), now + kSecond);
  EXPECT_EQ(memory.Find("a", kSecond, now + 2 * kSecond), kept);
  EXPECT_EQ(kept->etag(), "2");
  EXPECT_EQ(memory.Find("a", kSecond, now + 2 * kSecond + Duration(1)), nullptr);
  EXPECT_EQ(memory.Find("a", ProductMemory::kHoweverOld, now + std::chrono::hours(100)), kept);
  EXPECT_EQ(memory.Find("b", kSecond, now), nullptr);
}

TEST(ProductMemory, IsBoundedAndForgetsWhatWasAskedForLongestAgo) {
  ProductMemory memory(4);  // one set of four
  const Instant now(std::chrono::hours(1));
  for (const char* id : {"a", "b", "c", "d"}) memory.Keep(Make(id), now);
  ASSERT_NE(memory.Find("a", kSecond, now), nullptr);
  memory.Keep(Make("e"), now);
  EXPECT_NE(memory.Find("a", kSecond, now), nullptr);
  EXPECT_EQ(memory.Find("b", kSecond, now), nullptr);
  EXPECT_NE(memory.Find("e", kSecond, now), nullptr);
}

TEST(ProductMemory, HoldsNearlyAllOfWhatItIsMadeFor) {
  ProductMemory memory(1'024);
  const Instant now(std::chrono::hours(1));
  for (int i = 0; i < 512; ++i) memory.Keep(Make("p" + std::to_string(i)), now);
  int held = 0;
  for (int i = 0; i < 512; ++i)
    held += memory.Find("p" + std::to_string(i), kSecond, now) != nullptr ? 1 : 0;
  EXPECT_GT(held, 480);
}

}  // namespace
}  // namespace starling::recommendation

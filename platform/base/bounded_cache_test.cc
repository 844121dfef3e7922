#include "platform/base/bounded_cache.h"

#include <gtest/gtest.h>

namespace starling {
namespace {

TEST(BoundedCache, KeepsWhatWasUsedLast) {
  BoundedCache<int> cache(2);
  cache.Put("a", std::make_shared<const int>(1));
  cache.Put("b", std::make_shared<const int>(2));
  EXPECT_EQ(*cache.Get("a"), 1);
  cache.Put("c", std::make_shared<const int>(3));
  EXPECT_EQ(cache.Get("b"), nullptr);
  cache.Put("a", std::make_shared<const int>(4));
  EXPECT_EQ(*cache.Get("a"), 4);
  EXPECT_EQ(*cache.Get("c"), 3);
}

}  // namespace
}  // namespace starling

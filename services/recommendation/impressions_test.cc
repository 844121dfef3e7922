#include "services/recommendation/impressions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::recommendation {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Impressions, CountUntilTheUserCares) {
  Impressions impressions(100);
  for (int i = 0; i < 3; ++i) impressions.Seen("ada", "a");
  impressions.Seen("ada", "b");
  EXPECT_THAT(impressions.SeenTooOften("ada", 3), ElementsAre("a"));
  EXPECT_THAT(impressions.SeenTooOften("bob", 1), IsEmpty());
  impressions.Cared("ada", "a");
  impressions.Cared("nobody", "a");
  EXPECT_THAT(impressions.SeenTooOften("ada", 1), ElementsAre("b"));
}

TEST(Impressions, KeepTheMostSeenProductsOfTheUsersActiveLast) {
  Impressions impressions(0);  // one user in each of the 16 parts
  for (int i = 0; i < 5; ++i) impressions.Seen("ada", "often");
  for (int i = 0; i < 1'000; ++i) impressions.Seen("ada", std::to_string(i));
  EXPECT_THAT(impressions.SeenTooOften("ada", 2), ElementsAre("often"));
  EXPECT_LE(impressions.SeenTooOften("ada", 1).size(), 256u);
  for (int i = 0; i < 200; ++i) impressions.Seen("user" + std::to_string(i), "p");
  EXPECT_THAT(impressions.SeenTooOften("ada", 1), IsEmpty());
}

}  // namespace
}  // namespace starling::recommendation

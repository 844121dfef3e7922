#include "learning/models/neighbour_counts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "learning/models/test_interactions.h"

namespace starling::learning {
namespace {

// Of each item, one by one.
std::vector<size_t> CountedOneByOne(const Interactions& data) {
  std::vector<std::set<uint32_t>> neighbours(data.items());
  for (size_t user = 0; user < data.users(); ++user) {
    for (const uint32_t a : data.row(user).items) {
      for (const uint32_t b : data.row(user).items) {
        if (a != b) neighbours[a].insert(b);
      }
    }
  }
  std::vector<size_t> counts;
  counts.reserve(neighbours.size());
  for (const auto& each : neighbours) counts.push_back(each.size());
  return counts;
}

uint64_t Sum(const std::vector<size_t>& counts, size_t most) {
  uint64_t sum = 0;
  for (const size_t count : counts) sum += std::min(count, most);
  return sum;
}

TEST(NeighbourCounts, AreExactInASmallCatalogue) {
  const Interactions data = MakeInteractions(TestEvents(60, 100, 3), 60, 100).value();
  const std::vector<size_t> exact = CountedOneByOne(data);
  const NeighbourCounts counts(data, 100);
  for (const size_t most : {1, 5, 20, 100}) EXPECT_EQ(counts.Expected(most), Sum(exact, most));
}

TEST(NeighbourCounts, AreNearlySoInALargeOne) {
  // Popular items, and a tail that hardly anybody has.
  Random random(7);
  std::vector<Interaction> events;
  for (uint32_t user = 0; user < 3'000; ++user) {
    const uint64_t count = 1 + random.Below(60);
    for (uint64_t i = 0; i < count; ++i) {
      const double skewed = random.Unit() * random.Unit() * random.Unit();
      events.push_back({.user = user, .item = static_cast<uint32_t>(skewed * 19'999)});
    }
  }
  const Interactions data = MakeInteractions(events, 3'000, 20'000).value();
  const std::vector<size_t> exact = CountedOneByOne(data);
  const NeighbourCounts counts(data, 20'000);
  for (const size_t most : {1, 20, 100, 1'000, 20'000}) {
    const auto sum = static_cast<double>(Sum(exact, most));
    EXPECT_NEAR(static_cast<double>(counts.Expected(most)), sum, 0.03 * sum) << most;
    EXPECT_GE(counts.AtMost(most), Sum(exact, most)) << most;
  }
  EXPECT_GE(counts.Widest(), *std::ranges::max_element(exact));
}

// The mean of something over a bound, here of the neighbours themselves, times all bounds.
TEST(NeighbourCounts, SampleStandsForAllItems) {
  Random random(8);
  std::vector<Interaction> events;
  for (uint32_t user = 0; user < 1'000; ++user) {
    for (uint64_t i = 1 + random.Below(20); i > 0; --i)
      events.push_back(
          {.user = user, .item = static_cast<uint32_t>(random.Unit() * random.Unit() * 2'999)});
  }
  const Interactions data = MakeInteractions(events, 1'000, 3'000).value();
  const std::vector<size_t> exact = CountedOneByOne(data);
  constexpr size_t kMost = 200;
  const NeighbourCounts counts(data, kMost);
  const auto sample = counts.Sample(64, kMost);
  ASSERT_EQ(sample.size(), 64);
  double mean = 0;
  for (const NeighbourCounts::Sampled& each : sample) {
    EXPECT_LE(std::min(exact[each.item], kMost), each.bound);
    mean += static_cast<double>(std::min(exact[each.item], kMost)) / each.bound / 64;
  }
  const auto sum = static_cast<double>(Sum(exact, kMost));
  EXPECT_NEAR(mean * static_cast<double>(counts.AtMost(kMost)), sum, 0.05 * sum);
}

TEST(NeighbourCounts, AreNoneWhereNobodyHasTwoItems) {
  const Interactions data =
      MakeInteractions({{{.user = 0, .item = 1}, {.user = 1, .item = 2}}}, 2, 4).value();
  const NeighbourCounts counts(data, 10);
  EXPECT_EQ(counts.Expected(10), 0);
  EXPECT_EQ(counts.AtMost(10), 0);
  EXPECT_EQ(counts.Widest(), 0);
  EXPECT_TRUE(counts.Sample(5, 10).empty());
  EXPECT_EQ(NeighbourCounts(Interactions(), 10).Expected(10), 0);
}

}  // namespace
}  // namespace starling::learning

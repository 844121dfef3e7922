// Made interactions, baskets and titles of a shop of any size, and examples for trees, for
// benchmarks and tests of memory.
//
//   STARLING_ASSIGN_OR_RETURN(Interactions data, MadeInteractions({.users = 500'000, ...}));
//
// Items are as popular as Zipf's law has it, in an order drawn at random; users have from one item
// to some dozens of times the mean, most of them few. No user has an item twice, so there are as
// many entries as wanted. The same seed gives the same every time; some 300 ns an entry.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "learning/baskets.h"
#include "learning/interactions.h"
#include "learning/item_terms.h"
#include "learning/random.h"
#include "learning/ranking/boosted_trees.h"

namespace starling {

struct MadeShop {
  uint32_t users = 0;
  uint32_t items = 0;
  size_t entries = 0;   // far fewer than users x items
  double exponent = 1;  // of Zipf's law
  uint64_t seed = 1;
};

inline StatusOr<learning::Interactions> MadeInteractions(const MadeShop& shop) {
  learning::Random random(shop.seed);
  std::vector<double> up_to(shop.items);  // the share of the items that are at least so popular
  double sum = 0;
  for (uint32_t rank = 0; rank < shop.items; ++rank)
    up_to[rank] = sum += std::pow(rank + 1.0, -shop.exponent);
  std::vector<uint32_t> item_of(shop.items);
  std::iota(item_of.begin(), item_of.end(), 0U);
  for (uint32_t rank = shop.items; rank > 1; --rank)
    std::swap(item_of[rank - 1], item_of[random.Below(rank)]);

  std::vector<learning::Interaction> events;
  events.reserve(shop.entries);
  std::vector<uint32_t> had_by(shop.items, shop.users);
  for (uint32_t user = 0; user < shop.users && events.size() < shop.entries; ++user) {
    const double mean =
        static_cast<double>(shop.entries - events.size()) / static_cast<double>(shop.users - user);
    // Log-normal with that mean; the last user has what is left.
    const double wanted = user + 1 == shop.users ? mean : mean * std::exp(random.Normal() - 0.5);
    const size_t count =
        std::min<size_t>({std::max<size_t>(1, static_cast<size_t>(std::llround(wanted))),
                          shop.items / 4 + 1, shop.entries - events.size()});
    for (size_t i = 0; i < count;) {
      const auto at = std::upper_bound(up_to.begin(), up_to.end(), random.Unit() * sum);
      const auto rank = std::min<size_t>(static_cast<size_t>(at - up_to.begin()), shop.items - 1);
      uint32_t& last = had_by[item_of[rank]];
      if (last == user) continue;
      last = user;
      events.push_back({.user = user, .item = item_of[rank], .time = 1});
      ++i;
    }
  }
  return learning::MakeInteractions(events, shop.users, shop.items);
}

// Baskets of some three products, each user's a week apart.
inline StatusOr<learning::Baskets> MadeBaskets(const MadeShop& shop) {
  STARLING_ASSIGN_OR_RETURN(const learning::Interactions data, MadeInteractions(shop));
  std::vector<learning::Interaction> events;
  events.reserve(data.entries());
  for (uint32_t user = 0; user < data.users(); ++user) {
    const std::span<const uint32_t> items = data.row(user).items;
    for (size_t i = 0; i < items.size(); ++i) {
      // Items ascend, so neighbours in the row would always be of one basket.
      const auto week = static_cast<int64_t>(i * 2'654'435'761 % (items.size() / 3 + 1));
      events.push_back({.user = user, .item = items[i], .time = 1 + week * 7 * 86'400});
    }
  }
  return learning::MakeBaskets(events, shop.users, shop.items);
}

// Titles of some words each, a few of which many have.
inline learning::ItemTerms MadeTerms(uint32_t items, uint32_t words) {
  learning::Random random(1);
  learning::ItemTerms terms(items);
  for (uint32_t item = 0; item < items; ++item) {
    std::string title;
    for (int i = 0; i < 5; ++i)
      title += "word" + std::to_string(static_cast<uint32_t>(std::pow(words, random.Unit()))) + " ";
    terms.AddText(item, title);
  }
  return terms;
}

// Rows for trees: columns of even numbers, of which the first is how likely the target is.
struct MadeExamples {
  MadeExamples(size_t rows, size_t features) : columns(rows * features), targets(rows) {
    learning::Random random(1);
    for (float& value : columns) value = static_cast<float>(random.Unit());
    for (size_t row = 0; row < rows; ++row) targets[row] = columns[row] > random.Unit() ? 1 : 0;
  }
  learning::TreeExamples examples() const { return {columns, targets.size(), targets}; }

  std::vector<float> columns;  // of each feature, `rows` values
  std::vector<uint8_t> targets;
};

}  // namespace starling

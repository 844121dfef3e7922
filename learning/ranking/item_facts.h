// What is known of each item at a time, from who bought it when: how popular it is and becomes,
// how new it is, and whether people come back for it.
//
//   std::vector<float> facts = FactsOfItems(events, items, until);    // items x kItemFactStride
//   float lately = facts[item * kItemFactStride + kBuyers28];
//
// Counts of buyers are per thousand people who bought anything in the same window, so that a busy
// month and a quiet one compare. Pure; some 20 ns an event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/ranking/item_attributes.h"

namespace starling::learning {

enum ItemFact : size_t {
  kBuyers7,        // bought it in the last 7 days, per thousand buyers of anything
  kBuyers28,       // the same of 28 days
  kBuyers84,       // of 84 days
  kBuyersEver,     // ever
  kBuyersBefore,   // in the 28 days before the last 28
  kTrend28,        // log of kBuyers28 to kBuyersBefore
  kTrend7,         // log of kBuyers7 to kBuyers28
  kFirstBuyers14,  // bought it for the first time in the last 14 days
  kFirstBuyers28,  // the same of 28 days
  kDaysOnSale,     // since the first purchase
  kDaysIdle,       // since the last purchase
  kTimesPerBuyer,  // purchases of one buyer, mean
  kComeBack,       // share of its buyers that bought it more than once
  kLogBuyers28,    // log(1 + kBuyers28)
  kPrice,          // log(1 + price); 0: not known
  kPlaceInGroup,   // by kBuyers84 among those of its narrowest category, from 0
  kItemFacts
};
// A row is one cache line. kPrice and kPlaceInGroup are 0 until AddAttributes.
inline constexpr size_t kItemFactStride = 16;

struct GoalEvent {
  uint32_t user = 0;
  uint32_t item = 0;
  int64_t time = 0;  // unix seconds
};

// events: by user, then item, then time; those after `until` (unix seconds) are ignored.
std::vector<float> FactsOfItems(std::span<const GoalEvent> events, size_t items, int64_t until);

// Sets what the catalogue says. attributes.items() rows.
void AddAttributes(const ItemAttributes& attributes, std::span<float> facts);
// The items of each narrowest category by descending kBuyers84, at most `most` of each that anybody
// bought; of group g those from offsets[g] to offsets[g + 1].
struct PopularByGroup {
  std::vector<uint32_t> offsets;  // attributes.group_count() + 1
  std::vector<uint32_t> items;
};
PopularByGroup PopularOfGroups(const ItemAttributes& attributes, std::span<const float> facts,
                               size_t most);

}  // namespace starling::learning

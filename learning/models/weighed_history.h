// A history as a model sees it: one weighed entry an item.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "learning/models/model.h"
#include "learning/weighting.h"

namespace starling::learning {

struct WeighedItem {
  uint32_t item;
  float x;
};

// By ascending item; items from `items` on are left out. Events of one item are merged as
// MakeInteractions merges them (weights summed, the latest time) and then weighed, so a history is
// seen as the fit saw its row. About 20 ns an event.
inline std::vector<WeighedItem> WeighHistory(History history, const Weighting& weighting,
                                             int64_t now, size_t items) {
  std::vector<HistoryItem> events;
  events.reserve(history.size());
  std::copy_if(history.begin(), history.end(), std::back_inserter(events),
               [&](const HistoryItem& event) { return event.item < items; });
  std::stable_sort(events.begin(), events.end(),
                   [](const HistoryItem& a, const HistoryItem& b) { return a.item < b.item; });
  std::vector<WeighedItem> entries;
  entries.reserve(events.size());
  for (size_t i = 0; i < events.size();) {
    HistoryItem merged = events[i];
    for (++i; i < events.size() && events[i].item == merged.item; ++i) {
      merged.weight += events[i].weight;
      merged.time = std::max(merged.time, events[i].time);
    }
    entries.push_back({merged.item, Weigh(weighting, merged.weight, merged.time, now)});
  }
  return entries;
}

}  // namespace starling::learning

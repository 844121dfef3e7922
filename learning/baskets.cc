#include "learning/baskets.h"

#include <algorithm>

namespace starling::learning {

// One user's events by ascending time.
void Baskets::Add(std::span<const HistoryItem> sorted) {
  for (size_t i = 0; i < sorted.size();) {
    const int64_t begins = sorted[i].time;
    const size_t first = items_.size();
    for (; i < sorted.size() && sorted[i].time - begins <= kBasketSpan; ++i)
      items_.push_back(sorted[i].item);
    const auto begin = items_.begin() + static_cast<ptrdiff_t>(first);
    std::sort(begin, items_.end());
    items_.erase(std::unique(begin, items_.end()), items_.end());
    offsets_.push_back(items_.size());
    times_.push_back(begins);
  }
  if (!sorted.empty()) latest_time_ = std::max(latest_time_, sorted.back().time);
  users_.push_back(times_.size());
}

StatusOr<Baskets> MakeBaskets(std::span<const Interaction> events, size_t users, size_t items) {
  std::vector<size_t> offsets(users + 1, 0);
  for (size_t i = 0; i < events.size(); ++i) {
    if (events[i].user >= users || events[i].item >= items) {
      return InvalidField("events", "event {} is of user {} and item {}; there are {} and {}", i,
                          events[i].user, events[i].item, users, items);
    }
    ++offsets[events[i].user + 1];
  }
  for (size_t user = 0; user < users; ++user) offsets[user + 1] += offsets[user];
  std::vector<HistoryItem> sorted(events.size());
  std::vector<size_t> next(offsets.begin(), offsets.end() - 1);
  for (const Interaction& event : events)
    sorted[next[event.user]++] = {event.item, event.weight, event.time};
  Baskets baskets;
  baskets.items_count_ = items;
  for (size_t user = 0; user < users; ++user) {
    const auto of_user =
        std::span(sorted).subspan(offsets[user], offsets[user + 1] - offsets[user]);
    std::sort(of_user.begin(), of_user.end(),
              [](const HistoryItem& a, const HistoryItem& b) { return a.time < b.time; });
    baskets.Add(of_user);
  }
  return baskets;
}

Baskets BasketsOf(History history, size_t items) {
  std::vector<HistoryItem> sorted;
  sorted.reserve(history.size());
  for (const HistoryItem& event : history) {
    if (event.item < items) sorted.push_back(event);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const HistoryItem& a, const HistoryItem& b) { return a.time < b.time; });
  Baskets baskets;
  baskets.items_count_ = items;
  baskets.Add(sorted);
  return baskets;
}

}  // namespace starling::learning

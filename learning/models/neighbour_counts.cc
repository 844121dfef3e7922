#include "learning/models/neighbour_counts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace starling::learning {
namespace {

constexpr size_t kCounted = 512;

// Of each item its paths, or the number of other items where that is smaller.
std::vector<uint32_t> BoundsOf(const Interactions& data) {
  const uint64_t others = data.items() == 0 ? 0 : data.items() - 1;
  std::vector<uint32_t> bounds(data.items(), 0);
  for (size_t user = 0; user < data.users(); ++user) {
    const Interactions::Row row = data.row(user);
    for (const uint32_t item : row.items)
      bounds[item] =
          static_cast<uint32_t>(std::min<uint64_t>(bounds[item] + row.size() - 1, others));
  }
  return bounds;
}

// The users of some items.
std::vector<std::vector<uint32_t>> UsersOf(const Interactions& data,
                                           const std::vector<uint32_t>& items) {
  constexpr uint32_t kNone = ~uint32_t{0};
  std::vector<uint32_t> place(data.items(), kNone);
  for (size_t i = 0; i < items.size(); ++i) place[items[i]] = static_cast<uint32_t>(i);
  std::vector<std::vector<uint32_t>> users(items.size());
  for (size_t user = 0; user < data.users(); ++user) {
    for (const uint32_t item : data.row(user).items) {
      if (place[item] != kNone) users[place[item]].push_back(static_cast<uint32_t>(user));
    }
  }
  return users;
}

}  // namespace

NeighbourCounts::NeighbourCounts(const Interactions& data, size_t most) {
  const std::vector<uint32_t> bounds = BoundsOf(data);
  for (uint32_t item = 0; item < bounds.size(); ++item) {
    if (bounds[item] > 0) items_.push_back(item);
  }
  std::stable_sort(items_.begin(), items_.end(),
                   [&](uint32_t a, uint32_t b) { return bounds[a] < bounds[b]; });
  bounds_.reserve(items_.size());
  for (const uint32_t item : items_) bounds_.push_back(bounds[item]);

  const size_t strata = std::min(items_.size(), kCounted);
  std::vector<uint32_t> counted;  // the middle of each stratum
  for (size_t s = 0; s < strata; ++s) {
    const size_t begin = items_.size() * s / strata;
    const size_t end = items_.size() * (s + 1) / strata;
    counted.push_back(items_[begin + (end - begin) / 2]);
    strata_.push_back({.begin = begin, .end = end, .bound = bounds[counted.back()]});
  }
  const std::vector<std::vector<uint32_t>> users = UsersOf(data, counted);
  std::vector<uint32_t> seen(data.items(), 0);  // by which stratum, from 1
  for (uint32_t s = 0; s < strata; ++s) {
    uint64_t& found = strata_[s].counted;
    seen[counted[s]] = s + 1;
    for (size_t u = 0; u < users[s].size() && found < most; ++u) {
      for (const uint32_t item : data.row(users[s][u]).items) {
        found += seen[item] != s + 1 ? 1 : 0;
        seen[item] = s + 1;
      }
    }
  }
}

uint64_t NeighbourCounts::Expected(size_t most) const {
  double sum = 0;
  for (const Stratum& stratum : strata_) {
    double bound = 0;
    for (size_t i = stratum.begin; i < stratum.end; ++i)
      bound += static_cast<double>(std::min<uint64_t>(bounds_[i], most));
    sum += bound * static_cast<double>(std::min<uint64_t>(stratum.counted, most)) /
           static_cast<double>(std::min<uint64_t>(stratum.bound, most));
  }
  return static_cast<uint64_t>(std::llround(sum));
}

uint64_t NeighbourCounts::AtMost(size_t most) const {
  return std::accumulate(
      bounds_.begin(), bounds_.end(), uint64_t{0},
      [&](uint64_t sum, uint32_t bound) { return sum + std::min<uint64_t>(bound, most); });
}

std::vector<NeighbourCounts::Sampled> NeighbourCounts::Sample(size_t count, size_t most) const {
  const auto total = static_cast<double>(AtMost(most));
  std::vector<Sampled> sample;
  double passed = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    const auto bound = static_cast<uint32_t>(std::min<uint64_t>(bounds_[i], most));
    passed += bound;
    while (sample.size() < count &&
           (static_cast<double>(sample.size()) + 0.5) * total < passed * static_cast<double>(count))
      sample.push_back({items_[i], bound});
  }
  return sample;
}

}  // namespace starling::learning

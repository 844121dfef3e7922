#include "learning/ranking/item_facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace starling::learning {
namespace {

constexpr double kDay = 86'400;
constexpr float kNever = 9'999;  // days

// The windows that buyers are counted in, in days before `until`.
struct Window {
  ItemFact fact;
  double from, to;
};
constexpr std::array<Window, 5> kWindows = {{{kBuyers7, 7, 0},
                                             {kBuyers28, 28, 0},
                                             {kBuyers84, 84, 0},
                                             {kBuyersEver, 1e9, 0},
                                             {kBuyersBefore, 56, 28}}};

// The items by narrowest category, and in each by descending kBuyers84.
std::vector<uint32_t> ByGroup(const ItemAttributes& attributes, std::span<const float> facts) {
  std::vector<uint32_t> order(attributes.items());
  for (uint32_t item = 0; item < order.size(); ++item) order[item] = item;
  const auto group = [&](uint32_t item) {
    return attributes.groups()[item * ItemAttributes::kKinds + ItemAttributes::kNarrowest];
  };
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (group(a) != group(b)) return group(a) < group(b);
    const float x = facts[a * kItemFactStride + kBuyers84];
    const float y = facts[b * kItemFactStride + kBuyers84];
    return x != y ? x > y : a < b;
  });
  return order;
}

bool In(const Window& window, double days) { return days < window.from && days >= window.to; }

}  // namespace

std::vector<float> FactsOfItems(std::span<const GoalEvent> events, size_t items, int64_t until) {
  std::vector<float> facts(items * kItemFactStride, 0);
  for (size_t item = 0; item < items; ++item) {
    facts[item * kItemFactStride + kDaysOnSale] = kNever;
    facts[item * kItemFactStride + kDaysIdle] = kNever;
  }
  std::array<double, kWindows.size()> active = {};  // buyers of anything
  std::array<bool, kWindows.size()> buys = {};      // whether this user is one
  std::vector<float> times(items, 0);
  std::vector<float> came_back(items, 0);
  for (size_t i = 0; i < events.size();) {
    const GoalEvent& first = events[i];
    std::array<bool, kWindows.size()> bought = {};
    double first_days = -1;
    float count = 0;
    int64_t last_time = std::numeric_limits<int64_t>::min();
    float* of_item = facts.data() + first.item * kItemFactStride;
    for (; i < events.size() && events[i].user == first.user && events[i].item == first.item; ++i) {
      if (events[i].time > until || events[i].time == last_time) continue;
      last_time = events[i].time;
      const double days = static_cast<double>(until - events[i].time) / kDay;
      if (count == 0) first_days = days;
      ++count;
      for (size_t w = 0; w < kWindows.size(); ++w) bought[w] = bought[w] || In(kWindows[w], days);
      if (of_item[kDaysOnSale] == kNever || days > of_item[kDaysOnSale])
        of_item[kDaysOnSale] = static_cast<float>(days);
      of_item[kDaysIdle] = std::min(of_item[kDaysIdle], static_cast<float>(days));
    }
    for (size_t w = 0; w < kWindows.size(); ++w) {
      of_item[kWindows[w].fact] += bought[w] ? 1 : 0;
      buys[w] = buys[w] || bought[w];
    }
    if (count > 0) {
      times[first.item] += count;
      came_back[first.item] += count > 1 ? 1 : 0;
      if (first_days < 14) ++of_item[kFirstBuyers14];
      if (first_days < 28) ++of_item[kFirstBuyers28];
    }
    if (i == events.size() || events[i].user != first.user) {
      for (size_t w = 0; w < kWindows.size(); ++w) active[w] += buys[w] ? 1 : 0;
      buys = {};
    }
  }
  for (size_t item = 0; item < items; ++item) {
    float* of_item = facts.data() + item * kItemFactStride;
    const float buyers = of_item[kBuyersEver];
    of_item[kTimesPerBuyer] = buyers > 0 ? times[item] / buyers : 0;
    of_item[kComeBack] = buyers > 0 ? came_back[item] / buyers : 0;
    for (size_t w = 0; w < kWindows.size(); ++w)
      of_item[kWindows[w].fact] *= static_cast<float>(1'000 / std::max(active[w], 1.0));
    of_item[kLogBuyers28] = std::log1p(of_item[kBuyers28]);
    // Half a buyer on both sides, so that nothing is divided by nothing.
    const auto trend = [](float now, float before, double active_now, double active_before) {
      return static_cast<float>(std::log((now + 500 / std::max(active_now, 1.0)) /
                                         (before + 500 / std::max(active_before, 1.0))));
    };
    of_item[kTrend28] = trend(of_item[kBuyers28], of_item[kBuyersBefore], active[1], active[4]);
    of_item[kTrend7] = trend(of_item[kBuyers7], of_item[kBuyers28], active[0], active[1]);
    of_item[kFirstBuyers14] *= static_cast<float>(1'000 / std::max(active[1], 1.0));
    of_item[kFirstBuyers28] *= static_cast<float>(1'000 / std::max(active[1], 1.0));
  }
  return facts;
}

void AddAttributes(const ItemAttributes& attributes, std::span<float> facts) {
  uint32_t group = 0;
  float place = 0;
  for (const uint32_t item : ByGroup(attributes, facts)) {
    const uint32_t of_item =
        attributes.groups()[item * ItemAttributes::kKinds + ItemAttributes::kNarrowest];
    place = of_item == group ? place + 1 : 0;
    group = of_item;
    facts[item * kItemFactStride + kPrice] = attributes.prices()[item];
    facts[item * kItemFactStride + kPlaceInGroup] = group == 0 ? 0 : place;
  }
}

PopularByGroup PopularOfGroups(const ItemAttributes& attributes, std::span<const float> facts,
                               size_t most) {
  PopularByGroup popular;
  popular.offsets.assign(attributes.group_count() + 1, 0);
  uint32_t group = 0;
  size_t place = 0;
  for (const uint32_t item : ByGroup(attributes, facts)) {
    const uint32_t of_item =
        attributes.groups()[item * ItemAttributes::kKinds + ItemAttributes::kNarrowest];
    place = of_item == group ? place + 1 : 0;
    group = of_item;
    if (group == 0 || place >= most || !(facts[item * kItemFactStride + kBuyers84] > 0)) continue;
    popular.items.push_back(item);
    ++popular.offsets[group + 1];
  }
  for (size_t g = 1; g < popular.offsets.size(); ++g) popular.offsets[g] += popular.offsets[g - 1];
  return popular;
}

}  // namespace starling::learning

#include "learning/interactions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace starling::learning {
namespace {

Status CheckShape(std::string_view field, size_t value, size_t limit) {
  if (value > limit) {
    return WithViolations(
        ResourceExhausted("{}: {} is above the limit of {}; fit on fewer, or raise the limit when "
                          "the machine has the memory",
                          field, value, limit),
        {{std::string(field), "above the limit"}});
  }
  return OkStatus();
}

Status CheckEvent(size_t index, const Interaction& event, size_t users, size_t items) {
  if (event.user >= users) {
    return InvalidField("user", "{} of event {} is not below the {} users given", event.user, index,
                        users);
  }
  if (event.item >= items) {
    return InvalidField("item", "{} of event {} is not below the {} items given", event.item, index,
                        items);
  }
  if (!(event.weight > 0) || !std::isfinite(event.weight)) {
    return InvalidField("weight", "{} of event {} is not a finite number above 0; leave it out",
                        event.weight, index);
  }
  return OkStatus();
}

// Where each row begins when row r has counts[r] entries.
std::vector<size_t> Offsets(std::span<const size_t> counts) {
  std::vector<size_t> offsets(counts.size() + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), offsets.begin() + 1);
  return offsets;
}

}  // namespace

Interactions::Row Interactions::row(size_t user) const {
  const size_t begin = offsets_[user];
  const size_t size = offsets_[user + 1] - begin;
  return {.items = items_.subspan(begin, size),
          .weights = weights_.subspan(begin, size),
          .times = times_.empty() ? std::span<const int64_t>() : times_.subspan(begin, size)};
}

bool Interactions::Contains(size_t user, uint32_t item) const {
  const auto items = row(user).items;
  return std::binary_search(items.begin(), items.end(), item);
}

std::vector<uint32_t> Interactions::ItemCounts() const {
  std::vector<uint32_t> counts(items_count_, 0);
  for (const uint32_t item : items_) {
    ++counts[item];
  }
  return counts;
}

Interactions Interactions::Transposed() const {
  std::vector<size_t> next(items_count_ + 1, 0);  // where the next entry of each item goes
  for (const uint32_t item : items_) ++next[item + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  Interactions result;
  result.offsets_ = Array(next);
  std::vector<uint32_t> users_of(entries());
  std::vector<float> weights(entries());
  for (size_t user = 0; user < users(); ++user) {
    for (size_t from = offsets_[user]; from < offsets_[user + 1]; ++from) {
      const size_t to = next[items_[from]]++;
      users_of[to] = static_cast<uint32_t>(user);
      weights[to] = weights_[from];
    }
  }
  result.items_ = Array(std::move(users_of));
  result.weights_ = Array(std::move(weights));
  result.items_count_ = users();
  result.latest_time_ = latest_time_;
  return result;
}

Interactions Interactions::Weighed(const Weighting& weighting, int64_t now) const {
  std::vector<float> weights(entries());
  for (size_t i = 0; i < weights.size(); ++i) {
    const int64_t time = times_.empty() ? now : times_[i];
    // What has aged away stays an entry, with the smallest weight whose inverse is finite.
    weights[i] =
        std::max(Weigh(weighting, weights_[i], time, now), std::numeric_limits<float>::min());
  }
  Interactions result = *this;
  result.weights_ = Array(std::move(weights));
  return result;
}

StatusOr<Interactions> MakeInteractions(std::span<const Interaction> events, size_t users,
                                        size_t items, const InteractionLimits& limits) {
  STARLING_RETURN_IF_ERROR(CheckShape("users", users, limits.users));
  STARLING_RETURN_IF_ERROR(CheckShape("items", items, limits.items));
  STARLING_RETURN_IF_ERROR(CheckShape("events", events.size(), limits.events));
  std::vector<size_t> counts(users, 0);
  for (size_t i = 0; i < events.size(); ++i) {
    STARLING_RETURN_IF_ERROR(CheckEvent(i, events[i], users, items));
    ++counts[events[i].user];
  }
  const std::vector<size_t> offsets = Offsets(counts);
  std::vector<Interaction> sorted(events.size());
  std::vector<size_t> next(offsets.begin(), offsets.end() - 1);
  for (const Interaction& event : events) {
    sorted[next[event.user]++] = event;
  }

  std::vector<size_t> ends(users + 1, 0);
  std::vector<uint32_t> of_items;
  std::vector<float> weights;
  std::vector<int64_t> times;
  of_items.reserve(events.size());
  weights.reserve(events.size());
  times.reserve(events.size());
  for (size_t user = 0; user < users; ++user) {
    const auto begin = sorted.begin() + static_cast<ptrdiff_t>(offsets[user]);
    const auto end = sorted.begin() + static_cast<ptrdiff_t>(offsets[user + 1]);
    std::stable_sort(begin, end,
                     [](const Interaction& a, const Interaction& b) { return a.item < b.item; });
    for (auto event = begin; event != end; ++event) {
      if (event != begin && event->item == of_items.back()) {
        weights.back() += event->weight;
        times.back() = std::max(times.back(), event->time);
      } else {
        of_items.push_back(event->item);
        weights.push_back(event->weight);
        times.push_back(event->time);
      }
    }
    ends[user + 1] = of_items.size();
  }
  Interactions result;
  result.items_count_ = items;
  if (!times.empty()) result.latest_time_ = *std::max_element(times.begin(), times.end());
  result.offsets_ = Array(std::move(ends));
  result.items_ = Array(std::move(of_items));
  result.weights_ = Array(std::move(weights));
  result.times_ = Array(std::move(times));
  return result;
}

TimeSplit SplitByTime(std::span<const Interaction> events, int64_t cut) {
  TimeSplit split;
  for (const Interaction& event : events) {
    (event.time < cut ? split.train : split.test).push_back(event);
  }
  return split;
}

StatusOr<Interactions> WithoutKnown(const Interactions& test, const Interactions& train) {
  if (test.users() != train.users() || test.items() != train.items()) {
    return InvalidField("test", "{} x {} is not the shape of train, {} x {}", test.users(),
                        test.items(), train.users(), train.items());
  }
  std::vector<Interaction> rest;
  for (size_t user = 0; user < test.users(); ++user) {
    const Interactions::Row row = test.row(user);
    for (size_t i = 0; i < row.size(); ++i) {
      if (!train.Contains(user, row.items[i])) {
        rest.push_back({.user = static_cast<uint32_t>(user),
                        .item = row.items[i],
                        .weight = row.weights[i],
                        .time = row.times[i]});
      }
    }
  }
  return MakeInteractions(rest, test.users(), test.items());
}

}  // namespace starling::learning

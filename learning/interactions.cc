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
  return {.items = std::span(items_).subspan(begin, size),
          .weights = std::span(weights_).subspan(begin, size),
          .times = std::span(times_).subspan(begin, size)};
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
  std::vector<size_t> counts(items_count_, 0);
  for (const uint32_t item : items_) {
    ++counts[item];
  }
  Interactions result;
  result.offsets_ = Offsets(counts);
  result.items_.resize(entries());
  result.weights_.resize(entries());
  result.times_.resize(entries());
  result.items_count_ = users();
  result.latest_time_ = latest_time_;
  std::vector<size_t> next(result.offsets_.begin(), result.offsets_.end() - 1);
  for (size_t user = 0; user < users(); ++user) {
    for (size_t from = offsets_[user]; from < offsets_[user + 1]; ++from) {
      const size_t to = next[items_[from]]++;
      result.items_[to] = static_cast<uint32_t>(user);
      result.weights_[to] = weights_[from];
      result.times_[to] = times_[from];
    }
  }
  return result;
}

Interactions Interactions::Weighed(const Weighting& weighting, int64_t now) const {
  Interactions result = *this;
  for (size_t i = 0; i < result.weights_.size(); ++i) {
    // What has aged away stays an entry, with the smallest weight whose inverse is finite.
    result.weights_[i] =
        std::max(Weigh(weighting, weights_[i], times_[i], now), std::numeric_limits<float>::min());
  }
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

  Interactions result;
  result.items_count_ = items;
  result.offsets_.assign(users + 1, 0);
  for (size_t user = 0; user < users; ++user) {
    const auto begin = sorted.begin() + static_cast<ptrdiff_t>(offsets[user]);
    const auto end = sorted.begin() + static_cast<ptrdiff_t>(offsets[user + 1]);
    std::stable_sort(begin, end,
                     [](const Interaction& a, const Interaction& b) { return a.item < b.item; });
    for (auto event = begin; event != end; ++event) {
      if (event != begin && event->item == result.items_.back()) {
        result.weights_.back() += event->weight;
        result.times_.back() = std::max(result.times_.back(), event->time);
      } else {
        result.items_.push_back(event->item);
        result.weights_.push_back(event->weight);
        result.times_.push_back(event->time);
      }
    }
    result.offsets_[user + 1] = result.items_.size();
  }
  if (!result.times_.empty()) {
    result.latest_time_ = *std::max_element(result.times_.begin(), result.times_.end());
  }
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

// Who interacted with what: a sparse users x items matrix in compressed rows.
//
//   std::vector<Interaction> events = {{.user = 0, .item = 7, .weight = 1, .time = 1'290'000'000}};
//   TimeSplit split = SplitByTime(events, cut);                       // before, and at or after
//   STARLING_ASSIGN_OR_RETURN(Interactions train, MakeInteractions(split.train, users, items));
//   for (uint32_t item : train.row(0).items) ...
//
// Users and items are dense indexes from 0; names belong to IdTable (id_table.h). An immutable
// value, 16 bytes an entry and 8 a user; copies share them. Thread-safe for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/math/array.h"
#include "learning/weighting.h"
#include "platform/base/status.h"

namespace starling::learning {

struct Interaction {
  uint32_t user = 0;
  uint32_t item = 0;
  float weight = 1;  // > 0, finite
  int64_t time = 0;  // unix seconds
};

struct InteractionLimits {
  size_t users = 10'000'000;
  size_t items = 4'000'000;
  size_t events = 100'000'000;  // 24 bytes each before, 16 after
};

class Interactions {
 public:
  Interactions() : offsets_(std::vector<size_t>(1, 0)) {}

  // The entries of one row, by ascending item; arrays of one length, but what was transposed has no
  // times.
  struct Row {
    std::span<const uint32_t> items;
    std::span<const float> weights;
    std::span<const int64_t> times;
    size_t size() const { return items.size(); }
  };

  size_t users() const { return offsets_.size() - 1; }
  size_t items() const { return items_count_; }
  size_t entries() const { return items_.size(); }
  Row row(size_t user) const;
  bool Contains(size_t user, uint32_t item) const;  // log of the row's length

  // The latest time of any entry; 0 when there is none.
  int64_t latest_time() const { return latest_time_; }
  // How many users have each item.
  std::vector<uint32_t> ItemCounts() const;
  // items x users, without times: a row is an item, its `items` are users. Two passes over the
  // entries; 8 bytes an entry and an item.
  Interactions Transposed() const;
  // The same entries with weights as `weighting` sees them at `now`; without times all are of now.
  // 4 bytes an entry.
  Interactions Weighed(const Weighting& weighting, int64_t now) const;

 private:
  friend StatusOr<Interactions> MakeInteractions(std::span<const Interaction> events, size_t users,
                                                 size_t items, const InteractionLimits& limits);

  Array<size_t> offsets_;  // users + 1
  Array<uint32_t> items_;
  Array<float> weights_;
  Array<int64_t> times_;
  size_t items_count_ = 0;
  int64_t latest_time_ = 0;
};

// Events of one (user, item) pair become one entry: weights are summed, the latest time is kept.
// The order of events does not matter but for the rounding of that sum. Counting sort by user, then
// each row by item. INVALID_ARGUMENT names the event that is out of range; RESOURCE_EXHAUSTED
// above a limit, before memory is taken.
StatusOr<Interactions> MakeInteractions(std::span<const Interaction> events, size_t users,
                                        size_t items, const InteractionLimits& limits = {});

// Events before `cut` (unix seconds), and those at or after it, in their order.
struct TimeSplit {
  std::vector<Interaction> train;
  std::vector<Interaction> test;
};
TimeSplit SplitByTime(std::span<const Interaction> events, int64_t cut);

// The entries of `test` that `train` does not have: what is new to each user. The same shape.
StatusOr<Interactions> WithoutKnown(const Interactions& test, const Interactions& train);

}  // namespace starling::learning

// How many neighbours items have, that is others that share a user with them: what a fit from item
// to item takes memory for.
//
//   const NeighbourCounts counts(data, 100);
//   counts.Expected(100);      // sum over the items of min(100, neighbours), as good as exact
//   counts.AtMost(100);        // never below it
//   counts.Sample(32, 100);    // items to try a fit on
//
// Exact up to 512 items. In larger catalogues the neighbours of 512 items are counted, each
// speaking for those with about as many paths to others (an item's path goes by one of its users to
// one of the user's other items): right to some percent. One pass over the entries and, for those
// 512, over the rows of their users, which ends when `most` are found; 20 bytes an item meanwhile,
// 8 kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "learning/interactions.h"

namespace starling::learning {

class NeighbourCounts {
 public:
  NeighbourCounts(const Interactions& data, size_t most);

  // most: at most that of the constructor.
  uint64_t Expected(size_t most) const;
  uint64_t AtMost(size_t most) const;
  // Some items, by ascending bound and each as likely as its bound is large, so that the mean of
  // something / min(most, bound) over them stands for its sum over all items. An item may come
  // several times, where there are few.
  struct Sampled {
    uint32_t item;
    uint32_t bound;  // at most `most`
  };
  std::vector<Sampled> Sample(size_t count, size_t most) const;
  // No item has more neighbours.
  uint64_t Widest() const { return bounds_.empty() ? 0 : bounds_.back(); }

 private:
  // Items with about the same bound, and one of them that was counted.
  struct Stratum {
    size_t begin, end;  // in bounds_
    uint64_t bound = 0;
    uint64_t counted = 0;
  };
  std::vector<uint32_t> items_;   // those with neighbours, by ascending bound
  std::vector<uint32_t> bounds_;  // the smaller of paths and other items, of each
  std::vector<Stratum> strata_;
};

}  // namespace starling::learning

// The walk over one level of the graph: the same while it is built and while it is asked.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/retrieval/hnsw.h"

namespace starling::learning {

using HnswNear = HnswScratch::Near;

// Ties by row, so that nothing depends on the order in which rows are met.
inline bool Nearer(const HnswNear& a, const HnswNear& b) {
  return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
}
inline bool Farther(const HnswNear& a, const HnswNear& b) { return Nearer(b, a); }

inline constexpr uint32_t kNoRow = 0xFFFFFFFF;

// How near rows are to what is looked for: fills similarity from row, given codes that are fetched
// already.
template <typename Similarity>
void MeasureRows(const QuantisedItems& items, const int8_t* codes, const ScanKernels& kernels,
                 const Similarity& similarity, HnswScratch& scratch) {
  scratch.dots.resize(std::max(scratch.dots.size(), scratch.rows.size()));
  kernels.dot_codes(items.codes().data(), items.stride(), scratch.rows.data(), scratch.rows.size(),
                    codes, scratch.dots.data());
  scratch.measured.clear();
  for (size_t i = 0; i < scratch.rows.size(); ++i) {
    const uint32_t row = scratch.rows[i];
    scratch.measured.push_back({similarity(row, scratch.dots[i]), row});
  }
}

// What a walk looks for, and in what.
template <typename Links, typename Similarity, typename Accepts>
struct HnswWalk {
  const QuantisedItems& items;
  const int8_t* codes;  // of what is looked for
  const ScanKernels& kernels;
  const Links& links;            // row -> span of rows
  const Similarity& similarity;  // (row, inner product of the codes) -> how near
  const Accepts& accepts;        // row -> whether it may be found
};
template <typename Links, typename Similarity, typename Accepts>
HnswWalk(const QuantisedItems&, const int8_t*, const ScanKernels&, const Links&, const Similarity&,
         const Accepts&) -> HnswWalk<Links, Similarity, Accepts>;

// Algorithm 2: leaves in scratch.nearest, as a heap whose front is the farthest, the `width`
// nearest accepted rows that are found from `start`. False when more than `most_visited` rows were
// looked at before it was done.
template <typename Links, typename Similarity, typename Accepts>
bool WalkLevel(const HnswWalk<Links, Similarity, Accepts>& walk, HnswNear start, size_t width,
               size_t most_visited, HnswScratch& scratch) {
  scratch.visited.assign((walk.items.rows() + 63) / 64, 0);
  const auto visit = [&](uint32_t row) {
    uint64_t& word = scratch.visited[row / 64];
    const uint64_t bit = uint64_t{1} << (row % 64);
    const bool first = (word & bit) == 0;
    word |= bit;
    return first;
  };
  auto& frontier = scratch.frontier;  // the front is the nearest
  auto& nearest = scratch.nearest;    // the front is the farthest
  visit(start.row);
  frontier.assign(1, start);
  nearest.clear();
  if (walk.accepts(start.row)) nearest.push_back(start);
  size_t visited = 1;
  while (!frontier.empty()) {
    const HnswNear next = frontier.front();
    if (nearest.size() == width && Farther(next, nearest.front())) break;
    std::pop_heap(frontier.begin(), frontier.end(), Farther);
    frontier.pop_back();
    scratch.rows.clear();
    for (const uint32_t row : walk.links(next.row)) {
      if (row == kNoRow) break;
      if (!visit(row)) continue;
      const int8_t* codes = walk.items.codes().data() + row * walk.items.stride();
      __builtin_prefetch(codes);
      __builtin_prefetch(codes + walk.items.stride() - 1);
      __builtin_prefetch(&walk.items.scales()[row]);
      scratch.rows.push_back(row);
    }
    visited += scratch.rows.size();
    if (visited > most_visited) return false;
    MeasureRows(walk.items, walk.codes, walk.kernels, walk.similarity, scratch);
    for (const HnswNear& near : scratch.measured) {
      if (nearest.size() == width && !Nearer(near, nearest.front())) continue;
      frontier.push_back(near);
      std::push_heap(frontier.begin(), frontier.end(), Farther);
      if (!walk.accepts(near.row)) continue;
      if (nearest.size() == width) {
        std::pop_heap(nearest.begin(), nearest.end(), Nearer);
        nearest.pop_back();
      }
      nearest.push_back(near);
      std::push_heap(nearest.begin(), nearest.end(), Nearer);
    }
  }
  return true;
}

// On the levels above only the way down counts: from `start` to whichever link is nearer, until
// none is.
template <typename Links, typename Similarity, typename Accepts>
HnswNear Approach(const HnswWalk<Links, Similarity, Accepts>& walk, HnswNear start,
                  HnswScratch& scratch) {
  for (bool nearer = true; nearer;) {
    nearer = false;
    scratch.rows.clear();
    for (const uint32_t row : walk.links(start.row)) {
      if (row == kNoRow) break;
      scratch.rows.push_back(row);
    }
    MeasureRows(walk.items, walk.codes, walk.kernels, walk.similarity, scratch);
    for (const HnswNear& near : scratch.measured) {
      if (!Nearer(near, start)) continue;
      start = near;
      nearer = true;
    }
  }
  return start;
}

}  // namespace starling::learning

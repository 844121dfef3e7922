// How near vectors are: the one kernel by which every adapter scores what it found, and the scan
// that finds the best of all.
//
//   float score = Score(Metric::kCosine, query, row);
//   std::vector<Found> best = Scan(rows, shape, query, 10, [&](uint32_t row) { return true; });
//
// Single precision in eight partial sums, so that a compiler without further flags uses the
// vector unit; the same bits for the same vectors, wherever they lie. Pure. A scan reads every
// row once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "platform/storage/vector/store.h"

namespace starling::vector {

float Dot(std::span<const float> a, std::span<const float> b);
float Norm(std::span<const float> values);
// Both of one length. Higher is nearer.
float Score(Metric metric, std::span<const float> query, std::span<const float> values);

struct Found {
  float score = 0;
  uint32_t row = 0;
  // Rows lie in the order of their ids, so a tie goes by id.
  bool operator<(const Found& other) const {
    return score != other.score ? score > other.score : row < other.row;
  }
};

// The best k of rows (count x dimension, row-major), best first; `may` is asked about those that
// would be among them.
std::vector<Found> Scan(std::span<const float> rows, const Shape& shape,
                        std::span<const float> query, size_t k,
                        const std::function<bool(uint32_t)>& may);

}  // namespace starling::vector

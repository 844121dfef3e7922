// The norms of a catalogue's rows, and its items by descending norm: the order in which a scan may
// end early and a graph is built.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "learning/retrieval/top_k.h"

namespace starling::learning {

inline float NormOf(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return static_cast<float>(std::sqrt(sum));
}

struct ItemsByNorm {
  std::vector<float> norms;     // of each item; 0 where it is not finite
  std::vector<uint32_t> items;  // by descending norm, then ascending
};

inline ItemsByNorm SortByNorm(const ItemFactors& factors) {
  ItemsByNorm sorted{std::vector<float>(factors.items()), std::vector<uint32_t>(factors.items())};
  for (size_t i = 0; i < factors.items(); ++i) {
    const float norm = NormOf({factors.row(i), factors.dimension});
    sorted.norms[i] = std::isfinite(norm) ? norm : 0;
  }
  std::iota(sorted.items.begin(), sorted.items.end(), 0);
  std::sort(sorted.items.begin(), sorted.items.end(), [&](uint32_t a, uint32_t b) {
    return sorted.norms[a] != sorted.norms[b] ? sorted.norms[a] > sorted.norms[b] : a < b;
  });
  return sorted;
}

}  // namespace starling::learning

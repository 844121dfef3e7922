// The best k of many scores, exactly.
//
//   std::vector<ScoredItem> best = TopK(scores, {.k = 10, .excluded = already_bought});
//   std::vector<ScoredItem> best = RetrieveTopK(factors, 64, user_vector, {.k = 10}, scratch);
//
// Order: by score, highest first, then by item, lowest first; so a result does not depend on how it
// was found. Items whose score is NaN or -infinity are never given; fewer than k come back when no
// more are allowed. Thread-safe: no state but the arguments.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace starling::learning {

struct ScoredItem {
  uint32_t item = 0;
  float score = 0;
  bool operator==(const ScoredItem&) const = default;
};

struct TopKOptions {
  size_t k = 10;
  // Items never to give, in any order; those outside the catalogue do not matter.
  std::span<const uint32_t> excluded = {};
  // Bit i % 64 of word i / 64 says whether item i may be given; empty: all may. Items past its end
  // may not.
  std::span<const uint64_t> allowed = {};
};

// scores[i] belongs to item i. About 0.2 ns an item, and k log k; `allowed` is looked at only for
// those that would enter.
std::vector<ScoredItem> TopK(std::span<const float> scores, const TopKOptions& options);

// factors: items x dimension, row-major; query: dimension values. Scores every item by the inner
// product (kernels.h) into `scores`, which is resized to the items and may be used afterwards.
// 4,000 items of 64 factors take about 30 us, and it grows linearly.
std::vector<ScoredItem> RetrieveTopK(std::span<const float> factors, size_t dimension,
                                     std::span<const float> query, const TopKOptions& options,
                                     std::vector<float>& scores);

}  // namespace starling::learning

// The best k of many scores, exactly.
//
//   std::vector<ScoredItem> best = TopK(scores, {.k = 10, .excluded = already_bought});
//   std::vector<ScoredItem> best = RetrieveTopK({factors, 64}, user_vector, {.k = 10});
//
// Order: by score, highest first, then by item, lowest first; so a result does not depend on how it
// was found. Items whose score is NaN or -infinity are never given; fewer than k come back when no
// more are allowed. Thread-safe: no state but the arguments. What is quicker than reading every
// factor, and a little less exact: retrieval_index.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/retrieval/scan_kernels.h"

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

// The factors of a catalogue; they belong to somebody else.
struct ItemFactors {
  std::span<const float> values;  // items x dimension, row-major
  size_t dimension = 0;

  size_t items() const { return dimension == 0 ? 0 : values.size() / dimension; }
  const float* row(size_t item) const { return values.data() + item * dimension; }
};

// scores[i] belongs to item i. About 0.2 ns an item, and k log k; `allowed` is looked at only for
// those that would enter.
std::vector<ScoredItem> TopK(std::span<const float> scores, const TopKOptions& options);

// The items of the largest inner products with the query, which has `dimension` values. One pass
// over the factors: each block of items is compared with the k-th best while it is scored, so the
// time is that of reading them (docs/decisions/012-retrieval.md has the figures).
std::vector<ScoredItem> RetrieveTopK(const ItemFactors& items, std::span<const float> query,
                                     const TopKOptions& options,
                                     const ScanKernels& kernels = BestScanKernels());

// Replaces the scores of `found` by those that RetrieveTopK gives, and leaves the best k in order.
void Rescore(const ItemFactors& items, std::span<const float> query, size_t k,
             std::vector<ScoredItem>& found, const ScanKernels& kernels = BestScanKernels());

}  // namespace starling::learning

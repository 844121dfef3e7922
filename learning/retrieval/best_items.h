// What the ways of retrieval share: which items may be given, and the best so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "learning/retrieval/top_k.h"

namespace starling::learning {

// The order of results.
inline bool Before(const ScoredItem& a, const ScoredItem& b) {
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

// Looks at the `allowed` of the options it was made of.
class ItemFilter {
 public:
  explicit ItemFilter(const TopKOptions& options)
      : allowed_(options.allowed), excluded_(options.excluded.begin(), options.excluded.end()) {
    std::sort(excluded_.begin(), excluded_.end());
  }

  bool Allows(uint32_t item) const {
    if (!allowed_.empty()) {
      const size_t word = item / 64;
      if (word >= allowed_.size() || (allowed_[word] >> (item % 64) & 1) == 0) {
        return false;
      }
    }
    return !std::binary_search(excluded_.begin(), excluded_.end(), item);
  }

 private:
  std::span<const uint64_t> allowed_;
  std::vector<uint32_t> excluded_;
};

// The best k so far, as a heap whose front is the worst of them.
class BestItems {
 public:
  explicit BestItems(size_t k) : k_(k) {
    heap_.reserve(k);
    bar_ =
        k == 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
  }

  // What a score must be above. Items that are offered in ascending order come after what they only
  // equal, so none is missed.
  float bar() const { return bar_; }

  // score > bar().
  void Add(uint32_t item, float score) {
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end(), Before);
      heap_.back() = {item, score};
    } else {
      heap_.push_back({item, score});
    }
    std::push_heap(heap_.begin(), heap_.end(), Before);
    if (heap_.size() == k_) {
      bar_ = heap_.front().score;
    }
  }

  // In order; leaves nothing.
  std::vector<ScoredItem> Take() {
    std::sort(heap_.begin(), heap_.end(), Before);
    return std::move(heap_);
  }

 private:
  size_t k_;
  float bar_;
  std::vector<ScoredItem> heap_;
};

}  // namespace starling::learning

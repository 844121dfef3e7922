// What the ways of retrieval share: which items may be given, and the best so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
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

// The same for a k of some dozens, where a heap is slow: gathers twice as many, then drops those
// that are not among the best k, so its bar lags behind. What it keeps is what BestItems keeps.
class BestOfMany {
 public:
  explicit BestOfMany(size_t k) : k_(k), scores_(2 * k), items_(2 * k) {}

  float bar() const { return bar_; }

  // score > bar().
  void Add(uint32_t item, float score) {
    scores_[size_] = score;
    items_[size_++] = item;
    if (size_ == 2 * k_) Drop();
  }

  // In no order; leaves nothing.
  std::vector<ScoredItem> Take() {
    if (size_ > k_) Drop();
    std::vector<ScoredItem> best(size_);
    for (size_t i = 0; i < size_; ++i) best[i] = {items_[i], scores_[i]};
    size_ = 0;
    return best;
  }

 private:
  void Drop() {
    bar_ = KthBest();
    // Of those at the bar the first have room.
    const size_t above = Count([&](float score) { return score > bar_; });
    size_t room = k_ - above;
    size_t kept = 0;
    for (size_t i = 0; i < size_; ++i) {
      const bool at_bar = scores_[i] == bar_;
      if (scores_[i] < bar_ || (at_bar && room == 0)) continue;
      if (at_bar) --room;
      scores_[kept] = scores_[i];
      items_[kept++] = items_[i];
    }
    size_ = kept;
  }

  template <typename Predicate>
  size_t Count(const Predicate& predicate) const {
    int count = 0;
    for (size_t i = 0; i < size_; ++i) count += predicate(scores_[i]) ? 1 : 0;
    return static_cast<size_t>(count);
  }

  // By counting for each how many are above it, which is a few SIMD compares, unlike a partition,
  // where every other branch is guessed wrong; of many the number of compares is too much.
  float KthBest() {
    constexpr size_t kFew = 256;
    if (size_ <= kFew) {
      for (size_t i = 0; i < size_; ++i) {
        const float bar = scores_[i];
        if (Count([bar](float score) { return score > bar; }) >= k_) continue;
        if (Count([bar](float score) { return score >= bar; }) >= k_) return bar;
      }
    }
    std::vector<float> sorted(scores_.begin(), scores_.begin() + static_cast<ptrdiff_t>(size_));
    const auto kth = sorted.begin() + static_cast<ptrdiff_t>(k_) - 1;
    std::nth_element(sorted.begin(), kth, sorted.end(), std::greater<>());
    return *kth;
  }

  size_t k_;  // >= 1
  size_t size_ = 0;
  float bar_ = -std::numeric_limits<float>::infinity();
  std::vector<float> scores_;  // 2 k
  std::vector<uint32_t> items_;
};

}  // namespace starling::learning

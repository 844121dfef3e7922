#include "learning/retrieval.h"

#include <algorithm>
#include <limits>

#include "learning/math/kernels.h"

namespace starling::learning {
namespace {

bool Before(const ScoredItem& a, const ScoredItem& b) {
  return a.score != b.score ? a.score > b.score : a.item < b.item;
}

// The best so far as a heap whose top is the worst of them.
class Best {
 public:
  Best(const TopKOptions& options, size_t items)
      : k_(std::min(options.k, items)),
        allowed_(options.allowed),
        excluded_(options.excluded.begin(), options.excluded.end()) {
    std::sort(excluded_.begin(), excluded_.end());
    heap_.reserve(k_);
    threshold_ =
        k_ == 0 ? std::numeric_limits<float>::infinity() : -std::numeric_limits<float>::infinity();
  }

  // Items are offered in ascending order, so one that only equals the worst comes after it.
  float threshold() const { return threshold_; }

  void Offer(uint32_t item, float score) {
    if (!(score > threshold_) || !Allowed(item)) {
      return;
    }
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end(), Before);
      heap_.back() = {item, score};
    } else {
      heap_.push_back({item, score});
    }
    std::push_heap(heap_.begin(), heap_.end(), Before);
    if (heap_.size() == k_) {
      threshold_ = heap_.front().score;
    }
  }

  std::vector<ScoredItem> Take() {
    std::sort(heap_.begin(), heap_.end(), Before);
    return std::move(heap_);
  }

 private:
  bool Allowed(uint32_t item) const {
    if (!allowed_.empty()) {
      const size_t word = item / 64;
      if (word >= allowed_.size() || (allowed_[word] >> (item % 64) & 1) == 0) {
        return false;
      }
    }
    return !std::binary_search(excluded_.begin(), excluded_.end(), item);
  }

  size_t k_;
  std::span<const uint64_t> allowed_;
  std::vector<uint32_t> excluded_;
  std::vector<ScoredItem> heap_;
  float threshold_;
};

}  // namespace

std::vector<ScoredItem> TopK(std::span<const float> scores, const TopKOptions& options) {
  constexpr size_t kBlock = 32;
  Best best(options, scores.size());
  size_t item = 0;
  for (; item + kBlock <= scores.size(); item += kBlock) {
    const float threshold = best.threshold();
    int above = 0;  // counted rather than asked one by one: the loop becomes a few SIMD compares
    for (size_t i = 0; i < kBlock; ++i) {
      above += scores[item + i] > threshold ? 1 : 0;
    }
    if (above > 0) {
      for (size_t i = 0; i < kBlock; ++i) {
        best.Offer(static_cast<uint32_t>(item + i), scores[item + i]);
      }
    }
  }
  for (; item < scores.size(); ++item) {
    best.Offer(static_cast<uint32_t>(item), scores[item]);
  }
  return best.Take();
}

std::vector<ScoredItem> RetrieveTopK(std::span<const float> factors, size_t dimension,
                                     std::span<const float> query, const TopKOptions& options,
                                     std::vector<float>& scores) {
  scores.resize(dimension == 0 ? 0 : factors.size() / dimension);
  BestKernels().score_rows(factors.data(), scores.size(), dimension, query.data(), scores.data());
  return TopK(scores, options);
}

}  // namespace starling::learning

#include "learning/retrieval/top_k.h"

#include <algorithm>
#include <array>
#include <limits>

#include "learning/retrieval/best_items.h"

namespace starling::learning {

std::vector<ScoredItem> TopK(std::span<const float> scores, const TopKOptions& options) {
  constexpr size_t kBlock = 32;
  const ItemFilter filter(options);
  BestItems best(std::min(options.k, scores.size()));
  const auto offer = [&](size_t index) {
    const auto item = static_cast<uint32_t>(index);
    if (scores[index] > best.bar() && filter.Allows(item)) best.Add(item, scores[index]);
  };
  size_t item = 0;
  for (; item + kBlock <= scores.size(); item += kBlock) {
    const float bar = best.bar();
    int above = 0;  // counted rather than asked one by one: the loop becomes a few SIMD compares
    for (size_t i = 0; i < kBlock; ++i) {
      above += scores[item + i] > bar ? 1 : 0;
    }
    if (above > 0) {
      for (size_t i = 0; i < kBlock; ++i) offer(item + i);
    }
  }
  for (; item < scores.size(); ++item) offer(item);
  return best.Take();
}

std::vector<ScoredItem> RetrieveTopK(const ItemFactors& items, std::span<const float> query,
                                     const TopKOptions& options, const ScanKernels& kernels) {
  // The bar of a block is that of its beginning; the first ones are short, since it rises there.
  constexpr size_t kFirstBlock = 32;
  constexpr size_t kBlock = 512;
  const ItemFilter filter(options);
  BestItems best(std::min(options.k, items.items()));
  std::array<float, kBlock> scores;
  std::array<uint32_t, kBlock> above;
  size_t block = kFirstBlock;
  for (size_t begin = 0; begin < items.items();
       begin += block, block = std::min(2 * block, kBlock)) {
    const size_t count = std::min(block, items.items() - begin);
    const size_t found = kernels.scan(items.row(begin), count, items.dimension, query.data(),
                                      best.bar(), scores.data(), above.data());
    for (size_t i = 0; i < found; ++i) {
      const float score = scores[above[i]];
      const auto item = static_cast<uint32_t>(begin + above[i]);
      if (score > best.bar() && filter.Allows(item)) best.Add(item, score);
    }
  }
  return best.Take();
}

void Rescore(const ItemFactors& items, std::span<const float> query, size_t k,
             std::vector<ScoredItem>& found, const ScanKernels& kernels) {
  constexpr size_t kAtOnce = 64;
  uint32_t of[kAtOnce];
  float scores[kAtOnce];
  for (size_t begin = 0; begin < found.size(); begin += kAtOnce) {
    const size_t count = std::min(kAtOnce, found.size() - begin);
    for (size_t i = 0; i < count; ++i) of[i] = found[begin + i].item;
    kernels.score(items.values.data(), items.dimension, of, count, query.data(), scores);
    for (size_t i = 0; i < count; ++i) found[begin + i].score = scores[i];
  }
  std::erase_if(found, [](const ScoredItem& each) {
    return !(each.score > -std::numeric_limits<float>::infinity());
  });
  const size_t count = std::min(k, found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(count), found.end(),
                    Before);
  found.resize(count);
}

}  // namespace starling::learning

#include "learning/retrieval/quantised_items.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "learning/retrieval/best_items.h"

namespace starling::learning {
namespace {

constexpr float kLargestCode = 127;
constexpr float kLargestOfScan = kQueryShift - 1;

// Writes the codes of `values`, at most `most` in size, each plus `shift`, and gives their scale;
// 0 and no codes when they have none.
template <typename Byte>
float EncodeRow(const float* values, size_t dimension, float most, float shift, Byte* codes) {
  float largest = 0;
  for (size_t f = 0; f < dimension; ++f) {
    if (!std::isfinite(values[f])) return 0;
    largest = std::max(largest, std::abs(values[f]));
  }
  const float scale = largest / most;
  const float inverse = 1 / scale;
  if (!(scale > 0) || !std::isfinite(inverse)) return 0;
  for (size_t f = 0; f < dimension; ++f) {
    codes[f] =
        static_cast<Byte>(std::clamp(std::nearbyint(values[f] * inverse), -most, most) + shift);
  }
  return scale;
}

float NormOf(const float* values, size_t dimension) {
  double sum = 0;
  for (size_t f = 0; f < dimension; ++f) sum += static_cast<double>(values[f]) * values[f];
  return static_cast<float>(std::sqrt(sum));
}

}  // namespace

uint64_t QuantisedItems::MemoryOf(size_t items, size_t dimension) {
  const size_t stride = (dimension + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  return items * (stride + 2 * sizeof(float) + sizeof(int32_t) + sizeof(uint32_t));
}

QuantisedItems QuantisedItems::Make(const ItemFactors& items) {
  QuantisedItems made;
  const size_t rows = items.items();
  made.dimension_ = items.dimension;
  made.stride_ = (items.dimension + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  std::vector<float> norms(rows);
  for (size_t i = 0; i < rows; ++i) {
    norms[i] = NormOf(items.row(i), items.dimension);
    if (!std::isfinite(norms[i])) norms[i] = 0;
  }
  made.item_.resize(rows);
  std::iota(made.item_.begin(), made.item_.end(), 0);
  std::sort(made.item_.begin(), made.item_.end(), [&](uint32_t a, uint32_t b) {
    return norms[a] != norms[b] ? norms[a] > norms[b] : a < b;
  });
  made.codes_.resize(rows * made.stride_);
  made.scales_.resize(rows);
  made.sums_.resize(rows);
  made.norms_.resize(rows);
  for (size_t row = 0; row < rows; ++row) {
    const uint32_t item = made.item_[row];
    made.norms_[row] = norms[item];
    int8_t* codes = made.codes_.data() + row * made.stride_;
    made.scales_[row] = EncodeRow(items.row(item), items.dimension, kLargestCode, 0, codes);
    made.sums_[row] = kQueryShift * std::accumulate(codes, codes + items.dimension, 0);
  }
  return made;
}

void QuantisedItems::Encode(std::span<const float> query, QueryCodes& codes) const {
  codes.codes.assign(stride_, 0);
  codes.scale = EncodeRow(query.data(), dimension_, kLargestCode, 0, codes.codes.data());
}

std::vector<ScoredItem> QuantisedItems::Retrieve(const ItemFactors& items,
                                                 std::span<const float> query,
                                                 const TopKOptions& options, size_t keep,
                                                 QueryCodes& scratch,
                                                 const ScanKernels& kernels) const {
  constexpr size_t kFirstBlock = 64;
  constexpr size_t kBlock = 512;
  scratch.shifted.assign(stride_, kQueryShift);
  scratch.shifted_scale =
      EncodeRow(query.data(), dimension_, kLargestOfScan, kQueryShift, scratch.shifted.data());
  scratch.norm = NormOf(query.data(), dimension_);
  if (scratch.shifted_scale == 0) return RetrieveTopK(items, query, options, kernels);
  const ItemFilter filter(options);
  BestItems best(std::min(std::max(keep, options.k), rows()));
  // Scores are in units of the query's scale.
  const float reach = scratch.norm / scratch.shifted_scale;
  std::array<float, kBlock> scores;
  std::array<uint32_t, kBlock> above;
  size_t block = kFirstBlock;
  for (size_t begin = 0; begin < rows() && norms_[begin] * reach > best.bar();
       begin += block, block = std::min(2 * block, kBlock)) {
    const size_t count = std::min(block, rows() - begin);
    const CodeRows rows{codes_.data() + begin * stride_, scales_.data() + begin,
                        sums_.data() + begin, stride_};
    const size_t found = kernels.scan_codes(rows, count, scratch.shifted.data(), best.bar(),
                                            scores.data(), above.data());
    for (size_t i = 0; i < found; ++i) {
      const float score = scores[above[i]];
      const uint32_t item = item_[begin + above[i]];
      if (score > best.bar() && filter.Allows(item)) best.Add(item, score);
    }
  }
  std::vector<ScoredItem> found = best.Take();
  Rescore(items, query, options.k, found, kernels);
  return found;
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

#include "learning/retrieval/quantised_items.h"

#include <algorithm>
#include <cmath>

#include "learning/retrieval/norms.h"

namespace starling::learning {
namespace {

constexpr float kLargestCode = 127;

// Writes the codes of `values` and gives their scale; 0 and no codes when they have none.
float EncodeRow(const float* values, size_t dimension, int8_t* codes) {
  float largest = 0;
  for (size_t f = 0; f < dimension; ++f) {
    if (!std::isfinite(values[f])) return 0;
    largest = std::max(largest, std::abs(values[f]));
  }
  const float scale = largest / kLargestCode;
  const float inverse = 1 / scale;
  if (!(scale > 0) || !std::isfinite(inverse)) return 0;
  for (size_t f = 0; f < dimension; ++f) {
    codes[f] = static_cast<int8_t>(
        std::clamp(std::nearbyint(values[f] * inverse), -kLargestCode, kLargestCode));
  }
  return scale;
}

}  // namespace

uint64_t QuantisedItems::MemoryOf(size_t items, size_t dimension) {
  const size_t stride = (dimension + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  return items * (stride + 2 * sizeof(float) + sizeof(uint32_t));
}

QuantisedItems QuantisedItems::Make(const ItemFactors& items) {
  QuantisedItems made;
  const size_t rows = items.items();
  made.dimension_ = items.dimension;
  made.stride_ = (items.dimension + kCodeAlignment - 1) / kCodeAlignment * kCodeAlignment;
  ItemsByNorm sorted = SortByNorm(items);
  made.item_ = std::move(sorted.items);
  made.codes_.resize(rows * made.stride_);
  made.scales_.resize(rows);
  made.norms_.resize(rows);
  for (size_t row = 0; row < rows; ++row) {
    const uint32_t item = made.item_[row];
    made.norms_[row] = sorted.norms[item];
    int8_t* codes = made.codes_.data() + row * made.stride_;
    made.scales_[row] = EncodeRow(items.row(item), items.dimension, codes);
  }
  return made;
}

void QuantisedItems::Encode(std::span<const float> query, QueryCodes& codes) const {
  codes.codes.assign(stride_, 0);
  codes.scale = EncodeRow(query.data(), dimension_, codes.codes.data());
}

}  // namespace starling::learning

// A catalogue's factors in a byte each, as a graph looks at them (hnsw.h): a quarter of the memory,
// and inner products that are a hundredth off. A scan is quicker over half of that
// (nibble_items.h).
//
//   const QuantisedItems codes = QuantisedItems::Make(factors);
//   codes.Encode(user, query);
//
//   row i = scale_i codes_i,   scale_i = max |row i| / 127,   rows by descending norm
//
// dimension + 12 bytes an item, the dimension rounded up to 32. Immutable and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/retrieval/scan_kernels.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {

// A query in bytes: query = scale codes. Also the scratch of who asks, one a thread.
struct QueryCodes {
  std::vector<int8_t> codes;
  float scale = 0;  // 0: all its values are 0, or one is not finite, so the codes say nothing
};

class QuantisedItems {
 public:
  // One pass over the factors and a sort: about 15 ms for 65,000 items of 64. An item with a factor
  // that is not finite is never found.
  static QuantisedItems Make(const ItemFactors& items);
  // Bytes that one takes.
  static uint64_t MemoryOf(size_t items, size_t dimension);

  size_t rows() const { return item_.size(); }
  size_t dimension() const { return dimension_; }
  // Bytes from one row of codes to the next.
  size_t stride() const { return stride_; }
  std::span<const int8_t> codes() const { return codes_; }
  std::span<const float> scales() const { return scales_; }
  std::span<const float> norms() const { return norms_; }  // descending
  // Which item a row is.
  std::span<const uint32_t> item() const { return item_; }

  // Fills `codes` and `scale`.
  void Encode(std::span<const float> query, QueryCodes& codes) const;

 private:
  size_t dimension_ = 0;
  size_t stride_ = 0;
  std::vector<int8_t> codes_;
  std::vector<float> scales_;
  std::vector<float> norms_;
  std::vector<uint32_t> item_;
};

}  // namespace starling::learning

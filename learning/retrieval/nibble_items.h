// A catalogue's factors in half a byte each: an eighth of the memory to read. Scores are a tenth
// off, so a scan over them keeps a few times k, which are then scored exactly.
//
//   NibbleItems codes = NibbleItems::Make(factors);
//   std::vector<ScoredItem> best = codes.Retrieve(factors, user, {.k = 10}, 40, scratch);
//
//   row i = scale_i codes_i,   codes_i = round(-8 row i / the largest of its values by size)
//
// from -8 to 7, so that all sixteen are used; scale_i is the best for these codes by least squares.
// Rows are kept by descending norm, so
// a scan ends where |row| |query| can no longer reach the worst that it keeps (Teflioudi, Gemulla,
// Mykytiuk, "LEMP: Fast Retrieval of Large Entries in a Matrix Product", SIGMOD 2015): where
// popularity makes norms differ, that is early. How many to keep is for the caller to measure
// (retrieval_index.h): what may be off by rounding is far more than what is.
//
// dimension / 2 + 8 bytes an item, the dimension rounded up to 4. Immutable and thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "learning/retrieval/scan_kernels.h"
#include "learning/retrieval/top_k.h"

namespace starling::learning {

// A query as a scan takes it (scan_kernels.h): query . row = scale dot. Also the scratch of who
// asks, one a thread.
struct NibbleQuery {
  std::vector<int8_t> bytes;
  NibbleBytes of_scan;  // looks at bytes
  // 0: all values are 0, or one is not finite, or there are too many for sums of 16 bits.
  float scale = 0;
};

class NibbleItems {
 public:
  // One pass over the factors and a sort: about 15 ms for 65,000 items of 64. An item with a factor
  // that is not finite is never found.
  static NibbleItems Make(const ItemFactors& items);
  // Bytes that one takes.
  static uint64_t MemoryOf(size_t items, size_t dimension);

  size_t rows() const { return item_.size(); }
  size_t dimension() const { return dimension_; }
  // Of one value, from -8 to 7; for tests.
  int code(size_t row, size_t f) const;
  std::span<const float> scales() const { return std::span(scales_).first(rows()); }
  // Which item a row is.
  std::span<const uint32_t> item() const { return item_; }

  // For a scan of these items; for tests.
  void Encode(std::span<const float> query, NibbleQuery& codes) const;

  // The best k of `items`, which are those it was made of: the `keep` best by their codes, scored
  // by the factors themselves. A query without a scale is answered by RetrieveTopK.
  std::vector<ScoredItem> Retrieve(const ItemFactors& items, std::span<const float> query,
                                   const TopKOptions& options, size_t keep, NibbleQuery& scratch,
                                   const ScanKernels& kernels = BestScanKernels()) const;

 private:
  void EncodeRow(size_t row, std::span<const float> values);

  size_t dimension_ = 0;
  size_t steps_ = 0;  // of a block (scan_kernels.h)
  std::vector<NibbleStep> codes_;
  // The largest norms of a row's lower halves and of its bytes.
  double lower_norm_ = 0;
  double byte_norm_ = 0;
  std::vector<float> scales_;       // 0 for the rows that fill up the last block
  std::vector<float> block_norms_;  // the largest of each block, which is that of its first row
  std::vector<uint32_t> item_;
};

}  // namespace starling::learning

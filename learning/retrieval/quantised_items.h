// A catalogue's factors in a byte each: a quarter of the memory to read, and scores that are a
// hundredth off; so a scan over them keeps a few times k, which are then scored exactly.
//
//   QuantisedItems codes = QuantisedItems::Make(factors);
//   std::vector<ScoredItem> best = codes.Retrieve(factors, user, {.k = 10}, 40, scratch);
//
//   row i = scale_i codes_i,   scale_i = max |row i| / 127
//
// Rows are kept by descending norm, so a scan ends where |row| |query| can no longer reach the
// worst that it keeps (Teflioudi, Gemulla, Mykytiuk, "LEMP: Fast Retrieval of Large Entries in a
// Matrix Product", SIGMOD 2015): where popularity makes norms differ, that is early.
//
// dimension + 16 bytes an item, the dimension rounded up to 32. Immutable and thread-safe.
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
  // What a scan takes (scan_kernels.h): query = shifted_scale (shifted - kQueryShift).
  std::vector<uint8_t> shifted;
  float shifted_scale = 0;
  float norm = 0;
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

  // For a graph (hnsw.h): fills `codes` and `scale`.
  void Encode(std::span<const float> query, QueryCodes& codes) const;

  // The best k of `items`, which are those it was made of: the `keep` best by their codes, scored
  // by the factors themselves. A query without codes is answered by RetrieveTopK.
  std::vector<ScoredItem> Retrieve(const ItemFactors& items, std::span<const float> query,
                                   const TopKOptions& options, size_t keep, QueryCodes& scratch,
                                   const ScanKernels& kernels = BestScanKernels()) const;

 private:
  size_t dimension_ = 0;
  size_t stride_ = 0;
  std::vector<int8_t> codes_;
  std::vector<float> scales_;
  std::vector<int32_t> sums_;  // of a row's codes, times kQueryShift
  std::vector<float> norms_;
  std::vector<uint32_t> item_;
};

// Replaces the scores of `found` by those that RetrieveTopK gives, and leaves the best k in order.
void Rescore(const ItemFactors& items, std::span<const float> query, size_t k,
             std::vector<ScoredItem>& found, const ScanKernels& kernels = BestScanKernels());

}  // namespace starling::learning

// The inner loops of retrieval, for several instruction sets and chosen once by what the CPU has.
//
//   const ScanKernels& kernels = BestScanKernels();
//   size_t found = kernels.scan(rows, count, 64, query, bar, scores, above);   // above[0..found)
//
// Plain code for any machine, AVX2, AVX-512, and AVX-512 with VNNI for the inner products of bytes.
// Scores of floats differ between levels by rounding only, those of bytes not at all. Within a
// level a row's score does not depend on where it stands, so equal rows have equal scores.
// Thread-safe; BestScanKernels costs a load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace starling::learning {

// Bytes of a row of codes are a multiple of this, filled up with 0.
inline constexpr size_t kCodeAlignment = 32;

// What a scan of bytes multiplies by is above 0 and has seven bits: then two products at once are
// added in 16 bits, which is the quickest that a machine without VNNI can.
inline constexpr int kQueryShift = 64;

struct CodeRows {
  const int8_t* codes = nullptr;  // rows x stride, from -127 to 127
  const float* scales = nullptr;
  const int32_t* sums = nullptr;  // of each row's codes, times kQueryShift
  size_t stride = 0;              // a multiple of kCodeAlignment
};

struct ScanKernels {
  std::string_view name;
  // scores[r] = rows[r] . query for `count` rows of `dimension` values. Writes the indexes of the
  // scores above `bar` in ascending order to `above` and gives their number; both arrays have room
  // for `count`.
  size_t (*scan)(const float* rows, size_t count, size_t dimension, const float* query, float bar,
                 float* scores, uint32_t* above);
  // scores[i] = rows[of[i]] . query, to the last bit what `scan` gives.
  void (*score)(const float* rows, size_t dimension, const uint32_t* of, size_t count,
                const float* query, float* scores);
  // As scan, for scores[r] = scales[r] (codes[r] . (query - kQueryShift)), with query bytes from 1
  // to 127.
  size_t (*scan_codes)(const CodeRows& rows, size_t count, const uint8_t* query, float bar,
                       float* scores, uint32_t* above);
  // dots[i] = codes[of[i]] . query.
  void (*dot_codes)(const int8_t* codes, size_t stride, const uint32_t* of, size_t count,
                    const int8_t* query, int32_t* dots);
};

// The best that this CPU can run.
const ScanKernels& BestScanKernels();
// Every one that this CPU can run, the plain one first: for tests and benchmarks.
std::vector<const ScanKernels*> RunnableScanKernels();

namespace internal {
// scan_kernels_x86.cc; empty elsewhere.
std::vector<const ScanKernels*> X86ScanKernels();
}  // namespace internal

}  // namespace starling::learning

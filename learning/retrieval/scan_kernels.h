// The inner loops of retrieval, for several instruction sets and chosen once by what the CPU has.
//
//   const ScanKernels& kernels = BestScanKernels();
//   size_t found = kernels.scan(rows, count, 64, query, bar, scores, above);   // above[0..found)
//
// Plain code for any machine, AVX2, AVX-512, and AVX-512 with VNNI for the inner products of bytes.
// Scores of floats differ between levels by rounding only, those of codes not at all. Within a
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

// Codes from 0 to 15 of 32 rows, interleaved: of four values f to f + 3 each row has two bytes,
// with f and f + 1 in their lower halves, f + 2 and f + 3 in the upper ones. So each 16 bits of a
// register are of one row, and no sums need to be added up across it. A block is the steps of 32
// rows, one after the other.
inline constexpr size_t kNibbleRows = 32;
inline constexpr size_t kNibbleStep = 4;
struct alignas(64) NibbleStep {
  uint8_t bytes[2 * kNibbleRows];
};
// What is taken off a lower half and off a whole byte, so that both halves are from -8 to 7.
inline constexpr int kLowerShift = 8;
inline constexpr int kByteShift = 16 * kLowerShift + kLowerShift;

struct NibbleBlocks {
  const NibbleStep* codes = nullptr;  // blocks x steps
  const float* scales = nullptr;      // blocks x kNibbleRows
  size_t steps = 0;                   // values of a row / kNibbleStep
};

// A query for them. A whole byte is multiplied as it is, which saves taking its upper half out: of
// each step bytes[0] and bytes[1] are for the lower halves and make up for what the whole bytes
// bring of these, bytes[2] and bytes[3] for the whole bytes.
//
//   dot = sum of (byte - kByteShift) bytes[2..3] + ratio sum of (lower half - kLowerShift)
//   bytes[0..1]
//
// Both sums are of 16 bits. What they are on the way may be more, as sums in 16 bits are right but
// for multiples of 2^16; the last must fit, so whoever makes the query holds each of them to
// kLargestSum for every row. Two products that are added first would be cut off instead of wrapped,
// so bytes[2..3] are at most kLargestOfByte: 2 x 255 x 64 and 2 x 15 x 127 are within 16 bits.
struct NibbleBytes {
  const int8_t* bytes = nullptr;  // steps x kNibbleStep, from -127 to 127
  int lower_sum = 0;              // of all bytes[0..1]
  int byte_sum = 0;               // of all bytes[2..3]
  int ratio = 1;                  // 1 to 1000
};
inline constexpr int kLargestSum = 32'767;
inline constexpr int kLargestOfByte = 64;
static_assert(2 * 255 * kLargestOfByte <= kLargestSum && 2 * 15 * 127 <= kLargestSum);

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
  // As scan, for the kNibbleRows rows of each of `count` blocks, which both arrays have room for:
  // scores[r] = scales[r] dot[r].
  size_t (*scan_nibbles)(const NibbleBlocks& blocks, size_t count, const NibbleBytes& query,
                         float bar, float* scores, uint32_t* above);
  // dots[i] = codes[of[i]] . query.
  void (*dot_codes)(const int8_t* codes, size_t stride, const uint32_t* of, size_t count,
                    const int8_t* query, int32_t* dots);
};

// The best that this CPU can run.
const ScanKernels& BestScanKernels();
// Every one that this CPU can run, the plain one first: for tests and benchmarks.
std::vector<const ScanKernels*> RunnableScanKernels();

namespace internal {
// nibble_kernels_x86.cc.
size_t ScanNibblesAvx2(const NibbleBlocks& blocks, size_t count, const NibbleBytes& query,
                       float bar, float* scores, uint32_t* above);
size_t ScanNibblesAvx512(const NibbleBlocks& blocks, size_t count, const NibbleBytes& query,
                         float bar, float* scores, uint32_t* above);
// scan_kernels_x86.cc; empty elsewhere.
std::vector<const ScanKernels*> X86ScanKernels();
}  // namespace internal

}  // namespace starling::learning

// The 32 rows of a block at once: a lane of 16 bits a row, which needs no adding up at the end, and
// five instructions for 64 values in 256 bits: and, twice multiply, twice add. A core does about
// four of them at a time, so that is what limits, and not the memory.
#include "learning/retrieval/scan_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

namespace starling::learning::internal {
namespace {

#define STARLING_AVX2 __attribute__((target("avx2,fma")))
#define STARLING_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")))
#define STARLING_INLINE inline __attribute__((always_inline))

// The one that factors mostly have, 64 values: known while compiling, the loop is laid out flat.
constexpr size_t kUsualSteps = 16;
// How far ahead the next blocks are asked for, since the machine's own foresight ends at every
// page. Asking for memory behind the last does nothing.
constexpr size_t kBytesAhead = 4096;

// Two bytes of the query, for every lane.
STARLING_INLINE int16_t Pair(const int8_t* query) {
  int16_t pair;
  std::memcpy(&pair, query, sizeof(pair));
  return pair;
}

STARLING_AVX2 STARLING_INLINE __m256i Load(const void* from) {
  return _mm256_load_si256(static_cast<const __m256i*>(from));
}

// Adds the products of the lower halves and of the bytes of sixteen rows, or of 32.
STARLING_AVX2 STARLING_INLINE void Add(__m256i codes, __m256i of_lower, __m256i of_bytes,
                                       __m256i& lower, __m256i& bytes) {
  const __m256i halves = _mm256_and_si256(codes, _mm256_set1_epi8(15));
  lower = _mm256_add_epi16(lower, _mm256_maddubs_epi16(halves, of_lower));
  bytes = _mm256_add_epi16(bytes, _mm256_maddubs_epi16(codes, of_bytes));
}
STARLING_AVX512 STARLING_INLINE void Add(__m512i codes, __m512i of_lower, __m512i of_bytes,
                                         __m512i& lower, __m512i& bytes) {
  const __m512i halves = _mm512_and_si512(codes, _mm512_set1_epi8(15));
  lower = _mm512_add_epi16(lower, _mm512_maddubs_epi16(halves, of_lower));
  bytes = _mm512_add_epi16(bytes, _mm512_maddubs_epi16(codes, of_bytes));
}

// Keeps the scores of eight rows; a bit for each that is above the bar.
STARLING_AVX2 STARLING_INLINE uint32_t Keep(__m256i dots, const float* scales, __m256 bar,
                                            float* scores) {
  const __m256 scored = _mm256_mul_ps(_mm256_cvtepi32_ps(dots), _mm256_loadu_ps(scales));
  _mm256_storeu_ps(scores, scored);
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(scored, bar, _CMP_GT_OQ)));
}
// Of sixteen.
STARLING_AVX2 STARLING_INLINE uint32_t Keep(__m256i lower, __m256i bytes, __m256i weights,
                                            const float* scales, __m256 bar, float* scores) {
  // bytes + ratio lower; rows 0 to 3 and 8 to 11, and the others.
  const __m256i a = _mm256_madd_epi16(_mm256_unpacklo_epi16(bytes, lower), weights);
  const __m256i b = _mm256_madd_epi16(_mm256_unpackhi_epi16(bytes, lower), weights);
  return Keep(_mm256_permute2x128_si256(a, b, 0x20), scales, bar, scores) |
         Keep(_mm256_permute2x128_si256(a, b, 0x31), scales + 8, bar, scores + 8) << 8;
}

struct Found {
  uint32_t* above;
  size_t count = 0;
  STARLING_INLINE void Add(uint32_t hits, size_t row) {
    for (; hits != 0; hits &= hits - 1)
      above[count++] = static_cast<uint32_t>(row) + static_cast<uint32_t>(__builtin_ctz(hits));
  }
};

// What the sums begin with, since all codes are a shift too much; and what a row's two sums are
// multiplied by. In 16 bits each.
struct Constants {
  int16_t lower, bytes;
  int32_t weights;
  explicit Constants(const NibbleBytes& query)
      : lower(static_cast<int16_t>(-kLowerShift * query.lower_sum)),
        bytes(static_cast<int16_t>(-kByteShift * query.byte_sum)),
        weights(query.ratio * 65'536 + 1) {}
};

STARLING_AVX2 STARLING_INLINE size_t ScanAvx2(const NibbleBlocks& blocks, size_t steps,
                                              size_t count, const NibbleBytes& query, float bar,
                                              float* scores, uint32_t* above) {
  const Constants constants(query);
  const __m256i weights = _mm256_set1_epi32(constants.weights);
  const __m256 least = _mm256_set1_ps(bar);
  Found found{above};
  const NibbleStep* codes = blocks.codes;
  for (size_t row = 0; row < count * kNibbleRows; row += kNibbleRows) {
    __m256i lower_a = _mm256_set1_epi16(constants.lower), lower_b = lower_a;
    __m256i bytes_a = _mm256_set1_epi16(constants.bytes), bytes_b = bytes_a;
#pragma GCC unroll 4
    for (size_t step = 0; step < steps; ++step, ++codes) {
      const __m256i of_lower = _mm256_set1_epi16(Pair(query.bytes + step * kNibbleStep));
      const __m256i of_bytes = _mm256_set1_epi16(Pair(query.bytes + step * kNibbleStep + 2));
      __builtin_prefetch(codes->bytes + kBytesAhead);
      Add(Load(codes->bytes), of_lower, of_bytes, lower_a, bytes_a);
      Add(Load(codes->bytes + 32), of_lower, of_bytes, lower_b, bytes_b);
    }
    const float* scales = blocks.scales + row;
    const uint32_t a = Keep(lower_a, bytes_a, weights, scales, least, scores + row);
    const uint32_t b = Keep(lower_b, bytes_b, weights, scales + 16, least, scores + row + 16);
    found.Add(a | b << 16, row);
  }
  return found.count;
}

STARLING_AVX512 STARLING_INLINE size_t ScanAvx512(const NibbleBlocks& blocks, size_t steps,
                                                  size_t count, const NibbleBytes& query, float bar,
                                                  float* scores, uint32_t* above) {
  const Constants constants(query);
  const __m256i weights = _mm256_set1_epi32(constants.weights);
  const __m256 least = _mm256_set1_ps(bar);
  Found found{above};
  const NibbleStep* codes = blocks.codes;
  for (size_t row = 0; row < count * kNibbleRows; row += kNibbleRows) {
    __m512i lower = _mm512_set1_epi16(constants.lower);
    __m512i bytes = _mm512_set1_epi16(constants.bytes);
#pragma GCC unroll 4
    for (size_t step = 0; step < steps; ++step, ++codes) {
      const __m512i of_lower = _mm512_set1_epi16(Pair(query.bytes + step * kNibbleStep));
      const __m512i of_bytes = _mm512_set1_epi16(Pair(query.bytes + step * kNibbleStep + 2));
      __builtin_prefetch(codes->bytes + kBytesAhead);
      Add(_mm512_load_si512(codes->bytes), of_lower, of_bytes, lower, bytes);
    }
    const float* scales = blocks.scales + row;
    const uint32_t a = Keep(_mm512_castsi512_si256(lower), _mm512_castsi512_si256(bytes), weights,
                            scales, least, scores + row);
    const uint32_t b =
        Keep(_mm512_extracti64x4_epi64(lower, 1), _mm512_extracti64x4_epi64(bytes, 1), weights,
             scales + 16, least, scores + row + 16);
    found.Add(a | b << 16, row);
  }
  return found.count;
}

}  // namespace

STARLING_AVX2 size_t ScanNibblesAvx2(const NibbleBlocks& blocks, size_t count,
                                     const NibbleBytes& query, float bar, float* scores,
                                     uint32_t* above) {
  return blocks.steps == kUsualSteps
             ? ScanAvx2(blocks, kUsualSteps, count, query, bar, scores, above)
             : ScanAvx2(blocks, blocks.steps, count, query, bar, scores, above);
}

STARLING_AVX512 size_t ScanNibblesAvx512(const NibbleBlocks& blocks, size_t count,
                                         const NibbleBytes& query, float bar, float* scores,
                                         uint32_t* above) {
  return blocks.steps == kUsualSteps
             ? ScanAvx512(blocks, kUsualSteps, count, query, bar, scores, above)
             : ScanAvx512(blocks, blocks.steps, count, query, bar, scores, above);
}

}  // namespace starling::learning::internal

#endif

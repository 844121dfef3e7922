// Eight rows at a time: each has a register of partial sums, and the eight registers are then added
// up into one that holds the eight scores, so that one comparison tells whether any is above the
// bar. Eight rows that follow each other are read as one stretch of memory.
#include "learning/retrieval/scan_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#endif

namespace starling::learning::internal {

#if defined(__x86_64__)
namespace {

#define STARLING_AVX2 __attribute__((target("avx2,fma")))
#define STARLING_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw")))
#define STARLING_VNNI \
  __attribute__((target("avx2,fma,avx512f,avx512vl,avx512dq,avx512bw,avx512vnni")))
#define STARLING_INLINE inline __attribute__((always_inline))

constexpr size_t kRows = 8;
// How far ahead the next rows are asked for, since the machine's own foresight ends at every page.
// Asking for memory behind the last row does nothing.
constexpr size_t kBytesAhead = 4096;
constexpr size_t kCacheLine = 64;

STARLING_INLINE void FetchAhead(const void* rows, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kCacheLine) {
    __builtin_prefetch(static_cast<const char*>(rows) + kBytesAhead + at);
  }
}

// Where eight rows begin: one after the other, or anywhere.
template <typename T>
struct Adjacent {
  const T* first;
  size_t size;
  STARLING_INLINE const T* operator[](size_t row) const { return first + row * size; }
};
template <typename T>
struct Scattered {
  const T* rows[kRows];
  STARLING_INLINE const T* operator[](size_t row) const { return rows[row]; }
};

// The `left` last rows; then the last one again, so that no memory behind it is read.
template <typename T>
STARLING_INLINE Scattered<T> LastRows(const T* first, size_t size, size_t left) {
  Scattered<T> last;
  for (size_t i = 0; i < kRows; ++i) last.rows[i] = first + std::min(i, left - 1) * size;
  return last;
}
template <typename T>
STARLING_INLINE Scattered<T> RowsOf(const T* first, size_t size, const uint32_t* of, size_t left) {
  Scattered<T> some;
  for (size_t i = 0; i < kRows; ++i) some.rows[i] = first + of[std::min(i, left - 1)] * size;
  return some;
}

// Lane r is the sum of the lanes of sums[r].
STARLING_AVX2 STARLING_INLINE __m256 SumEach(const __m256 (&sums)[kRows]) {
  const __m256 a = _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]),  //
                                  _mm256_hadd_ps(sums[2], sums[3]));
  const __m256 b = _mm256_hadd_ps(_mm256_hadd_ps(sums[4], sums[5]),  //
                                  _mm256_hadd_ps(sums[6], sums[7]));
  return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
STARLING_AVX2 STARLING_INLINE __m256i SumEach(const __m256i (&sums)[kRows]) {
  const __m256i a =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
  const __m256i b =
      _mm256_hadd_epi32(_mm256_hadd_epi32(sums[4], sums[5]), _mm256_hadd_epi32(sums[6], sums[7]));
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                          _mm256_permute2x128_si256(a, b, 0x31));
}

STARLING_AVX2 STARLING_INLINE __m256i LoadBytes(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

// All bits of the first `count` lanes.
STARLING_AVX2 STARLING_INLINE __m256i FirstLanes(size_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

// Keeps the scores of `left` rows, eight at most, and the indexes of those above the bar.
STARLING_AVX2 STARLING_INLINE size_t Keep(__m256 scored, size_t row, size_t left, float bar,
                                          float* scores, uint32_t* above, size_t found) {
  auto hits = static_cast<uint32_t>(
      _mm256_movemask_ps(_mm256_cmp_ps(scored, _mm256_set1_ps(bar), _CMP_GT_OQ)));
  if (left >= kRows) {
    _mm256_storeu_ps(scores + row, scored);
  } else {
    _mm256_maskstore_ps(scores + row, FirstLanes(left), scored);
    hits &= (1U << left) - 1;
  }
  for (; hits != 0; hits &= hits - 1) {
    above[found++] = static_cast<uint32_t>(row) + static_cast<uint32_t>(__builtin_ctz(hits));
  }
  return found;
}

template <typename Rows>
STARLING_AVX2 STARLING_INLINE __m256 DotsAvx2(const Rows& row, size_t dimension,
                                              const float* query) {
  __m256 sums[kRows];
  for (__m256& sum : sums) sum = _mm256_setzero_ps();
  size_t f = 0;
  for (; f + 8 <= dimension; f += 8) {
    const __m256 q = _mm256_loadu_ps(query + f);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      sums[r] = _mm256_fmadd_ps(_mm256_loadu_ps(row[r] + f), q, sums[r]);
    }
  }
  if (f < dimension) {
    const __m256i rest = FirstLanes(dimension - f);
    const __m256 q = _mm256_maskload_ps(query + f, rest);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      sums[r] = _mm256_fmadd_ps(_mm256_maskload_ps(row[r] + f, rest), q, sums[r]);
    }
  }
  return SumEach(sums);
}

template <typename Rows>
STARLING_AVX512 STARLING_INLINE __m256 DotsAvx512(const Rows& row, size_t dimension,
                                                  const float* query) {
  __m512 wide[kRows];
  for (__m512& sum : wide) sum = _mm512_setzero_ps();
  size_t f = 0;
  for (; f + 16 <= dimension; f += 16) {
    const __m512 q = _mm512_loadu_ps(query + f);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      wide[r] = _mm512_fmadd_ps(_mm512_loadu_ps(row[r] + f), q, wide[r]);
    }
  }
  if (f < dimension) {
    const auto rest = static_cast<__mmask16>((1U << (dimension - f)) - 1);
    const __m512 q = _mm512_maskz_loadu_ps(rest, query + f);
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; ++r) {
      wide[r] = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(rest, row[r] + f), q, wide[r]);
    }
  }
  __m256 sums[kRows];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; ++r) {
    sums[r] = __builtin_shufflevector(wide[r], wide[r], 0, 1, 2, 3, 4, 5, 6, 7) +
              __builtin_shufflevector(wide[r], wide[r], 8, 9, 10, 11, 12, 13, 14, 15);
  }
  return SumEach(sums);
}

// What multiplies bytes: maddubs adds two products in 16 bits and wants one side unsigned; dpbusd
// adds four in 32.
STARLING_AVX2 STARLING_INLINE __m256i AddProductsAvx2(__m256i sum, __m256i positive, __m256i x) {
  return _mm256_add_epi32(
      sum, _mm256_madd_epi16(_mm256_maddubs_epi16(positive, x), _mm256_set1_epi16(1)));
}
STARLING_VNNI STARLING_INLINE __m256i AddProductsVnni(__m256i sum, __m256i positive, __m256i x) {
  return _mm256_dpbusd_epi32(sum, positive, x);
}

// The loops over groups of eight, around the products that differ.
#define STARLING_SCANS(Level, attribute)                                                        \
  attribute size_t Scan##Level(const float* rows, size_t count, size_t dimension,               \
                               const float* query, float bar, float* scores, uint32_t* above) { \
    size_t found = 0;                                                                           \
    size_t r = 0;                                                                               \
    for (; r + kRows <= count; r += kRows) {                                                    \
      const Adjacent<float> group{rows + r * dimension, dimension};                             \
      FetchAhead(group.first, kRows* dimension * sizeof(float));                                \
      found = Keep(Dots##Level(group, dimension, query), r, kRows, bar, scores, above, found);  \
    }                                                                                           \
    if (r == count) return found;                                                               \
    const auto last = LastRows(rows + r * dimension, dimension, count - r);                     \
    return Keep(Dots##Level(last, dimension, query), r, count - r, bar, scores, above, found);  \
  }                                                                                             \
  attribute void Score##Level(const float* rows, size_t dimension, const uint32_t* of,          \
                              size_t count, const float* query, float* scores) {                \
    for (size_t i = 0; i < count; i += kRows) {                                                 \
      const auto group = RowsOf(rows, dimension, of + i, count - i);                            \
      _mm256_maskstore_ps(scores + i, FirstLanes(std::min(kRows, count - i)),                   \
                          Dots##Level(group, dimension, query));                                \
    }                                                                                           \
  }
#define STARLING_CODE_DOTS(Level, attribute)                                             \
  /* Of bytes of either sign: |q| and x with the signs of q. */                          \
  template <typename Rows>                                                               \
  attribute STARLING_INLINE __m256i Signed##Level(const Rows& row, size_t stride,        \
                                                  const int8_t* query) {                 \
    __m256i sums[kRows];                                                                 \
    for (__m256i & sum : sums) sum = _mm256_setzero_si256();                             \
    for (size_t f = 0; f < stride; f += kCodeAlignment) {                                \
      const __m256i q = LoadBytes(query + f);                                            \
      const __m256i size = _mm256_abs_epi8(q);                                           \
      _Pragma("GCC unroll 8") for (size_t r = 0; r < kRows; ++r) {                       \
        const __m256i x = _mm256_sign_epi8(LoadBytes(row[r] + f), q);                    \
        sums[r] = AddProducts##Level(sums[r], size, x);                                  \
      }                                                                                  \
    }                                                                                    \
    return SumEach(sums);                                                                \
  }                                                                                      \
  attribute void DotCodes##Level(const int8_t* codes, size_t stride, const uint32_t* of, \
                                 size_t count, const int8_t* query, int32_t* dots) {     \
    for (size_t i = 0; i < count; i += kRows) {                                          \
      const auto group = RowsOf(codes, stride, of + i, count - i);                       \
      _mm256_maskstore_epi32(dots + i, FirstLanes(std::min(kRows, count - i)),           \
                             Signed##Level(group, stride, query));                       \
    }                                                                                    \
  }
STARLING_SCANS(Avx2, STARLING_AVX2)
STARLING_SCANS(Avx512, STARLING_AVX512)
STARLING_CODE_DOTS(Avx2, STARLING_AVX2)
STARLING_CODE_DOTS(Vnni, STARLING_VNNI)
#undef STARLING_SCANS
#undef STARLING_CODE_DOTS

constexpr ScanKernels kAvx2 = {"AVX2", ScanAvx2, ScoreAvx2, ScanNibblesAvx2, DotCodesAvx2};
constexpr ScanKernels kAvx512 = {"AVX-512", ScanAvx512, ScoreAvx512, ScanNibblesAvx512,
                                 DotCodesAvx2};
constexpr ScanKernels kVnni = {"AVX-512 VNNI", ScanAvx512, ScoreAvx512, ScanNibblesAvx512,
                               DotCodesVnni};

}  // namespace

std::vector<const ScanKernels*> X86ScanKernels() {
  std::vector<const ScanKernels*> kernels;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return kernels;
  kernels.push_back(&kAvx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    kernels.push_back(&kAvx512);
    if (__builtin_cpu_supports("avx512vnni")) kernels.push_back(&kVnni);
  }
  return kernels;
}

#else

std::vector<const ScanKernels*> X86ScanKernels() { return {}; }

#endif

}  // namespace starling::learning::internal

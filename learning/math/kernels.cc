#include "learning/math/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace starling::learning {
namespace {

#define STARLING_INLINE inline __attribute__((always_inline))

// Measured: up to three quarters of the dimension the count x count system is the quicker one.
bool TakesDual(const RowProblem& problem) { return 4 * problem.count < 3 * problem.dimension; }

// kBytes is the width of a register. Everything is forced inline into the functions at the end of
// this file, which say for which instruction set they are compiled.
template <int kBytes>
struct Ops {
  typedef float Vec __attribute__((vector_size(kBytes)));
  static constexpr size_t kLanes = kBytes / sizeof(float);

  static STARLING_INLINE void Load(const float* from, Vec& to) {
    std::memcpy(&to, from, sizeof(Vec));
  }
  static STARLING_INLINE void Store(const Vec& from, float* to) {
    std::memcpy(to, &from, sizeof(Vec));
  }
  static STARLING_INLINE float Sum(const Vec& vec) {
    // Halves are added until one lane is left; constant sizes, so this compiles to shuffles.
    float lanes[kLanes];
    Store(vec, lanes);
#pragma GCC unroll 8
    for (size_t width = kLanes / 2; width > 0; width /= 2) {
#pragma GCC unroll 8
      for (size_t i = 0; i < width; ++i) {
        lanes[i] += lanes[i + width];
      }
    }
    return lanes[0];
  }

  static STARLING_INLINE float Largest(const float* values, size_t size) {
    Vec largest0 = {};
    Vec largest1 = {};
    Vec x0, x1;
    size_t i = 0;
    for (; i + 2 * kLanes <= size; i += 2 * kLanes) {
      Load(values + i, x0);
      Load(values + i + kLanes, x1);
      largest0 = x0 > largest0 ? x0 : largest0;
      largest1 = x1 > largest1 ? x1 : largest1;
    }
    largest0 = largest1 > largest0 ? largest1 : largest0;
    float lanes[kLanes];
    Store(largest0, lanes);
    float largest = 0;
    for (size_t lane = 0; lane < kLanes; ++lane) largest = std::max(largest, lanes[lane]);
    for (; i < size; ++i) largest = std::max(largest, values[i]);
    return largest;
  }

  static STARLING_INLINE size_t FindAtLeast(const float* values, size_t begin, size_t size,
                                            float bar) {
    typedef int32_t Mask __attribute__((vector_size(kBytes)));
    constexpr size_t kStep = 4 * kLanes;
    size_t i = begin;
    Vec x0, x1, x2, x3;
    for (; i + kStep <= size; i += kStep) {
      Load(values + i, x0);
      Load(values + i + kLanes, x1);
      Load(values + i + 2 * kLanes, x2);
      Load(values + i + 3 * kLanes, x3);
      const Mask any = (x0 >= bar) | (x1 >= bar) | (x2 >= bar) | (x3 >= bar);
      uint64_t halves[kBytes / 8];
      std::memcpy(halves, &any, sizeof(halves));
      uint64_t hit = 0;
#pragma GCC unroll 8
      for (size_t h = 0; h < kBytes / 8; ++h) hit |= halves[h];
      if (hit != 0) break;
    }
    while (i < size && !(values[i] >= bar)) ++i;
    return i;
  }

  // A tree at a time over all rows: its questions stay in registers, the rows in the first cache.
  static STARLING_INLINE void SumLeaves(const TreePass& pass, uint32_t* leaf, float* scores) {
    typedef int32_t Mask __attribute__((vector_size(kBytes)));
    for (size_t tree = 0; tree < pass.trees; ++tree) {
      const uint32_t* asked = pass.asked + tree * pass.depth;
      const float* borders = pass.borders + tree * pass.depth;
      const float* leaves = pass.leaves + (tree << pass.depth);
      size_t row = 0;
      for (; row + kLanes <= pass.count; row += kLanes) {
        Mask index = {};
        for (size_t level = 0; level < pass.depth; ++level) {
          Vec x;
          Load(pass.columns + asked[level] * pass.count + row, x);
          index |= (x > borders[level]) & (1 << level);
        }
        std::memcpy(leaf + row, &index, sizeof(Mask));
      }
      for (; row < pass.count; ++row) {
        uint32_t index = 0;
        for (size_t level = 0; level < pass.depth; ++level) {
          const bool yes = pass.columns[asked[level] * pass.count + row] > borders[level];
          index |= (yes ? 1U : 0U) << level;
        }
        leaf[row] = index;
      }
      for (row = 0; row < pass.count; ++row) scores[row] += leaves[leaf[row]];
    }
  }

  static STARLING_INLINE float Dot(const float* a, const float* b, size_t size) {
    Vec sum0 = {};
    Vec sum1 = {};
    Vec x0, y0, x1, y1;
    size_t i = 0;
    for (; i + 2 * kLanes <= size; i += 2 * kLanes) {
      Load(a + i, x0);
      Load(b + i, y0);
      Load(a + i + kLanes, x1);
      Load(b + i + kLanes, y1);
      sum0 += x0 * y0;
      sum1 += x1 * y1;
    }
    for (; i + kLanes <= size; i += kLanes) {
      Load(a + i, x0);
      Load(b + i, y0);
      sum0 += x0 * y0;
    }
    float total = Sum(sum0 + sum1);
    for (; i < size; ++i) {
      total += a[i] * b[i];
    }
    return total;
  }

  // Four inner products with y at once: their sums do not wait for each other.
  static STARLING_INLINE void Dot4(const float* x0, const float* x1, const float* x2,
                                   const float* x3, const float* y, size_t size, float* out) {
    Vec sum0 = {}, sum1 = {}, sum2 = {}, sum3 = {};
    Vec v0, v1, v2, v3, w;
    size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      Load(y + i, w);
      Load(x0 + i, v0);
      Load(x1 + i, v1);
      Load(x2 + i, v2);
      Load(x3 + i, v3);
      sum0 += v0 * w;
      sum1 += v1 * w;
      sum2 += v2 * w;
      sum3 += v3 * w;
    }
    out[0] = Sum(sum0);
    out[1] = Sum(sum1);
    out[2] = Sum(sum2);
    out[3] = Sum(sum3);
    for (; i < size; ++i) {
      out[0] += x0[i] * y[i];
      out[1] += x1[i] * y[i];
      out[2] += x2[i] * y[i];
      out[3] += x3[i] * y[i];
    }
  }

  static STARLING_INLINE void Axpy(float alpha, const float* x, float* y, size_t size) {
    Vec from, to;
    size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      Load(x + i, from);
      Load(y + i, to);
      to += alpha * from;
      Store(to, y + i);
    }
    for (; i < size; ++i) {
      y[i] += alpha * x[i];
    }
  }

  // Where the register that holds column `column` begins. The lower triangle is never read, so
  // writing a little of it saves the scalar steps up to the diagonal.
  static STARLING_INLINE size_t WholeRegisters(size_t column) { return column / kLanes * kLanes; }

  // y[from..to) += a0 x0 + a1 x1 + a2 x2 + a3 x3
  static STARLING_INLINE void Axpy4(float a0, const float* x0, float a1, const float* x1, float a2,
                                    const float* x2, float a3, const float* x3, float* y,
                                    size_t from, size_t to) {
    Vec v0, v1, v2, v3, sum;
    size_t i = from;
    for (; i + kLanes <= to; i += kLanes) {
      Load(y + i, sum);
      Load(x0 + i, v0);
      Load(x1 + i, v1);
      Load(x2 + i, v2);
      Load(x3 + i, v3);
      sum += a0 * v0;
      sum += a1 * v1;
      sum += a2 * v2;
      sum += a3 * v3;
      Store(sum, y + i);
    }
    for (; i < to; ++i) {
      y[i] += a0 * x0[i] + a1 * x1[i] + a2 * x2[i] + a3 * x3[i];
    }
  }

  static STARLING_INLINE void ScoreRows(const float* rows, size_t count, size_t dimension,
                                        const float* query, float* scores) {
    size_t row = 0;
    for (; row + 4 <= count; row += 4) {
      const float* r = rows + row * dimension;
      Dot4(r, r + dimension, r + 2 * dimension, r + 3 * dimension, query, dimension, scores + row);
    }
    for (; row < count; ++row) {
      scores[row] = Dot(rows + row * dimension, query, dimension);
    }
  }

  // A = U'U in place: the upper triangle of a size x size row-major matrix, the diagonal inverted.
  static STARLING_INLINE void FactorCholesky(float* a, size_t size) {
    for (size_t k = 0; k < size; ++k) {
      float* row = a + k * size;
      // Rounding may take a pivot of a nearly singular system below zero; it stays a small
      // positive.
      const float inverse = 1.0F / std::sqrt(std::max(row[k], 1e-20F));
      for (size_t j = k + 1; j < size; ++j) {
        row[j] *= inverse;
      }
      row[k] = inverse;
      for (size_t i = k + 1; i < size; ++i) {
        const size_t from = WholeRegisters(i);
        Axpy(-row[i], row + from, a + i * size + from, size - from);
      }
    }
  }

  // x := inv(A) x, given what FactorCholesky made of A.
  static STARLING_INLINE void SolveFactored(const float* a, size_t size, float* x) {
    for (size_t k = 0; k < size; ++k) {  // U' y = x
      x[k] *= a[k * size + k];
      Axpy(-x[k], a + k * size + k + 1, x + k + 1, size - k - 1);
    }
    for (size_t k = size; k-- > 0;) {  // U x = y
      const float rest = Dot(a + k * size + k + 1, x + k + 1, size - k - 1);
      x[k] = (x[k] - rest) * a[k * size + k];
    }
  }

  // D + H'CH, upper triangle, H being the count x dimension rows.
  static STARLING_INLINE void BuildMatrix(const RowProblem& p, float* a) {
    const size_t d = p.dimension;
    std::fill(a, a + d * d, 0.0F);
    for (size_t j = 0; j < d; ++j) {
      a[j * d + j] = p.diagonal[j];
    }
    // Four entries at a time: each part of the matrix is loaded and stored a quarter as often.
    size_t i = 0;
    for (; i + 4 <= p.count; i += 4) {
      const float* h0 = p.factors + p.items[i] * d;
      const float* h1 = p.factors + p.items[i + 1] * d;
      const float* h2 = p.factors + p.items[i + 2] * d;
      const float* h3 = p.factors + p.items[i + 3] * d;
      const float* c = p.confidence + i;
      for (size_t j = 0; j < d; ++j) {
        Axpy4(c[0] * h0[j], h0, c[1] * h1[j], h1, c[2] * h2[j], h2, c[3] * h3[j], h3, a + j * d,
              WholeRegisters(j), d);
      }
    }
    for (; i < p.count; ++i) {
      const float* h = p.factors + p.items[i] * d;
      for (size_t j = 0; j < d; ++j) {
        const size_t from = WholeRegisters(j);
        Axpy(p.confidence[i] * h[j], h + from, a + j * d + from, d - from);
      }
    }
  }

  // (D + H'CH) w = H'c.
  static STARLING_INLINE void SolvePrimal(const RowProblem& p, float* a, float* w) {
    const size_t d = p.dimension;
    BuildMatrix(p, a);
    FactorCholesky(a, d);
    std::fill(w, w + d, 0.0F);
    for (size_t i = 0; i < p.count; ++i) {
      Axpy(p.confidence[i], p.factors + p.items[i] * d, w, d);
    }
    SolveFactored(a, d, w);
  }

  // The same w = inv(D) H' z with (inv(C) + H inv(D) H') z = 1 (the push-through identity).
  static STARLING_INLINE void SolveDual(const RowProblem& p, float* scratch, float* w) {
    const size_t d = p.dimension;
    const size_t n = p.count;
    float* kernel = scratch;
    float* z = kernel + n * n;
    float* scaled = z + n;
    for (size_t i = 0; i < n; ++i) {
      const float* h = p.factors + p.items[i] * d;
      for (size_t f = 0; f < d; ++f) {
        scaled[f] = h[f] / p.diagonal[f];
      }
      size_t j = i;
      for (; j + 4 <= n; j += 4) {
        Dot4(p.factors + p.items[j] * d, p.factors + p.items[j + 1] * d,
             p.factors + p.items[j + 2] * d, p.factors + p.items[j + 3] * d, scaled, d,
             kernel + i * n + j);
      }
      for (; j < n; ++j) {
        kernel[i * n + j] = Dot(scaled, p.factors + p.items[j] * d, d);
      }
      kernel[i * n + i] += 1.0F / p.confidence[i];
      z[i] = 1.0F;
    }
    FactorCholesky(kernel, n);
    SolveFactored(kernel, n, z);
    std::fill(w, w + d, 0.0F);
    for (size_t i = 0; i < n; ++i) {
      Axpy(z[i], p.factors + p.items[i] * d, w, d);
    }
    for (size_t f = 0; f < d; ++f) {
      w[f] /= p.diagonal[f];
    }
  }

  static STARLING_INLINE void SolveExactly(const RowProblem& p, float* scratch, float* w) {
    if (TakesDual(p)) {
      SolveDual(p, scratch, w);
    } else {
      SolvePrimal(p, scratch, w);
    }
  }

  static STARLING_INLINE void SolveByCg(const RowProblem& p, int steps, float* scratch, float* w) {
    const size_t d = p.dimension;
    float* residual = scratch;
    float* direction = scratch + d;
    float* product = scratch + 2 * d;
    float* inverse = scratch + 3 * d;
    // residual = H'c - (D + H'CH) w, and the diagonal of the matrix, in one pass over H.
    for (size_t f = 0; f < d; ++f) {
      residual[f] = -p.diagonal[f] * w[f];
      inverse[f] = p.diagonal[f];
    }
    for (size_t i = 0; i < p.count; ++i) {
      const float* h = p.factors + p.items[i] * d;
      const float c = p.confidence[i];
      Axpy(c * (1.0F - Dot(h, w, d)), h, residual, d);
      for (size_t f = 0; f < d; ++f) {
        inverse[f] += c * h[f] * h[f];
      }
    }
    float rho = 0;
    for (size_t f = 0; f < d; ++f) {
      inverse[f] = 1.0F / inverse[f];
      direction[f] = inverse[f] * residual[f];
    }
    rho = Dot(residual, direction, d);
    for (int step = 0; step < steps && rho > 1e-20F; ++step) {
      for (size_t f = 0; f < d; ++f) {
        product[f] = p.diagonal[f] * direction[f];
      }
      for (size_t i = 0; i < p.count; ++i) {
        const float* h = p.factors + p.items[i] * d;
        Axpy(p.confidence[i] * Dot(h, direction, d), h, product, d);
      }
      const float alpha = rho / Dot(direction, product, d);
      Axpy(alpha, direction, w, d);
      Axpy(-alpha, product, residual, d);
      for (size_t f = 0; f < d; ++f) {
        product[f] = inverse[f] * residual[f];
      }
      const float next = Dot(residual, product, d);
      const float beta = next / rho;
      for (size_t f = 0; f < d; ++f) {
        direction[f] = product[f] + beta * direction[f];
      }
      rho = next;
    }
  }
};

#define STARLING_KERNELS(Level, bytes, attribute)                                                  \
  attribute float Dot##Level(const float* a, const float* b, size_t size) {                        \
    return Ops<bytes>::Dot(a, b, size);                                                            \
  }                                                                                                \
  attribute void Axpy##Level(float alpha, const float* x, float* y, size_t size) {                 \
    Ops<bytes>::Axpy(alpha, x, y, size);                                                           \
  }                                                                                                \
  attribute void ScoreRows##Level(const float* rows, size_t count, size_t dimension,               \
                                  const float* query, float* scores) {                             \
    Ops<bytes>::ScoreRows(rows, count, dimension, query, scores);                                  \
  }                                                                                                \
  attribute float Largest##Level(const float* values, size_t size) {                               \
    return Ops<bytes>::Largest(values, size);                                                      \
  }                                                                                                \
  attribute size_t FindAtLeast##Level(const float* values, size_t begin, size_t size, float bar) { \
    return Ops<bytes>::FindAtLeast(values, begin, size, bar);                                      \
  }                                                                                                \
  attribute void SumLeaves##Level(const TreePass& pass, uint32_t* leaf, float* scores) {           \
    Ops<bytes>::SumLeaves(pass, leaf, scores);                                                     \
  }                                                                                                \
  attribute void SolveExactly##Level(const RowProblem& problem, float* scratch, float* w) {        \
    Ops<bytes>::SolveExactly(problem, scratch, w);                                                 \
  }                                                                                                \
  attribute void SolveByCg##Level(const RowProblem& problem, int steps, float* scratch,            \
                                  float* w) {                                                      \
    Ops<bytes>::SolveByCg(problem, steps, scratch, w);                                             \
  }                                                                                                \
  attribute void FactorMatrix##Level(const RowProblem& problem, float* a) {                        \
    Ops<bytes>::BuildMatrix(problem, a);                                                           \
    Ops<bytes>::FactorCholesky(a, problem.dimension);                                              \
  }                                                                                                \
  attribute void SolveFactored##Level(const float* a, size_t size, float* x) {                     \
    Ops<bytes>::SolveFactored(a, size, x);                                                         \
  }                                                                                                \
  constexpr Kernels k##Level = {                                                                   \
      #Level,           Dot##Level,          Axpy##Level,         ScoreRows##Level,                \
      Largest##Level,   FindAtLeast##Level,  SumLeaves##Level,    SolveExactly##Level,             \
      SolveByCg##Level, FactorMatrix##Level, SolveFactored##Level};

STARLING_KERNELS(Baseline, 16, )
#if defined(__x86_64__)
STARLING_KERNELS(Avx2, 32, __attribute__((target("avx2,fma"))))
STARLING_KERNELS(Avx512, 64, __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))))
#endif
#undef STARLING_KERNELS
#undef STARLING_INLINE

}  // namespace

size_t RowScratch(const RowProblem& problem) {
  const size_t size = TakesDual(problem) ? problem.count : problem.dimension;
  return std::max(size * size + size + problem.dimension, 4 * problem.dimension);
}

std::vector<const Kernels*> RunnableKernels() {
  std::vector<const Kernels*> kernels = {&kBaseline};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    kernels.push_back(&kAvx2);
  }
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
    kernels.push_back(&kAvx512);
  }
#endif
  return kernels;
}

const Kernels& BestKernels() {
  static const Kernels& best = *RunnableKernels().back();
  return best;
}

}  // namespace starling::learning

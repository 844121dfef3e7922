// The inner loops, compiled for several instruction sets and chosen once by what the CPU has.
//
//   const Kernels& kernels = BestKernels();
//   kernels.score_rows(factors, items, 64, user, scores);    // scores[i] = factors[i] . user
//
// One source, three compilations: the x86-64 baseline (SSE2), AVX2 with FMA, AVX-512. So the binary
// runs on any x86-64 and still uses what is there; on other architectures there is the baseline
// alone. Results of two levels differ by rounding only. Thread-safe; BestKernels costs a load.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace starling::learning {

// One row of the implicit least-squares problem, in a basis in which the Gram matrix is diagonal
// (models/als.h has the formulas):
//   minimise over w:  sum_i c_i (1 - w.h_i)^2 + w' D w
struct RowProblem {
  const float* factors = nullptr;     // h: rows x dimension, row-major
  const uint32_t* items = nullptr;    // count row indexes into factors
  const float* confidence = nullptr;  // c: count values > 0
  const float* diagonal = nullptr;    // D: dimension values > 0
  size_t count = 0;
  size_t dimension = 0;
};

// Rows that go through oblivious trees (ranking/boosted_trees.h has the formula).
struct TreePass {
  const float* columns = nullptr;   // of each feature, `count` values
  size_t count = 0;                 // rows
  const uint32_t* asked = nullptr;  // trees x depth features
  const float* borders = nullptr;   // trees x depth
  const float* leaves = nullptr;    // trees x 2^depth
  size_t trees = 0;
  size_t depth = 0;
};

struct Kernels {
  std::string_view name;
  // sum_i a[i] b[i]
  float (*dot)(const float* a, const float* b, size_t size);
  // y += alpha x
  void (*axpy)(float alpha, const float* x, float* y, size_t size);
  // scores[r] = rows[r] . query; rows is count x dimension, row-major. Bound by memory: 6 ns a
  // row of 64.
  void (*score_rows)(const float* rows, size_t count, size_t dimension, const float* query,
                     float* scores);
  // The largest of the values, 0 at least.
  float (*largest)(const float* values, size_t size);
  // The first index from `begin` on whose value is `bar` or more; `size` when there is none.
  size_t (*find_at_least)(const float* values, size_t begin, size_t size, float bar);
  // scores[r] += the leaves that row r comes to; `leaf` is scratch for `count` values.
  void (*sum_leaves)(const TreePass& pass, uint32_t* leaf, float* scores);
  // The exact minimiser by Cholesky, of the count x count system when that is clearly the smaller,
  // else of the dimension x dimension one. `scratch` needs RowScratch(problem) floats.
  void (*solve_exactly)(const RowProblem& problem, float* scratch, float* w);
  // `steps` of conjugate gradients from the w given, preconditioned by the diagonal.
  void (*solve_by_cg)(const RowProblem& problem, int steps, float* scratch, float* w);
  // The Cholesky factor of D + H'CH into `a` (dimension x dimension), for several right-hand sides:
  // solve_factored replaces x by the solution.
  void (*factor_matrix)(const RowProblem& problem, float* a);
  void (*solve_factored)(const float* a, size_t dimension, float* x);
};

size_t RowScratch(const RowProblem& problem);

// The best that this CPU can run.
const Kernels& BestKernels();
// Every one that this CPU can run, the baseline first: for tests and benchmarks.
std::vector<const Kernels*> RunnableKernels();

}  // namespace starling::learning

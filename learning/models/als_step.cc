#include "learning/models/als_step.h"

#include <algorithm>
#include <numeric>

#include "learning/math/dense.h"
#include "learning/math/kernels.h"

namespace starling::learning {

StatusOr<std::vector<float>> RotateToEigenbasis(Factors& fixed, Factors& other, size_t dimension,
                                                double unobserved_weight, int threads) {
  const std::vector<float> gram = GramMatrix(fixed.values, fixed.rows, dimension, threads);
  STARLING_ASSIGN_OR_RETURN(const Eigenbasis basis, SymmetricEigenbasis(gram, dimension));
  MultiplyInPlace(fixed.values, fixed.rows, basis.vectors, dimension, threads);
  MultiplyInPlace(other.values, other.rows, basis.vectors, dimension, threads);
  std::vector<float> diagonal(dimension);
  for (size_t f = 0; f < dimension; ++f) {  // rounding takes eigenvalues of 0 a little below it
    diagonal[f] = static_cast<float>(unobserved_weight * std::max(0.0F, basis.values[f]));
  }
  return diagonal;
}

void SolveRows(const HalfStep& step, const Interactions& entries, Factors& solved) {
  const size_t dimension = step.diagonal.size();
  const Kernels& kernels = BestKernels();
  // Where n^2 d / 2 for the exact system passes (steps + 1) 2 n d for the gradients.
  const size_t exact_up_to = 4 * (static_cast<size_t>(step.cg_steps) + 1);
  ParallelFor(entries.users(), step.threads, 64, [&](size_t begin, size_t end) {
    std::vector<float> diagonal(dimension);
    std::vector<float> scratch;
    for (size_t index = begin; index < end; ++index) {
      float* solution = solved.values.data() + index * dimension;
      const Interactions::Row row = entries.row(index);
      if (row.size() == 0) {
        std::fill(solution, solution + dimension, 0.0F);
        continue;
      }
      const double weight = std::accumulate(row.weights.begin(), row.weights.end(), 0.0);
      const auto ridge = static_cast<float>(step.regularisation.Of(weight));
      for (size_t f = 0; f < dimension; ++f) {
        diagonal[f] = step.diagonal[f] + ridge;
      }
      const RowProblem problem{.factors = step.fixed.data(),
                               .items = row.items.data(),
                               .confidence = row.weights.data(),
                               .diagonal = diagonal.data(),
                               .count = row.size(),
                               .dimension = dimension};
      scratch.resize(std::max(scratch.size(), RowScratch(problem)));
      if (step.cg_steps == 0 || row.size() <= exact_up_to) {
        kernels.solve_exactly(problem, scratch.data(), solution);
      } else {
        kernels.solve_by_cg(problem, step.cg_steps, scratch.data(), solution);
      }
    }
  });
}

}  // namespace starling::learning

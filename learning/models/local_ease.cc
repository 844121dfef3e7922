#include "learning/models/local_ease.h"

#include <algorithm>
#include <cmath>

#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/models/local_gram.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

Status Check(const LocalEaseOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckRegression(options));
  if (options.neighbours < 1 || options.neighbours > 2'000)
    return InvalidField("neighbours", "{} is outside 1 to 2000", options.neighbours);
  return OkStatus();
}

LocalOptions Local(const LocalEaseOptions& options) {
  return {.weighting = options.weighting,
          .as_of = options.as_of,
          .user_exponent = options.user_exponent,
          .neighbours = static_cast<size_t>(options.neighbours),
          .threads = options.threads,
          .memory_limit = options.memory_limit};
}

LocalPlan PlanOf(const Interactions& data, const LocalEaseOptions& options) {
  const LocalOptions local = Local(options);
  const uint64_t square = std::min(local.neighbours, data.items());
  LocalPlan plan = PlanLocal(data, local, 8 * square * square);
  plan.memory += 4 * data.items();  // what is unexplained of each
  return plan;
}

// One regression at a time; its memory is used again for the next.
class LocalRegression {
 public:
  // Says of each item in `unexplained`, unless that is empty, what L_jj P_jj is.
  LocalRegression(const LocalEaseOptions& options, std::span<float> unexplained)
      : options_(options), unexplained_(unexplained) {}

  std::span<const Source> operator()(Neighbourhood& near) {
    const size_t size = near.size();
    if (size == 0) return {};
    added_.resize(size);
    for (size_t i = 0; i < size; ++i)
      added_[i] = AddedToDiagonal(options_.regularisation, options_.dropout, near.diagonal(i));
    // What was cut off G may leave it indefinite, which more on the diagonal mends.
    double more = 0;
    while (!Factor(near, more)) {
      more = more == 0 ? 0.01 : more * 4;
      if (more > 1e6) return {};  // sums that overflowed
    }
    Substitute(near.neighbours());
    // 1 / P_jj by the inverse of a matrix in blocks.
    const float added = AddedToDiagonal(options_.regularisation, options_.dropout, near.diagonal());
    float left = near.diagonal() + added;
    for (size_t i = 0; i < size; ++i) left -= near.neighbours()[i].weight * solution_[i];
    const float unexplained = added / std::max(left, added);
    if (!unexplained_.empty()) unexplained_[near.item()] = unexplained;
    const float scale = RelaxedBy(unexplained, options_.relaxation);
    weights_.clear();
    for (size_t i = 0; i < size; ++i) {
      if (solution_[i] != 0) weights_.push_back({near.neighbours()[i].item, solution_[i] * scale});
    }
    return weights_;
  }

 private:
  // The Cholesky factor of the matrix; false when it has none.
  bool Factor(Neighbourhood& near, double more) {
    const Kernels& kernels = BestKernels();
    const size_t size = near.size();
    factor_.resize(size * size);
    inverse_.resize(size);
    for (size_t i = 0; i < size; ++i) {
      float* row = factor_.data() + i * size;
      const float* of_matrix = near.matrix().data() + i * size;
      for (size_t j = 0; j < i; ++j)
        row[j] = (of_matrix[j] - kernels.dot(row, factor_.data() + j * size, j)) * inverse_[j];
      const float diagonal = of_matrix[i] * static_cast<float>(1 + more) + added_[i];
      const float left = diagonal - kernels.dot(row, row, i);
      if (!(left > 1e-6F * diagonal)) return false;
      inverse_[i] = 1 / std::sqrt(left);
      row[i] = left * inverse_[i];
    }
    return true;
  }

  void Substitute(std::span<const Source> neighbours) {
    const Kernels& kernels = BestKernels();
    const size_t size = neighbours.size();
    solution_.resize(size);
    for (size_t i = 0; i < size; ++i) {
      const float* row = factor_.data() + i * size;
      solution_[i] = (neighbours[i].weight - kernels.dot(row, solution_.data(), i)) * inverse_[i];
    }
    for (size_t i = size; i-- > 0;) {
      solution_[i] *= inverse_[i];
      kernels.axpy(-solution_[i], factor_.data() + i * size, solution_.data(), i);
    }
  }

  const LocalEaseOptions& options_;
  const std::span<float> unexplained_;
  std::vector<Source> weights_;
  std::vector<float> factor_, added_, inverse_, solution_;
};

}  // namespace

uint64_t LocalEaseMemory(const Interactions& data, const LocalEaseOptions& options) {
  return PlanOf(data, options).memory;
}

StatusOr<ItemToItemModel> FitLocalEase(const Interactions& data, const LocalEaseOptions& options,
                                       const Progress& progress) {
  STARLING_RETURN_IF_ERROR(Check(options));
  const LocalPlan plan = PlanOf(data, options);
  STARLING_RETURN_IF_ERROR(CheckMemory(plan.memory, options.memory_limit,
                                       "lower neighbours, or raise it when the machine has it"));
  // So that an unrelaxed fit can still be relaxed.
  std::vector<float> unexplained(options.relaxation == 0 ? data.items() : 0, 1.0F);
  STARLING_ASSIGN_OR_RETURN(const BumpRows<Source> sources,
                            FitLocally(data, Local(options), plan, progress,
                                       [&] { return LocalRegression(options, unexplained); }));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kEaseKind, options.weighting, sources, std::move(unexplained));
}

}  // namespace starling::learning

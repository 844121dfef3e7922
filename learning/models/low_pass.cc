#include "learning/models/low_pass.h"

#include <algorithm>
#include <cmath>

#include "learning/math/dense.h"
#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/models/parameters.h"
#include "learning/models/weighed_history.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

// Directions beyond those that are kept: they make those converge sooner.
constexpr size_t kBeyond = 16;

// sums[i]^-exponent; 0 where there is nothing.
std::vector<float> Scales(const std::vector<double>& sums, double exponent) {
  std::vector<float> scales(sums.size(), 0.0F);
  for (size_t i = 0; i < sums.size(); ++i) {
    if (sums[i] > 0) scales[i] = static_cast<float>(std::pow(sums[i], -exponent));
  }
  return scales;
}

// The normalised matrix N and its transpose, as sparse rows with scales beside them.
struct Normalised {
  const Interactions& rows;
  const Interactions& columns;
  std::vector<float> user_scales;
  std::vector<float> item_scales;
};

// out = scale(row) * sum over the row of weight * scale(column) * in[column], rows x width.
void Multiply(const Interactions& sparse, std::span<const float> row_scales,
              std::span<const float> column_scales, std::span<const float> in, size_t width,
              int threads, std::vector<float>& out) {
  out.assign(sparse.users() * width, 0.0F);
  const Kernels& kernels = BestKernels();
  ParallelFor(sparse.users(), threads, 64, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) {
      const Interactions::Row row = sparse.row(r);
      float* sums = out.data() + r * width;
      for (size_t i = 0; i < row.size(); ++i) {
        kernels.axpy(row.weights[i] * column_scales[row.items[i]] * row_scales[r],
                     in.data() + row.items[i] * width, sums, width);
      }
    }
  });
}

// Replaces the rows x width matrix by one with orthonormal columns of the same span, by descending
// eigenvalue of its Gram matrix; directions that vanish become 0. Twice, since the first time
// leaves an error of the square of the condition.
Status Orthonormalise(std::vector<float>& matrix, size_t rows, size_t width, int threads) {
  for (int time = 0; time < 2; ++time) {
    STARLING_ASSIGN_OR_RETURN(const Eigenbasis basis,
                              SymmetricEigenbasis(GramMatrix(matrix, rows, width, threads), width));
    const float least = basis.values.back() * 1e-6F;
    std::vector<float> turn(width * width, 0.0F);
    for (size_t j = 0; j < width; ++j) {
      const size_t from = width - 1 - j;
      if (!(basis.values[from] > least)) continue;
      const float scale = 1 / std::sqrt(basis.values[from]);
      for (size_t i = 0; i < width; ++i)
        turn[i * width + j] = basis.vectors[i * width + from] * scale;
    }
    MultiplyInPlace(matrix, rows, turn, width, threads);
  }
  return OkStatus();
}

// The first `kept` right singular vectors of N, items x kept.
StatusOr<std::vector<float>> RightSingularVectors(const Normalised& matrix, size_t kept,
                                                  const LowPassOptions& options,
                                                  const Progress& progress) {
  const size_t items = matrix.rows.items();
  const size_t width = std::min({kept + kBeyond, items, matrix.rows.users()});
  std::vector<float> v(items * width);
  std::vector<float> u;
  Random random(options.seed);
  for (float& value : v) value = static_cast<float>(random.Normal());
  const auto forth = [&] {
    Multiply(matrix.rows, matrix.user_scales, matrix.item_scales, v, width, options.threads, u);
  };
  for (int i = 0; i < options.iterations; ++i) {
    STARLING_RETURN_IF_ERROR(ReportProgress(progress, static_cast<double>(i) / options.iterations));
    STARLING_RETURN_IF_ERROR(Orthonormalise(v, items, width, options.threads));
    forth();
    Multiply(matrix.columns, matrix.item_scales, matrix.user_scales, u, width, options.threads, v);
  }
  // Within the span, those of the largest singular values (Rayleigh and Ritz).
  STARLING_RETURN_IF_ERROR(Orthonormalise(v, items, width, options.threads));
  forth();
  STARLING_ASSIGN_OR_RETURN(
      const Eigenbasis basis,
      SymmetricEigenbasis(GramMatrix(u, matrix.rows.users(), width, options.threads), width));
  u = std::vector<float>();
  MultiplyInPlace(v, items, basis.vectors, width, options.threads);
  std::vector<float> first(items * kept);
  for (size_t item = 0; item < items; ++item) {
    for (size_t j = 0; j < kept; ++j) first[item * kept + j] = v[item * width + width - 1 - j];
  }
  return first;
}

// How many directions are kept.
size_t Kept(const Interactions& data, const LowPassOptions& options) {
  return std::min({static_cast<size_t>(options.factors), data.users(), data.items()});
}

Status Check(const LowPassOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  if (options.factors < 1 || options.factors > 1024)
    return InvalidField("factors", "{} is outside 1 to 1024", options.factors);
  STARLING_RETURN_IF_ERROR(CheckShare("user_exponent", options.user_exponent));
  STARLING_RETURN_IF_ERROR(CheckShare("item_exponent", options.item_exponent));
  return CheckAtLeast("iterations", options.iterations, 1);
}

}  // namespace

uint64_t LowPassMemory(const Interactions& data, const LowPassOptions& options) {
  const uint64_t kept = Kept(data, options);
  const uint64_t width = std::min<uint64_t>({kept + kBeyond, data.items(), data.users()});
  const uint64_t scales = 4 * (data.users() + 2 * data.items());
  // Beside the items' vectors there are the users', and at the end those that are kept.
  const uint64_t vectors =
      4 * (width * data.items() +
           std::max(width * data.users() + RotationMemory(width) / 4, kept * data.items()));
  return WeighedMemory(data) + scales + vectors;
}

StatusOr<LowPassModel> FitLowPass(const Interactions& data, const LowPassOptions& options,
                                  const Progress& progress) {
  STARLING_RETURN_IF_ERROR(Check(options));
  STARLING_RETURN_IF_ERROR(
      CheckMemory(LowPassMemory(data, options), options.memory_limit,
                  "lower factors, or raise it when the machine has the memory"));
  const size_t kept = Kept(data, options);

  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  const Interactions rows = data.Weighed(options.weighting, as_of);
  const Interactions columns = rows.Transposed();
  const auto sums = [](const Interactions& matrix) {
    std::vector<double> of_rows(matrix.users(), 0);
    for (size_t row = 0; row < matrix.users(); ++row) {
      for (const float weight : matrix.row(row).weights) of_rows[row] += weight;
    }
    return of_rows;
  };
  const Normalised normalised{rows, columns, Scales(sums(rows), options.user_exponent),
                              Scales(sums(columns), options.item_exponent)};
  LowPassModel model;
  STARLING_ASSIGN_OR_RETURN(std::vector<float> factors,
                            RightSingularVectors(normalised, kept, options, progress));
  std::vector<float> scales(data.items(), 1.0F);
  for (size_t i = 0; i < scales.size(); ++i) {
    if (normalised.item_scales[i] > 0) scales[i] = 1 / normalised.item_scales[i];
  }
  model.weighting_ = options.weighting;
  model.parameters_ = Array(WeightingParameters(options.weighting));
  model.scales_ = Array(std::move(scales));
  model.factors_ = Array(std::move(factors));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return model;
}

StatusOr<LowPassModel> LowPassModel::Open(const Artifact& artifact) {
  LowPassModel model;
  STARLING_ASSIGN_OR_RETURN(model.parameters_, artifact.Get<double>("parameters", 2));
  STARLING_ASSIGN_OR_RETURN(model.weighting_, WeightingFrom(model.parameters_));
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> scales, artifact.Get<float>("scales"));
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> factors, artifact.Get<float>("factors"));
  model.scales_ = scales.values;
  model.factors_ = factors.values;
  if (model.items() == 0 || model.factors_.empty() || model.factors_.size() % model.items() != 0) {
    return DataLoss("section 'factors' has {} values, which are no rows of {} items",
                    model.factors_.size(), model.items());
  }
  if (!std::all_of(model.scales_.begin(), model.scales_.end(),
                   [](float scale) { return scale > 0 && std::isfinite(scale); })) {
    return DataLoss("section 'scales' has a value that is no finite number above 0");
  }
  return model;
}

void LowPassModel::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("parameters", parameters_);
  writer.Add<float>("scales", scales_);
  writer.Add<float>("factors", factors_);
}

void LowPassModel::Score(History history, int64_t now, std::span<float> scores) const {
  const Kernels& kernels = BestKernels();
  std::vector<float> smooth(dimension(), 0.0F);
  for (const WeighedItem& entry : WeighHistory(history, weighting_, now, items())) {
    kernels.axpy(entry.x / scales_[entry.item], factors_.data() + entry.item * dimension(),
                 smooth.data(), dimension());
  }
  kernels.score_rows(factors_.data(), items(), dimension(), smooth.data(), scores.data());
  for (size_t i = 0; i < scores.size(); ++i) scores[i] *= scales_[i];
}

std::vector<std::optional<uint32_t>> LowPassModel::Explain(History history, int64_t now,
                                                           std::span<const uint32_t> items) const {
  const Kernels& kernels = BestKernels();
  const std::vector<WeighedItem> entries = WeighHistory(history, weighting_, now, this->items());
  std::vector<std::optional<uint32_t>> reasons(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    float best = 0;
    for (const WeighedItem& entry : entries) {
      const float share = entry.x / scales_[entry.item] *
                          kernels.dot(factors_.data() + entry.item * dimension(),
                                      factors_.data() + items[i] * dimension(), dimension());
      if (share > best) {
        best = share;
        reasons[i] = entry.item;
      }
    }
  }
  return reasons;
}

}  // namespace starling::learning

#include "learning/models/als.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "learning/math/dense.h"
#include "learning/math/kernels.h"
#include "learning/models/als_step.h"
#include "learning/models/fit_checks.h"
#include "learning/models/parameters.h"
#include "learning/models/weighed_history.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

Status CheckOptions(const Interactions& data, const AlsOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  STARLING_RETURN_IF_ERROR(CheckPositive("unobserved_weight", options.unobserved_weight));
  STARLING_RETURN_IF_ERROR(CheckPositive("regularisation", options.regularisation));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("frequency_exponent", options.frequency_exponent, 0));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("iterations", options.iterations, 1));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("cg_steps", options.cg_steps, 0));
  if (options.factors < 1 || options.factors > 1024) {
    return InvalidField("factors", "{} is outside 1 to 1024; 64 is a good start", options.factors);
  }
  return CheckMemory(AlsMemory(data, options), options.memory_limit,
                     "lower factors, or raise it when the machine has the memory");
}

Factors RandomFactors(size_t rows, size_t dimension, Random& random) {
  Factors factors{std::vector<float>(rows * dimension), rows};
  const double deviation = 0.1 / std::sqrt(static_cast<double>(dimension));
  for (float& value : factors.values) {
    value = static_cast<float>(deviation * random.Normal());
  }
  return factors;
}

}  // namespace

uint64_t AlsMemory(const Interactions& data, const AlsOptions& options) {
  const auto dimension = static_cast<uint64_t>(options.factors);
  return WeighedMemory(data) + 4 * dimension * (data.users() + data.items()) +
         RotationMemory(dimension);
}

double AlsRegularisation::Of(double weight) const {
  return regularisation * std::pow(weight + base, exponent);
}

StatusOr<AlsModel> FitAls(const Interactions& data, const AlsOptions& options,
                          const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckOptions(data, options));
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  const auto dimension = static_cast<size_t>(options.factors);
  const Interactions rows = data.Weighed(options.weighting, as_of);
  const Interactions columns = rows.Transposed();
  const auto regularisation = [&](size_t others) {
    return AlsRegularisation{options.regularisation,
                             options.unobserved_weight * static_cast<double>(others),
                             options.frequency_exponent};
  };
  Random random(options.seed);
  Factors items = RandomFactors(data.items(), dimension, random);
  Factors users{std::vector<float>(data.users() * dimension), data.users()};
  const auto half_step = [&](Factors& fixed, Factors& solved, const Interactions& entries) {
    STARLING_ASSIGN_OR_RETURN(
        const std::vector<float> diagonal,
        RotateToEigenbasis(fixed, solved, dimension, options.unobserved_weight, options.threads));
    SolveRows({.fixed = fixed.values,
               .diagonal = diagonal,
               .regularisation = regularisation(fixed.rows),
               .cg_steps = options.cg_steps,
               .threads = options.threads},
              entries, solved);
    return OkStatus();
  };
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    STARLING_RETURN_IF_ERROR(ReportProgress(progress, iteration * 1.0 / options.iterations));
    STARLING_RETURN_IF_ERROR(half_step(items, users, rows));
    STARLING_RETURN_IF_ERROR(half_step(users, items, columns));
  }
  STARLING_ASSIGN_OR_RETURN(
      std::vector<float> diagonal,
      RotateToEigenbasis(items, users, dimension, options.unobserved_weight, options.threads));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));

  AlsModel model;
  model.weighting_ = options.weighting;
  model.regularisation_ = regularisation(data.items());
  std::vector<double> parameters = WeightingParameters(options.weighting);
  parameters.insert(parameters.end(), {options.regularisation, model.regularisation_.base,
                                       options.frequency_exponent});
  model.parameters_ = Array(std::move(parameters));
  model.gram_ = Array(std::move(diagonal));
  model.factors_ = Array(std::move(items.values));
  return model;
}

StatusOr<AlsModel> AlsModel::Open(const Artifact& artifact) {
  AlsModel model;
  STARLING_ASSIGN_OR_RETURN(model.parameters_, artifact.Get<double>("parameters", 5));
  STARLING_ASSIGN_OR_RETURN(model.weighting_, WeightingFrom(model.parameters_));
  model.regularisation_ = {model.parameters_[2], model.parameters_[3], model.parameters_[4]};
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> factors, artifact.Get<float>("factors"));
  STARLING_ASSIGN_OR_RETURN(model.gram_, artifact.Get<float>("gram", factors.columns));
  model.factors_ = factors.values;
  if (factors.columns < 1 || factors.columns > 1024) {
    return DataLoss("section 'factors' has {} columns, outside 1 to 1024", factors.columns);
  }
  if (!(model.regularisation_.Of(1) > 0) ||
      std::any_of(model.gram_.begin(), model.gram_.end(), [](float g) { return !(g >= 0); })) {
    return DataLoss("sections 'parameters' and 'gram' do not make a positive definite system");
  }
  return model;
}

void AlsModel::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("parameters", parameters_);
  writer.Add<float>("gram", gram_);
  writer.Add<float>("factors", factors_, items(), dimension());
}

// The user's rows, confidences and diagonal, as the kernels take them.
struct AlsModel::UserSystem {
  std::vector<uint32_t> items;
  std::vector<float> confidence;
  std::vector<float> diagonal;
  RowProblem problem;
};

AlsModel::UserSystem AlsModel::SystemOf(History history, int64_t now) const {
  UserSystem system;
  double weight = 0;
  for (const WeighedItem& entry : WeighHistory(history, weighting_, now, items())) {
    // What has aged to almost nothing is nothing; its inverse must stay finite.
    if (entry.x > std::numeric_limits<float>::min()) {
      system.items.push_back(entry.item);
      system.confidence.push_back(entry.x);
      weight += entry.x;
    }
  }
  system.diagonal.resize(dimension());
  const auto ridge = static_cast<float>(regularisation_.Of(weight));
  for (size_t f = 0; f < dimension(); ++f) {
    system.diagonal[f] = gram_[f] + ridge;
  }
  system.problem = {.factors = factors_.data(),
                    .items = system.items.data(),
                    .confidence = system.confidence.data(),
                    .diagonal = system.diagonal.data(),
                    .count = system.items.size(),
                    .dimension = dimension()};
  return system;
}

void AlsModel::FoldIn(History history, int64_t now, std::span<float> user) const {
  const UserSystem system = SystemOf(history, now);
  if (system.items.empty()) {
    std::fill(user.begin(), user.end(), 0.0F);
    return;
  }
  std::vector<float> scratch(RowScratch(system.problem));
  BestKernels().solve_exactly(system.problem, scratch.data(), user.data());
}

std::vector<std::optional<uint32_t>> AlsModel::Explain(History history, int64_t now,
                                                       std::span<const uint32_t> items) const {
  const UserSystem system = SystemOf(history, now);
  std::vector<std::optional<uint32_t>> reasons(items.size());
  if (system.items.empty()) {
    return reasons;
  }
  const size_t d = dimension();
  const Kernels& kernels = BestKernels();
  const auto row = [&](uint32_t item) { return factors_.data() + item * d; };
  std::vector<float> matrix(d * d);
  kernels.factor_matrix(system.problem, matrix.data());
  std::vector<float> y(d);
  for (size_t target = 0; target < items.size(); ++target) {
    if (items[target] >= this->items()) {
      continue;
    }
    std::copy(row(items[target]), row(items[target]) + d, y.begin());
    kernels.solve_factored(matrix.data(), d, y.data());
    float best = 0;
    for (size_t i = 0; i < system.items.size(); ++i) {
      const float share = system.confidence[i] * kernels.dot(row(system.items[i]), y.data(), d);
      if (share > best) {
        best = share;
        reasons[target] = system.items[i];
      }
    }
  }
  return reasons;
}

}  // namespace starling::learning

#include "learning/models/sampled_mf.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/math/adam.h"
#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/models/parameters.h"
#include "learning/models/sampled_mf_step.h"
#include "learning/models/user_batches.h"
#include "learning/models/weighed_history.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

Status Check(const SampledMfOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  if (options.factors < 1 || options.factors > 1024)
    return InvalidField("factors", "{} is outside 1 to 1024", options.factors);
  STARLING_RETURN_IF_ERROR(CheckAtLeast("steps", options.steps, 1));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("negatives", options.negatives, 1));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("temperature", options.temperature, 0.01));
  STARLING_RETURN_IF_ERROR(CheckShare("margin", options.margin));
  STARLING_RETURN_IF_ERROR(CheckPositive("negative_weight", options.negative_weight));
  STARLING_RETURN_IF_ERROR(CheckDropout(options.dropout));
  STARLING_RETURN_IF_ERROR(CheckShare("user_exponent", options.user_exponent));
  return CheckPositive("learning_rate", options.learning_rate);
}

// The first `count` of `items`, after that many were drawn out of all; ascending.
std::span<const uint32_t> Draw(std::vector<uint32_t>& items, size_t count, Random& random) {
  if (count < items.size()) {
    for (size_t i = 0; i < count; ++i)
      std::swap(items[i], items[i + random.Below(items.size() - i)]);
  }
  std::sort(items.begin(), items.begin() + static_cast<ptrdiff_t>(count));
  return std::span(items).first(count);
}

void Normalise(std::span<float> vector) {
  float squares = 1e-12F;
  for (const float x : vector) squares += x * x;
  for (float& x : vector) x /= std::sqrt(squares);
}

std::vector<float> Start(size_t size, size_t factors, uint64_t seed) {
  Random random(seed);
  std::vector<float> parameters(size);
  const double deviation = 1 / std::sqrt(static_cast<double>(factors));
  for (float& parameter : parameters) parameter = static_cast<float>(deviation * random.Normal());
  return parameters;
}

}  // namespace

uint64_t SampledMfMemory(const Interactions& data, const SampledMfOptions& options) {
  const uint64_t table = 4 * data.items() * static_cast<uint64_t>(options.factors);
  // Parameters and Adam's two; the model comes when the gradient and what a step keeps has gone.
  return 6 * table + SampledMfStep::Memory(data.items(), BatchOf(data), options) +
         4 * data.entries() + 8 * data.users() + 4 * data.items();
}

StatusOr<SampledMfModel> FitSampledMf(const Interactions& data, const SampledMfOptions& options,
                                      const Progress& progress) {
  STARLING_RETURN_IF_ERROR(Check(options));
  STARLING_RETURN_IF_ERROR(CheckMemory(SampledMfMemory(data, options), options.memory_limit,
                                       "lower factors, or raise it when the machine has it"));
  const int64_t as_of = options.as_of != 0 ? options.as_of : data.latest_time();
  const Interactions rows = data.Weighed(options.weighting, as_of);
  const size_t items = data.items(), factors = static_cast<size_t>(options.factors);
  const size_t drawn = std::min(static_cast<size_t>(options.negatives), items);
  std::vector<float> parameters = Start(2 * items * factors, factors, options.seed);
  UserBatches batches(rows, {.largest = BatchOf(data),
                             .user_exponent = options.user_exponent,
                             .dropout = options.dropout,
                             .seed = options.seed + 1});
  if (batches.size() > 0) {
    std::vector<float> gradient;
    SampledMfStep step(items, batches.size(), options);
    Adam adam(parameters.size(), options.learning_rate, options.threads);
    std::vector<uint32_t> order(items);
    std::iota(order.begin(), order.end(), 0);
    std::vector<uint64_t> draws;
    for (int time = 0; time < options.steps; ++time) {
      STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1.0 * time / options.steps));
      const UserBatch batch = batches.Next();
      draws.clear();
      for (size_t u = 0; options.loss == SampledLoss::kBpr && u < batch.users.size(); ++u) {
        for (size_t p = 0; p < rows.row(batch.users[u]).size(); ++p)
          draws.push_back(batches.random().Next());
      }
      step.Loss(parameters, rows, batch, Draw(order, drawn, batches.random()), draws, gradient);
      adam.Apply(gradient, parameters);
    }
  }
  if (!std::all_of(parameters.begin(), parameters.end(), [](float x) { return std::isfinite(x); }))
    return FailedPrecondition("the factors left the finite numbers; lower learning_rate");

  SampledMfModel model;
  model.weighting_ = options.weighting;
  model.cosine_ = options.loss != SampledLoss::kBpr;
  model.items_ = items;
  model.dimension_ = factors;
  std::vector<double> of_model = WeightingParameters(options.weighting);
  of_model.push_back(model.cosine_ ? 1 : 0);
  model.parameters_ = Array(std::move(of_model));
  const auto middle = parameters.begin() + static_cast<ptrdiff_t>(items * factors);
  model.history_factors_ = Array(std::vector<float>(parameters.begin(), middle));
  std::vector<float> scored(middle, parameters.end());
  for (size_t item = 0; model.cosine_ && item < items; ++item)
    Normalise(std::span(scored).subspan(item * factors, factors));
  model.factors_ = Array(std::move(scored));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return model;
}

StatusOr<SampledMfModel> SampledMfModel::Open(const Artifact& artifact) {
  SampledMfModel model;
  STARLING_ASSIGN_OR_RETURN(model.parameters_, artifact.Get<double>("parameters", 3));
  STARLING_ASSIGN_OR_RETURN(model.weighting_, WeightingFrom(model.parameters_));
  model.cosine_ = model.parameters_[2] != 0;
  STARLING_ASSIGN_OR_RETURN(const Matrix<float> factors, artifact.Get<float>("factors"));
  model.factors_ = factors.values;
  model.items_ = factors.rows;
  model.dimension_ = factors.columns;
  STARLING_ASSIGN_OR_RETURN(model.history_factors_,
                            artifact.Get<float>("history_factors", model.factors_.size()));
  if (model.dimension_ < 1 || model.dimension_ > 1024) {
    return DataLoss("section 'factors' has {} columns, outside 1 to 1024", model.dimension_);
  }
  return model;
}

void SampledMfModel::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("parameters", parameters_);
  writer.Add<float>("factors", factors_, items_, dimension_);
  writer.Add<float>("history_factors", history_factors_);
}

void SampledMfModel::FoldIn(History history, int64_t now, std::span<float> user) const {
  const Kernels& kernels = BestKernels();
  const std::vector<WeighedItem> entries = WeighHistory(history, weighting_, now, items());
  float squares = 0;
  for (const WeighedItem& entry : entries) squares += entry.x * entry.x;
  std::fill(user.begin(), user.end(), 0.0F);
  if (!(squares > 0)) return;
  for (const WeighedItem& entry : entries) {
    kernels.axpy(entry.x / std::sqrt(squares), history_factors_.data() + entry.item * dimension(),
                 user.data(), dimension());
  }
  if (cosine_) Normalise(user);
}

std::vector<std::optional<uint32_t>> SampledMfModel::Explain(
    History history, int64_t now, std::span<const uint32_t> items) const {
  const std::vector<WeighedItem> entries = WeighHistory(history, weighting_, now, this->items());
  std::vector<std::optional<uint32_t>> reasons(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i] >= this->items()) continue;
    float best = 0;
    for (const WeighedItem& entry : entries) {
      const float share =
          entry.x * BestKernels().dot(history_factors_.data() + entry.item * dimension(),
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

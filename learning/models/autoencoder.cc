#include "learning/models/autoencoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/math/adam.h"
#include "learning/math/kernels.h"
#include "learning/models/autoencoder_step.h"
#include "learning/models/fit_checks.h"
#include "learning/models/parameters.h"
#include "learning/models/user_batches.h"
#include "learning/models/weighed_history.h"
#include "learning/random.h"

namespace starling::learning {
namespace {

AutoencoderShape ShapeOf(const Interactions& data, const AutoencoderOptions& options) {
  return {data.items(), static_cast<size_t>(options.factors)};
}

Status Check(const AutoencoderOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  if (options.factors < 1 || options.factors > 1024)
    return InvalidField("factors", "{} is outside 1 to 1024", options.factors);
  STARLING_RETURN_IF_ERROR(CheckShare("user_exponent", options.user_exponent));
  STARLING_RETURN_IF_ERROR(CheckPositive("learning_rate", options.learning_rate));
  if (!(options.dropout >= 0) || !(options.dropout < 1))
    return InvalidField("dropout", "{} is no probability below 1", options.dropout);
  return OkStatus();
}

std::vector<float> Start(AutoencoderShape shape, uint64_t seed) {
  std::vector<float> parameters(shape.Size(), 0.0F);
  const double bound = std::sqrt(6 / static_cast<double>(shape.items + shape.factors));
  Random random(seed);
  for (size_t i = 0; i < shape.EncoderBias(); ++i)
    parameters[i] = static_cast<float>((2 * random.Unit() - 1) * bound);
  return parameters;
}

}  // namespace

uint64_t AutoencoderMemory(const Interactions& data, const AutoencoderOptions& options) {
  const AutoencoderShape shape = ShapeOf(data, options);
  // Parameters, Adam's two and a gradient; then the parameters as the model has them, which come
  // when the gradient has gone.
  return 16 * shape.Size() + 4 * BatchOf(data) * (shape.items + 2 * shape.factors) +
         4 * data.entries() + 8 * data.users();
}

// All that one step leaves to the next.
struct AutoencoderFit::State {
  State(const Interactions& data, const AutoencoderOptions& given)
      : options(given),
        rows(data.Weighed(given.weighting, given.as_of != 0 ? given.as_of : data.latest_time())),
        shape(ShapeOf(data, given)),
        batches(rows, {.largest = BatchOf(data),
                       .user_exponent = given.user_exponent,
                       .dropout = given.dropout,
                       .seed = given.seed + 1}),
        parameters(Start(shape, given.seed)),
        adam(shape.Size(), given.learning_rate, given.threads) {}

  const AutoencoderOptions options;
  const Interactions rows;
  const AutoencoderShape shape;
  UserBatches batches;
  std::vector<float> parameters;
  Adam adam;
  int done = 0;  // steps
};

AutoencoderFit::AutoencoderFit(std::unique_ptr<State> state) : state_(std::move(state)) {}
AutoencoderFit::AutoencoderFit(AutoencoderFit&& other) noexcept = default;
AutoencoderFit& AutoencoderFit::operator=(AutoencoderFit&& other) noexcept = default;
AutoencoderFit::~AutoencoderFit() = default;

StatusOr<AutoencoderFit> AutoencoderFit::Begin(const Interactions& data,
                                               const AutoencoderOptions& options) {
  STARLING_RETURN_IF_ERROR(Check(options));
  STARLING_RETURN_IF_ERROR(CheckMemory(AutoencoderMemory(data, options), options.memory_limit,
                                       "lower factors, or raise it when the machine has it"));
  return AutoencoderFit(std::make_unique<State>(data, options));
}

int AutoencoderFit::steps() const { return state_->done; }

Status AutoencoderFit::RunTo(int steps, const Progress& progress) {
  State& s = *state_;
  if (s.batches.size() == 0) s.done = std::max(s.done, steps);
  std::vector<float> gradient;
  AutoencoderStep step(s.shape, s.batches.size(), s.options.threads);
  for (; s.done < steps; ++s.done) {
    STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1.0 * s.done / steps));
    const UserBatch batch = s.batches.Next();
    step.Loss(s.parameters, s.rows, batch, gradient);
    s.adam.Apply(gradient, s.parameters);
  }
  return OkStatus();
}

StatusOr<AutoencoderModel> AutoencoderFit::Model() const {
  const std::vector<float>& parameters = state_->parameters;
  const AutoencoderShape& shape = state_->shape;
  if (!std::all_of(parameters.begin(), parameters.end(), [](float x) { return std::isfinite(x); }))
    return FailedPrecondition("the autoencoder left the finite numbers; lower learning_rate");
  AutoencoderModel model;
  model.weighting_ = state_->options.weighting;
  model.parameters_ = Array(WeightingParameters(model.weighting_));
  const auto part = [&](size_t begin, size_t count) {
    const auto first = parameters.begin() + static_cast<ptrdiff_t>(begin);
    return Array(std::vector<float>(first, first + static_cast<ptrdiff_t>(count)));
  };
  model.encoder_ = part(0, shape.items * shape.factors);
  model.decoder_ = part(shape.Decoder(), shape.items * shape.factors);
  model.encoder_bias_ = part(shape.EncoderBias(), shape.factors);
  model.decoder_bias_ = part(shape.DecoderBias(), shape.items);
  return model;
}

StatusOr<AutoencoderModel> FitAutoencoder(const Interactions& data,
                                          const AutoencoderOptions& options,
                                          const Progress& progress) {
  STARLING_RETURN_IF_ERROR(CheckAtLeast("steps", options.steps, 1));
  STARLING_ASSIGN_OR_RETURN(AutoencoderFit fit, AutoencoderFit::Begin(data, options));
  STARLING_RETURN_IF_ERROR(fit.RunTo(options.steps, progress));
  STARLING_ASSIGN_OR_RETURN(AutoencoderModel model, fit.Model());
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return model;
}

StatusOr<AutoencoderModel> AutoencoderModel::Open(const Artifact& artifact) {
  AutoencoderModel model;
  STARLING_ASSIGN_OR_RETURN(model.parameters_, artifact.Get<double>("parameters", 2));
  STARLING_ASSIGN_OR_RETURN(model.weighting_, WeightingFrom(model.parameters_));
  const auto take = [&](const char* name, Array<float>& into) -> Status {
    STARLING_ASSIGN_OR_RETURN(const Matrix<float> section, artifact.Get<float>(name));
    into = section.values;
    return OkStatus();
  };
  STARLING_RETURN_IF_ERROR(take("encoder", model.encoder_));
  STARLING_RETURN_IF_ERROR(take("encoder_bias", model.encoder_bias_));
  STARLING_RETURN_IF_ERROR(take("decoder", model.decoder_));
  STARLING_RETURN_IF_ERROR(take("decoder_bias", model.decoder_bias_));
  const size_t size = model.items() * model.dimension();
  if (size == 0 || model.encoder_.size() != size || model.decoder_.size() != size) {
    return DataLoss("sections 'encoder' and 'decoder' have {} and {} values, not {} items of {}",
                    model.encoder_.size(), model.decoder_.size(), model.items(), model.dimension());
  }
  return model;
}

void AutoencoderModel::AddTo(ArtifactWriter& writer) const {
  writer.Add<double>("parameters", parameters_);
  writer.Add<float>("encoder", encoder_);
  writer.Add<float>("encoder_bias", encoder_bias_);
  writer.Add<float>("decoder", decoder_);
  writer.Add<float>("decoder_bias", decoder_bias_);
}

void AutoencoderModel::Score(History history, int64_t now, std::span<float> scores) const {
  const Kernels& kernels = BestKernels();
  const std::vector<WeighedItem> entries = WeighHistory(history, weighting_, now, items());
  float squares = 0;
  for (const WeighedItem& entry : entries) squares += entry.x * entry.x;
  std::vector<float> hidden(encoder_bias_.begin(), encoder_bias_.end());
  for (const WeighedItem& entry : entries) {
    kernels.axpy(entry.x / std::sqrt(squares), encoder_.data() + entry.item * dimension(),
                 hidden.data(), dimension());
  }
  for (float& h : hidden) h = std::tanh(h);
  kernels.score_rows(decoder_.data(), items(), dimension(), hidden.data(), scores.data());
  kernels.axpy(1, decoder_bias_.data(), scores.data(), items());
}

std::vector<std::optional<uint32_t>> AutoencoderModel::Explain(
    History /*history*/, int64_t /*now*/, std::span<const uint32_t> items) const {
  return std::vector<std::optional<uint32_t>>(items.size());
}

}  // namespace starling::learning

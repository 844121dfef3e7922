#include "learning/models/autoencoder_step.h"

#include <algorithm>
#include <cmath>

#include "learning/math/dense.h"
#include "learning/math/kernels.h"
#include "learning/math/parallel.h"

namespace starling::learning {
namespace {

// Replaces scores by the gradient of the loss in them; gives the loss.
double SoftmaxLoss(std::span<float> scores, Interactions::Row wanted, float weight) {
  const float largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (float& score : scores) {
    score = std::exp(score - largest);
    sum += score;
  }
  double count = 0, loss = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double p = std::max(scores[wanted.items[i]] / sum, 1e-30);
    loss -= wanted.weights[i] * std::log(p);
    count += wanted.weights[i];
  }
  const auto scale = static_cast<float>(count * weight / sum);
  for (float& score : scores) score *= scale;
  for (size_t i = 0; i < wanted.size(); ++i) scores[wanted.items[i]] -= weight * wanted.weights[i];
  return weight * loss;
}

}  // namespace

AutoencoderStep::AutoencoderStep(AutoencoderShape shape, size_t largest_batch, int threads)
    : shape_(shape),
      threads_(threads),
      hidden_(largest_batch * shape.factors),
      hidden_gradient_(largest_batch * shape.factors),
      scores_(largest_batch * shape.items) {}

double AutoencoderStep::Loss(std::span<const float> parameters, const Interactions& rows,
                             const UserBatch& of_users, std::vector<float>& gradient) {
  const std::span<const uint32_t> users = of_users.users;
  const std::span<const float> weights = of_users.weights;
  const std::span<const UserInput> input = of_users.input;
  const Kernels& kernels = BestKernels();
  const size_t batch = users.size(), items = shape_.items, factors = shape_.factors;
  const std::span<const float> decoder = parameters.subspan(shape_.Decoder(), items * factors);
  const std::span<const float> encoder_bias = parameters.subspan(shape_.EncoderBias(), factors);
  const std::span<const float> decoder_bias = parameters.subspan(shape_.DecoderBias(), items);
  const std::span<float> hidden(hidden_.data(), batch * factors);
  const std::span<float> scores(scores_.data(), batch * items);
  ParallelFor(batch, threads_, 16, [&](size_t begin, size_t end) {
    for (size_t u = begin; u < end; ++u) {
      float* h = hidden.data() + u * factors;
      std::copy(encoder_bias.begin(), encoder_bias.end(), h);
      for (size_t i = 0; i < input[u].items.size(); ++i)
        kernels.axpy(input[u].values[i], parameters.data() + input[u].items[i] * factors, h,
                     factors);
      for (size_t f = 0; f < factors; ++f) h[f] = std::tanh(h[f]);
      std::copy(decoder_bias.begin(), decoder_bias.end(), scores.data() + u * items);
    }
  });
  AddProduct({hidden, batch, factors}, {decoder, items, factors, Transposed::kYes}, scores,
             threads_);

  std::vector<double> losses(batch);
  const float share = 1 / static_cast<float>(batch);
  ParallelFor(batch, threads_, 4, [&](size_t begin, size_t end) {
    for (size_t u = begin; u < end; ++u)
      losses[u] =
          SoftmaxLoss(scores.subspan(u * items, items), rows.row(users[u]), weights[u] * share);
  });

  gradient.assign(shape_.Size(), 0.0F);
  AddProduct({scores, batch, items, Transposed::kYes}, {hidden, batch, factors},
             std::span(gradient).subspan(shape_.Decoder(), items * factors), threads_);
  for (size_t u = 0; u < batch; ++u)
    kernels.axpy(1, scores.data() + u * items, gradient.data() + shape_.DecoderBias(), items);
  std::fill(hidden_gradient_.begin(), hidden_gradient_.end(), 0.0F);
  const std::span<float> of_hidden(hidden_gradient_.data(), batch * factors);
  AddProduct({scores, batch, items}, {decoder, items, factors}, of_hidden, threads_);
  for (size_t u = 0; u < batch; ++u) {
    float* g = of_hidden.data() + u * factors;
    const float* h = hidden.data() + u * factors;
    for (size_t f = 0; f < factors; ++f) g[f] *= 1 - h[f] * h[f];
    kernels.axpy(1, g, gradient.data() + shape_.EncoderBias(), factors);
    for (size_t i = 0; i < input[u].items.size(); ++i)
      kernels.axpy(input[u].values[i], g, gradient.data() + input[u].items[i] * factors, factors);
  }
  double loss = 0;
  for (const double of_user : losses) loss += of_user;
  return loss;
}

}  // namespace starling::learning

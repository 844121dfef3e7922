#include "learning/models/sampled_mf_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "learning/math/dense.h"
#include "learning/math/kernels.h"
#include "learning/math/parallel.h"

namespace starling::learning {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

// Of a vector so that there is nothing to divide by 0.
float LengthOf(const Kernels& kernels, const float* vector, size_t size) {
  return std::sqrt(kernels.dot(vector, vector, size) + 1e-12F);
}

// From the gradient in v / |v| that in v: what goes along v changes nothing.
void ThroughLength(const Kernels& kernels, const float* unit, float length, float* gradient,
                   size_t size) {
  kernels.axpy(-kernels.dot(gradient, unit, size), unit, gradient, size);
  for (size_t f = 0; f < size; ++f) gradient[f] /= length;
}

// log(1 + e^x) and its slope.
double Softplus(double x) { return x > 30 ? x : std::log1p(std::exp(x)); }
double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

SampledMfStep::SampledMfStep(size_t items, size_t largest_batch, const SampledMfOptions& options)
    : items_(items),
      factors_(static_cast<size_t>(options.factors)),
      options_(options),
      units_(items * factors_),
      lengths_(items),
      users_(largest_batch * factors_),
      user_lengths_(largest_batch),
      users_gradient_(largest_batch * factors_),
      had_gradient_(largest_batch) {}

uint64_t SampledMfStep::Memory(size_t items, size_t batch, const SampledMfOptions& options) {
  const auto factors = static_cast<uint64_t>(options.factors);
  const uint64_t drawn = std::min<uint64_t>(static_cast<uint64_t>(options.negatives), items);
  return 4 * (3 * items * factors + items + batch * (2 * factors + drawn) + 2 * drawn * factors);
}

void SampledMfStep::MakeUnits(std::span<const float> table) {
  ParallelFor(items_, options_.threads, 1'024, [&](size_t begin, size_t end) {
    const Kernels& kernels = BestKernels();
    for (size_t item = begin; item < end; ++item) {
      const float* row = table.data() + item * factors_;
      lengths_[item] = Cosine() ? LengthOf(kernels, row, factors_) : 1;
      for (size_t f = 0; f < factors_; ++f) units_[item * factors_ + f] = row[f] / lengths_[item];
    }
  });
}

void SampledMfStep::MakeUsers(std::span<const float> parameters, const UserBatch& batch) {
  ParallelFor(batch.users.size(), options_.threads, 16, [&](size_t begin, size_t end) {
    const Kernels& kernels = BestKernels();
    for (size_t u = begin; u < end; ++u) {
      float* user = users_.data() + u * factors_;
      std::fill_n(user, factors_, 0.0F);
      const UserInput& input = batch.input[u];
      for (size_t i = 0; i < input.items.size(); ++i)
        kernels.axpy(input.values[i], parameters.data() + input.items[i] * factors_, user,
                     factors_);
      user_lengths_[u] = Cosine() ? LengthOf(kernels, user, factors_) : 1;
      for (size_t f = 0; f < factors_; ++f) user[f] /= user_lengths_[u];
    }
  });
}

// Replaces the scores of the negatives by the gradient of the loss in them, and sets that in what
// the user has; gives the loss.
double SampledMfStep::OfUser(Interactions::Row row, std::span<const float> had,
                             std::span<float> scores, std::span<const uint64_t> draws,
                             std::span<float> had_gradient) const {
  const double drawn = static_cast<double>(scores.size());
  double loss = 0;
  if (options_.loss == SampledLoss::kSoftmax) {
    const double t = options_.temperature;
    const double each = static_cast<double>(items_) / drawn;
    double others = 0;  // cosines are at most 1, so e^((s - 1) / t) does not overflow
    for (float& score : scores) {
      score = static_cast<float>(each * std::exp((score - 1) / t));
      others += score;
    }
    double inverses = 0;
    for (size_t p = 0; p < had.size(); ++p) {
      const double own = std::exp((had[p] - 1) / t);
      const double all = own + others;
      loss += row.weights[p] * (std::log(all) - (had[p] - 1) / t);
      had_gradient[p] = static_cast<float>(-row.weights[p] * others / (all * t));
      inverses += row.weights[p] / all;
    }
    for (float& score : scores) score *= static_cast<float>(inverses / t);
    return loss;
  }
  if (options_.loss == SampledLoss::kContrastive) {
    double weight = 0;
    for (size_t p = 0; p < had.size(); ++p) {
      loss += row.weights[p] * (1 - had[p]);
      had_gradient[p] = -row.weights[p];
      weight += row.weights[p];
    }
    const double each = weight * options_.negative_weight / drawn;
    for (float& score : scores) {
      const double above = score - options_.margin;
      loss += above > 0 ? each * above : 0;
      score = above > 0 ? static_cast<float>(each) : 0;
    }
    return loss;
  }
  std::vector<float> gradient(scores.size(), 0.0F);
  for (size_t p = 0; p < had.size(); ++p) {
    size_t negative = draws[p] % scores.size();
    for (size_t tried = 0; tried < scores.size() && scores[negative] == kExcluded; ++tried)
      negative = (negative + 1) % scores.size();
    had_gradient[p] = 0;
    if (scores[negative] == kExcluded) continue;  // the user has all that were drawn
    const double behind = scores[negative] - had[p];
    const auto slope = static_cast<float>(row.weights[p] * Sigmoid(behind));
    loss += row.weights[p] * Softplus(behind);
    had_gradient[p] = -slope;
    gradient[negative] += slope;
  }
  std::ranges::copy(gradient, scores.begin());
  return loss;
}

double SampledMfStep::Loss(std::span<const float> parameters, const Interactions& rows,
                           const UserBatch& batch, std::span<const uint32_t> negatives,
                           std::span<const uint64_t> draws, std::vector<float>& gradient) {
  const size_t users = batch.users.size(), drawn = negatives.size(), table = items_ * factors_;
  MakeUnits(parameters.subspan(table));
  MakeUsers(parameters, batch);
  drawn_.resize(drawn * factors_);
  for (size_t j = 0; j < drawn; ++j)
    std::copy_n(units_.data() + negatives[j] * factors_, factors_, drawn_.data() + j * factors_);
  scores_.assign(users * drawn, 0.0F);
  const std::span<const float> of_users(users_.data(), users * factors_);
  AddProduct({of_users, users, factors_}, {drawn_, drawn, factors_, Transposed::kYes}, scores_,
             options_.threads);

  std::vector<size_t> first(users + 1, 0);  // of each user's entries
  for (size_t u = 0; u < users; ++u) first[u + 1] = first[u] + rows.row(batch.users[u]).size();
  std::vector<double> losses(users);
  users_gradient_.assign(users_gradient_.size(), 0.0F);
  ParallelFor(users, options_.threads, 8, [&](size_t begin, size_t end) {
    const Kernels& kernels = BestKernels();
    std::vector<float> had;
    for (size_t u = begin; u < end; ++u) {
      const Interactions::Row row = rows.row(batch.users[u]);
      const float* user = users_.data() + u * factors_;
      const std::span<float> scores = std::span(scores_).subspan(u * drawn, drawn);
      had.resize(row.size());
      had_gradient_[u].resize(row.size());
      for (size_t p = 0; p < row.size(); ++p) {
        had[p] = kernels.dot(units_.data() + row.items[p] * factors_, user, factors_);
        const auto at = std::ranges::lower_bound(negatives, row.items[p]);
        if (at != negatives.end() && *at == row.items[p])
          scores[static_cast<size_t>(at - negatives.begin())] = kExcluded;
      }
      const std::span<const uint64_t> of_user =
          draws.empty() ? draws : draws.subspan(first[u], row.size());
      const float share = batch.weights[u] / static_cast<float>(users);
      losses[u] = OfUser(row, had, scores, of_user, had_gradient_[u]) * share;
      for (float& g : scores) g *= share;
      float* of_length = users_gradient_.data() + u * factors_;
      for (size_t p = 0; p < row.size(); ++p) {
        had_gradient_[u][p] *= share;
        kernels.axpy(had_gradient_[u][p], units_.data() + row.items[p] * factors_, of_length,
                     factors_);
      }
    }
  });
  const std::span<float> of_users_gradient(users_gradient_.data(), users * factors_);
  AddProduct({scores_, users, drawn}, {drawn_, drawn, factors_}, of_users_gradient,
             options_.threads);
  drawn_gradient_.assign(drawn * factors_, 0.0F);
  AddProduct({scores_, users, drawn, Transposed::kYes}, {of_users, users, factors_},
             drawn_gradient_, options_.threads);
  gradient.assign(Size(), 0.0F);
  AddGradient(rows, batch, negatives, gradient);
  double loss = 0;
  for (const double of_user : losses) loss += of_user;
  return loss;
}

// Each thread has some of the factors of all items, so that no two write to one place.
void SampledMfStep::AddGradient(const Interactions& rows, const UserBatch& batch,
                                std::span<const uint32_t> negatives, std::span<float> gradient) {
  const size_t table = items_ * factors_;
  if (Cosine()) {
    for (size_t u = 0; u < batch.users.size(); ++u)
      ThroughLength(BestKernels(), users_.data() + u * factors_, user_lengths_[u],
                    users_gradient_.data() + u * factors_, factors_);
  }
  constexpr size_t kSlice = 16;  // floats of a cache line
  ParallelFor((factors_ + kSlice - 1) / kSlice, options_.threads, 1, [&](size_t from, size_t to) {
    const Kernels& kernels = BestKernels();
    const size_t begin = from * kSlice, count = std::min(to * kSlice, factors_) - begin;
    const auto add = [&](float by, const float* row, float* into) {
      kernels.axpy(by, row + begin, into + begin, count);
    };
    for (size_t j = 0; j < negatives.size(); ++j)
      add(1, drawn_gradient_.data() + j * factors_,
          gradient.data() + table + negatives[j] * factors_);
    for (size_t u = 0; u < batch.users.size(); ++u) {
      const Interactions::Row row = rows.row(batch.users[u]);
      for (size_t p = 0; p < row.size(); ++p)
        add(had_gradient_[u][p], users_.data() + u * factors_,
            gradient.data() + table + row.items[p] * factors_);
      const UserInput& input = batch.input[u];
      for (size_t i = 0; i < input.items.size(); ++i)
        add(input.values[i], users_gradient_.data() + u * factors_,
            gradient.data() + input.items[i] * factors_);
    }
  });
  if (!Cosine()) return;
  ParallelFor(items_, options_.threads, 1'024, [&](size_t begin, size_t end) {
    for (size_t item = begin; item < end; ++item)
      ThroughLength(BestKernels(), units_.data() + item * factors_, lengths_[item],
                    gradient.data() + table + item * factors_, factors_);
  });
}

}  // namespace starling::learning

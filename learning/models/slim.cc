#include "learning/models/slim.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/math/kernels.h"
#include "learning/models/fit_checks.h"
#include "learning/models/local_gram.h"

namespace starling::learning {
namespace {

using Source = ItemToItemModel::Source;

constexpr int kMostSweeps = 200;
constexpr size_t kSampled = 32;  // items that are fitted to know what a fit takes
constexpr float kTolerance = 1e-4F;

Status Check(const SlimOptions& options) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  STARLING_RETURN_IF_ERROR(CheckAtLeast("l1", options.l1, 0));
  STARLING_RETURN_IF_ERROR(CheckPositive("l2", options.l2));
  STARLING_RETURN_IF_ERROR(CheckShare("user_exponent", options.user_exponent));
  STARLING_RETURN_IF_ERROR(CheckDropout(options.dropout));
  if (options.neighbours < 1 || options.neighbours > 2'000)
    return InvalidField("neighbours", "{} is outside 1 to 2000", options.neighbours);
  return OkStatus();
}

LocalOptions Local(const SlimOptions& options) {
  return {.weighting = options.weighting,
          .as_of = options.as_of,
          .user_exponent = options.user_exponent,
          .neighbours = static_cast<size_t>(options.neighbours),
          .threads = options.threads,
          .memory_limit = options.memory_limit};
}

// One elastic net at a time; its memory is used again for the next.
class CoordinateDescent {
 public:
  explicit CoordinateDescent(const SlimOptions& options)
      : options_(options), l1_(static_cast<float>(options.l1)) {}

  std::span<const Source> operator()(Neighbourhood& near) {
    const size_t size = near.size();
    Begin(near);
    // All candidates, then those with a weight until these rest, then all once more.
    for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
      bool moved = false;
      active_.clear();
      for (size_t i = 0; i < size; ++i) {
        moved |= Move(near, i);
        if (weight_[i] > 0) active_.push_back(i);
      }
      if (!moved) break;
      for (bool moving = true; moving && sweep < kMostSweeps; ++sweep) {
        moving = false;
        for (const size_t i : active_) moving |= Move(near, i);
      }
    }
    return Weights(near);
  }

 private:
  void Begin(Neighbourhood& near) {
    const size_t size = near.size();
    const std::span<float> matrix = near.matrix();
    weight_.assign(size, 0.0F);
    left_.resize(size);
    inverse_.resize(size);
    least_ = kTolerance * std::sqrt(near.diagonal());
    for (size_t i = 0; i < size; ++i) {
      for (size_t k = 0; k < i; ++k) matrix[k * size + i] = matrix[i * size + k];
      left_[i] = near.neighbours()[i].weight;
      inverse_[i] =
          1 / (near.diagonal(i) + AddedToDiagonal(options_.l2, options_.dropout, near.diagonal(i)));
    }
  }

  // To the minimum of one weight, the others as they are; whether that moves the prediction.
  bool Move(Neighbourhood& near, size_t i) {
    const size_t size = near.size();
    const float own = near.diagonal(i);
    const float best = std::max(0.0F, (left_[i] + own * weight_[i] - l1_) * inverse_[i]);
    const float change = best - weight_[i];
    if (change == 0) return false;
    weight_[i] = best;
    BestKernels().axpy(-change, near.matrix().data() + i * size, left_.data(), size);
    return std::abs(change) * std::sqrt(own) > least_;
  }

  std::span<const Source> Weights(Neighbourhood& near) {
    weights_.clear();
    for (size_t i = 0; i < near.size(); ++i) {
      if (weight_[i] > 0) weights_.push_back({near.neighbours()[i].item, weight_[i]});
    }
    return weights_;
  }

  const SlimOptions& options_;
  const float l1_;
  float least_ = 0;
  std::vector<float> weight_, left_, inverse_;  // left: g_j - G w, of each candidate
  std::vector<size_t> active_;
  std::vector<Source> weights_;
};

// What part of the neighbours has a weight: of some items, fitted beforehand, and one standard
// error more.
double WeighedShare(const Interactions& data, const SlimOptions& options,
                    const NeighbourCounts& counts) {
  const LocalOptions local = Local(options);
  const std::vector<NeighbourCounts::Sampled> sample = counts.Sample(kSampled, local.neighbours);
  if (sample.empty()) return 0;
  const WeighedRows rows = WeighedRowsOf(data, local);
  std::vector<double> neighbours(sample.size()), weighed(sample.size());  // of what is possible
  ParallelFor(sample.size(), options.threads, 1, [&](size_t begin, size_t end) {
    Neighbourhood near(rows.diagonal, local.neighbours);
    CoordinateDescent solver(options);
    for (size_t i = begin; i < end; ++i) {
      near.MoveTo(sample[i].item, rows);
      neighbours[i] = static_cast<double>(near.size()) / sample[i].bound;
      weighed[i] = static_cast<double>(solver(near).size()) / sample[i].bound;
    }
  });
  const double all = std::accumulate(neighbours.begin(), neighbours.end(), 0.0);
  const double share = std::accumulate(weighed.begin(), weighed.end(), 0.0) / std::max(all, 1e-9);
  double squares = 0;
  for (size_t i = 0; i < sample.size(); ++i)
    squares += (weighed[i] - share * neighbours[i]) * (weighed[i] - share * neighbours[i]);
  return std::min(1.0, share + std::sqrt(squares) / std::max(all, 1e-9));
}

LocalPlan PlanOf(const Interactions& data, const SlimOptions& options) {
  const LocalOptions local = Local(options);
  const uint64_t square = std::min(local.neighbours, data.items());
  return PlanLocal(data, local, 4 * square * square, [&](const NeighbourCounts& counts) {
    return WeighedShare(data, options, counts);
  });
}

}  // namespace

uint64_t SlimMemory(const Interactions& data, const SlimOptions& options) {
  return PlanOf(data, options).memory;
}

StatusOr<ItemToItemModel> FitSlim(const Interactions& data, const SlimOptions& options,
                                  const Progress& progress) {
  STARLING_RETURN_IF_ERROR(Check(options));
  const LocalPlan plan = PlanOf(data, options);
  STARLING_RETURN_IF_ERROR(CheckMemory(plan.memory, options.memory_limit,
                                       "lower neighbours, or raise it when the machine has it"));
  STARLING_ASSIGN_OR_RETURN(
      const BumpRows<Source> sources,
      FitLocally(data, Local(options), plan, progress, [&] { return CoordinateDescent(options); }));
  STARLING_RETURN_IF_ERROR(ReportProgress(progress, 1));
  return ItemToItemModel(kSlimKind, options.weighting, sources);
}

}  // namespace starling::learning

#include "learning/metrics/resampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "learning/random.h"

namespace starling::learning {
namespace {

constexpr int kMostFlips = 1'000'000;

Status CheckBootstrap(const BootstrapOptions& options) {
  if (!(options.level > 0 && options.level < 1)) {
    return InvalidField("level", "{} is outside (0, 1); 0.95 is usual", options.level);
  }
  if (options.samples < 1 || options.samples > 100'000) {
    return InvalidField("samples", "{} is outside 1 to 100000; 1000 is usual", options.samples);
  }
  return OkStatus();
}

// Sorts `means`.
Interval MiddleOf(std::vector<double>& means, double level, double mean) {
  std::sort(means.begin(), means.end());
  const auto at = [&](double quantile) {
    const double position = quantile * static_cast<double>(means.size() - 1);
    return means[static_cast<size_t>(std::lround(position))];
  };
  const double tail = (1 - level) / 2;
  return {.low = at(tail), .mean = mean, .high = at(1 - tail)};
}

// The share of sign flips that move the sum as far from 0 as it is, with the flip that changes
// nothing counted as one of them.
double SignFlipP(std::span<const double> differences, const PairedOptions& options) {
  double sum = 0;
  double size = 0;
  for (const double difference : differences) {
    sum += difference;
    size += std::abs(difference);
  }
  // Sums in another order differ by rounding; what is meant to be as large must count.
  const double as_far = std::abs(sum) - 1e-9 * size;
  Random random(options.bootstrap.seed);
  int reached = 0;
  for (int flip = 0; flip < options.flips; ++flip) {
    double kept = 0;  // sum of those whose sign stays: the flipped sum is 2 kept - sum
    for (size_t begin = 0; begin < differences.size(); begin += 64) {
      uint64_t signs = random.Next();
      const size_t end = std::min(differences.size(), begin + 64);
      for (size_t i = begin; i < end; ++i, signs >>= 1) {
        kept += static_cast<double>(signs & 1) * differences[i];
      }
    }
    reached += std::abs(2 * kept - sum) >= as_far ? 1 : 0;
  }
  return (1.0 + reached) / (1.0 + options.flips);
}

}  // namespace

StatusOr<std::vector<Interval>> BootstrapMeans(std::span<const float> values, size_t columns,
                                               const BootstrapOptions& options) {
  const size_t users = values.size() / columns;
  if (users == 0) {
    return FailedPrecondition("there is no user with a test item, so there is nothing to resample");
  }
  STARLING_RETURN_IF_ERROR(CheckBootstrap(options));
  const auto samples = static_cast<size_t>(options.samples);
  Random random(options.seed);
  std::vector<std::vector<double>> means(columns, std::vector<double>(samples));
  std::vector<double> sums(columns);
  const auto add = [&](size_t user) {
    for (size_t column = 0; column < columns; ++column)
      sums[column] += values[user * columns + column];
  };
  for (size_t sample = 0; sample < samples; ++sample) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (size_t draw = 0; draw < users; ++draw) add(random.Below(users));
    for (size_t column = 0; column < columns; ++column)
      means[column][sample] = sums[column] / static_cast<double>(users);
  }
  std::fill(sums.begin(), sums.end(), 0.0);
  for (size_t user = 0; user < users; ++user) add(user);
  std::vector<Interval> intervals;
  for (size_t column = 0; column < columns; ++column) {
    intervals.push_back(
        MiddleOf(means[column], options.level, sums[column] / static_cast<double>(users)));
  }
  return intervals;
}

StatusOr<PairedComparison> ComparePaired(std::span<const float> a, std::span<const float> b,
                                         const PairedOptions& options) {
  if (a.size() != b.size()) {
    return InvalidField("b", "has {} users and a {}; both must be of the same", b.size(), a.size());
  }
  if (options.flips < 1 || options.flips > kMostFlips) {
    return InvalidField("flips", "{} is outside 1 to {}; 10000 is usual", options.flips,
                        kMostFlips);
  }
  std::vector<float> differences(a.size());
  std::vector<double> not_zero;
  for (size_t user = 0; user < a.size(); ++user) {
    differences[user] = a[user] - b[user];
    if (differences[user] != 0) not_zero.push_back(differences[user]);
  }
  STARLING_ASSIGN_OR_RETURN(const std::vector<Interval> intervals,
                            BootstrapMeans(differences, 1, options.bootstrap));
  return PairedComparison{.difference = intervals.front(), .p = SignFlipP(not_zero, options)};
}

std::vector<double> HolmAdjusted(std::span<const double> p) {
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t x, size_t y) { return p[x] < p[y]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double here = static_cast<double>(p.size() - i) * p[order[i]];
    largest = std::max(largest, std::min(1.0, here));
    adjusted[order[i]] = largest;
  }
  return adjusted;
}

}  // namespace starling::learning

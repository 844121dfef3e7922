#include "platform/resilience/concurrency_limiter.h"

#include <algorithm>
#include <cmath>

namespace starling::resilience {
namespace {

// Of a sample in the limit; the second where calls take far too long.
constexpr double kSmoothing = 0.2;
constexpr double kSmoothingDown = 0.5;
constexpr double kFarTooSlow = 0.5;
constexpr double kLeastGradient = 0.1;
constexpr int kLeastSample = 10;
// Of a sample in the slow average: while calls have room, and while they wait for one another, when
// slowness is no rest.
constexpr double kRestWeight = 0.02;
constexpr double kBusyWeight = 0.0005;
constexpr double kShares[] = {0.7, 0.9, 1.0};  // by priority

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

void ConcurrencyLimiter::Set(const Options& options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
  sum_ = expected_ = 0;
  count_ = most_in_flight_ = 0;
  few_.store(options.adaptive ? options.least : kNever, std::memory_order_relaxed);
  SetLimit(options.adaptive ? options.initial : options.most);
}

void ConcurrencyLimiter::SetLimit(double limit) {
  smooth_ = limit;
  for (size_t i = 0; i < bounds_.size(); ++i) {
    const double share = options_.adaptive ? kShares[i] : 1.0;
    bounds_[i].store(std::max(1, static_cast<int>(share * std::floor(limit))),
                     std::memory_order_relaxed);
  }
}

void ConcurrencyLimiter::Learn(Duration took, Kind& kind) {
  const std::lock_guard lock(mutex_);
  if (!options_.adaptive) return;
  const double seconds = std::max(1e-9, Seconds(took));
  most_in_flight_ = std::max(most_in_flight_, in_flight());
  const bool used = most_in_flight_ * 2 >= limit();
  kind.sum_ += seconds;
  if (++kind.count_ >= options_.sample) {
    const double mean = kind.sum_ / kind.count_;
    // It follows a drop at once: what was quick once is what rest looks like.
    const bool busy = used || most_in_flight_ >= options_.least;
    const double weight = busy ? kBusyWeight : kRestWeight;
    kind.rest_ = kind.rest_ == 0 ? mean : std::min(mean, kind.rest_ + weight * (mean - kind.rest_));
    kind.known_.store(true, std::memory_order_relaxed);
    kind.sum_ = 0;
    kind.count_ = 0;
  }
  if (kind.rest_ == 0) return;
  sum_ += seconds;
  expected_ += kind.rest_;
  if (++count_ < std::clamp(limit(), kLeastSample, std::max(kLeastSample, options_.sample))) return;
  const double well = std::max(options_.tolerance * expected_, Seconds(options_.harmless) * count_);
  const double gradient = std::clamp(well / sum_, kLeastGradient, 1.0);
  const int most_in_flight = std::exchange(most_in_flight_, 0);
  sum_ = expected_ = 0;
  count_ = 0;
  const bool slow = gradient < 1.0;
  if (!used && !(slow && most_in_flight >= options_.least)) return;
  // By Little's law as many as these are on the way when each takes what is well.
  const double base = slow ? std::min<double>(smooth_, most_in_flight) : smooth_;
  const double weight = gradient < kFarTooSlow ? kSmoothingDown : kSmoothing;
  double next = smooth_ * (1 - weight) + (base * gradient + std::sqrt(smooth_)) * weight;
  if (!used) next = std::max(std::min(next, smooth_), 2.0 * most_in_flight);
  SetLimit(
      std::clamp(next, static_cast<double>(options_.least), static_cast<double>(options_.most)));
}

}  // namespace starling::resilience

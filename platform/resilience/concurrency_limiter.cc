#include "platform/resilience/concurrency_limiter.h"

#include <algorithm>
#include <cmath>

namespace starling::resilience {
namespace {

constexpr double kSmoothing = 0.2;
// Of a sample in the slow average: while calls have room, and while they wait for one another, when
// slowness is no rest.
constexpr double kRestWeight = 0.02;
constexpr double kBusyWeight = 0.0005;

double Share(Priority priority) {
  switch (priority) {
    case Priority::kLow:
      return 0.7;
    case Priority::kNormal:
      return 0.9;
    case Priority::kHigh:
      return 1.0;
  }
  return 1.0;
}

}  // namespace

ConcurrencyLimiter::Admission ConcurrencyLimiter::Admit(Priority priority) {
  const int most = std::max(1, static_cast<int>(Share(priority) * limit()));
  if (in_flight_.fetch_add(1, std::memory_order_relaxed) >= most) {
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
    return Admission();
  }
  return Admission(*this);
}

void ConcurrencyLimiter::Observe(Duration took) {
  const std::lock_guard lock(mutex_);
  sum_ += std::chrono::duration<double>(took).count();
  most_in_flight_ = std::max(most_in_flight_, in_flight());
  if (++count_ < options_.sample) return;
  const double recent = std::max(1e-9, sum_ / count_);
  const bool used = most_in_flight_ * 2 >= limit();
  // It follows a drop at once: what was quick once is what rest looks like.
  const double weight = used ? kBusyWeight : kRestWeight;
  rest_ = rest_ == 0 ? recent : std::min(recent, rest_ + weight * (recent - rest_));
  sum_ = 0;
  count_ = most_in_flight_ = 0;
  if (!used) return;
  const double gradient = std::clamp(options_.tolerance * rest_ / recent, 0.5, 1.0);
  const double wanted = smooth_ * gradient + std::sqrt(smooth_);
  smooth_ = std::clamp(smooth_ * (1 - kSmoothing) + wanted * kSmoothing,
                       static_cast<double>(options_.least), static_cast<double>(options_.most));
  limit_.store(static_cast<int>(smooth_), std::memory_order_relaxed);
}

}  // namespace starling::resilience

// How many calls may run at once, found by watching how long they take: when calls get slower than
// they are at rest, they wait for one another, and fewer are let in (Netflix concurrency-limits,
// "Gradient2", 2018).
//
//   ConcurrencyLimiter::Admission admission = limiter.Admit(Priority::kNormal);
//   if (!admission) return Overloaded(...);
//   ... work ...
//   admission.Finish(took);          // destroyed without Finish: says nothing of the time
//
// Every `sample` calls the limit becomes limit * clamp(tolerance * rest / recent, 0.5, 1) +
// sqrt(limit), smoothed, where `recent` is the mean of the sample and `rest` a slow average of such
// means. It moves only while the limit is used. Lower priorities stop earlier: kLow at 70 % of the
// limit, kNormal at 90 %, kHigh at all of it, so what matters most is shed last. Thread-safe; Admit
// is an atomic add, Finish takes a mutex for some nanoseconds.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <utility>

#include "platform/base/clock.h"

namespace starling::resilience {

enum class Priority { kLow, kNormal, kHigh };

class ConcurrencyLimiter {
 public:
  struct Options {
    int initial = 200;
    int least = 20;
    int most = 10'000;
    double tolerance = 2.0;  // how much slower than at rest is still well
    int sample = 100;
  };
  class Admission {
   public:
    Admission() = default;
    Admission(Admission&& other) noexcept : limiter_(std::exchange(other.limiter_, nullptr)) {}
    Admission& operator=(Admission&& other) noexcept {
      std::swap(limiter_, other.limiter_);
      return *this;
    }
    ~Admission() {
      if (limiter_ != nullptr) limiter_->in_flight_.fetch_sub(1, std::memory_order_relaxed);
    }
    explicit operator bool() const { return limiter_ != nullptr; }
    void Finish(Duration took) {
      if (limiter_ != nullptr) limiter_->Observe(took);
    }

   private:
    friend class ConcurrencyLimiter;
    explicit Admission(ConcurrencyLimiter& limiter) : limiter_(&limiter) {}
    ConcurrencyLimiter* limiter_ = nullptr;
  };

  explicit ConcurrencyLimiter(Options options)
      : options_(options), smooth_(options.initial), limit_(options.initial) {}

  Admission Admit(Priority priority);

  int limit() const { return limit_.load(std::memory_order_relaxed); }
  int in_flight() const { return in_flight_.load(std::memory_order_relaxed); }

 private:
  void Observe(Duration took);

  const Options options_;
  std::mutex mutex_;
  double smooth_;           // the limit before it is rounded
  double sum_ = 0;          // of the sample, seconds
  int count_ = 0;           // in the sample
  int most_in_flight_ = 0;  // in the sample
  double rest_ = 0;         // seconds; 0 before the first sample
  std::atomic<int> limit_;
  std::atomic<int> in_flight_{0};
};

}  // namespace starling::resilience

// How many calls may run at once, found by watching how long they take: when calls get slower than
// they are at rest, they wait for one another, and fewer are let in (Netflix concurrency-limits,
// "Gradient2", 2018).
//
//   ConcurrencyLimiter::Admission admission = limiter.Admit(Priority::kNormal);
//   if (!admission) return Overloaded(...);
//   ... work ...
//   admission.Finish(took, kind);    // destroyed without Finish: says nothing of the time
//
// Every `sample` calls, or as many as the limit is when that is less, it moves towards
// running * well / recent + sqrt(limit) when calls are slow, else towards limit + sqrt(limit).
// `recent` is the mean of the sample; `well` = max(tolerance * rest, harmless), where `rest` is a
// slow average of what calls take at rest, of each kind its own: quick and slow methods may share
// a limiter. It moves only while half of it is used, or calls are slow and `least` of them run;
// then what runs counts and not the limit, so that one far too wide comes down soon.
//
// Lower priorities stop earlier: kSheddable at 70 % of the limit, kNormal at 90 %, kCritical at all
// of it, so what matters most is refused last. Not adaptive: all stop at `most`.
//
// Thread-safe. Admit is an atomic add. Finish takes a mutex for some nanoseconds, one time in 16
// while fewer than `least` run.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <utility>

#include "platform/base/clock.h"
#include "platform/resilience/priority.h"

namespace starling::resilience {

class ConcurrencyLimiter {
 public:
  struct Options {
    bool adaptive = true;
    int initial = 200;
    int least = 20;
    int most = 10'000;
    double tolerance = 2.0;  // how much slower than at rest is still well
    Duration harmless{0};    // how slow is well whatever calls take at rest
    int sample = 100;
  };
  // What calls of one kind take at rest; lives as long as the calls do. Used with one limiter.
  class Kind {
   public:
    Kind() = default;

   private:
    friend class ConcurrencyLimiter;
    std::atomic<bool> known_{false};
    // Under the limiter's mutex; seconds.
    double rest_ = 0;
    double sum_ = 0;
    int count_ = 0;
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
    void Finish(Duration took, Kind& kind) {
      if (limiter_ != nullptr) limiter_->Observe(took, kind);
    }

   private:
    friend class ConcurrencyLimiter;
    explicit Admission(ConcurrencyLimiter& limiter) : limiter_(&limiter) {}
    ConcurrencyLimiter* limiter_ = nullptr;
  };

  explicit ConcurrencyLimiter(const Options& options) { Set(options); }

  // While running: the limit begins anew at `initial`; what calls take at rest stays.
  void Set(const Options& options);

  Admission Admit(Priority priority) {
    const int bound = bounds_[static_cast<size_t>(priority)].load(std::memory_order_relaxed);
    if (in_flight_.fetch_add(1, std::memory_order_relaxed) >= bound) {
      in_flight_.fetch_sub(1, std::memory_order_relaxed);
      return Admission();
    }
    return Admission(*this);
  }
  // Of a call that ends, while its Admission still counts, whoever has that.
  void Observe(Duration took, Kind& kind) {
    const int few = few_.load(std::memory_order_relaxed);
    if (in_flight() < few &&
        (few == kNever || (kind.known_.load(std::memory_order_relaxed) && !Turn())))
      return;
    Learn(took, kind);
  }

  int limit() const { return bounds_.back().load(std::memory_order_relaxed); }
  int in_flight() const { return in_flight_.load(std::memory_order_relaxed); }

 private:
  static constexpr int kNever = 1 << 30;
  // Every 16th time.
  static bool Turn() {
    static thread_local unsigned calls = 0;
    return (++calls & 15) == 0;
  }
  void Learn(Duration took, Kind& kind);
  void SetLimit(double limit);  // under the mutex

  std::mutex mutex_;
  Options options_;
  double smooth_ = 0;                         // the limit before it is rounded
  double sum_ = 0;                            // of the sample, seconds
  double expected_ = 0;                       // what the sample would have taken at rest
  int count_ = 0;                             // in the sample
  int most_in_flight_ = 0;                    // in the sample
  std::array<std::atomic<int>, 3> bounds_{};  // by priority
  std::atomic<int> few_{0};  // calls in flight below which a part of them is observed
  std::atomic<int> in_flight_{0};
};

}  // namespace starling::resilience

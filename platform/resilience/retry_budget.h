// A bound on retries as a part of calls, so that a callee in trouble gets at most that much more to
// do: the retry budget of Finagle and of Google's SRE book (chapter 22).
//
//   budget.OnCall();                                   // each first try
//   if (failed && budget.TakeRetry()) ...              // each further one, a hedge too
//
// Each call earns `ratio` of a retry, a retry costs one. What is saved is at most `reserve`, which
// is also there at the start: so within any stretch of N calls there are at most ratio * N +
// reserve retries. Thread-safe, lock-free, a few nanoseconds.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace starling::resilience {

class RetryBudget {
 public:
  struct Options {
    double ratio = 0.1;  // of calls
    int reserve = 10;    // retries
  };
  explicit RetryBudget(Options options)
      : earned_(static_cast<int64_t>(options.ratio * kOne)),
        most_(static_cast<int64_t>(options.reserve) * kOne),
        balance_(most_) {}

  void OnCall() {
    int64_t balance = balance_.load(std::memory_order_relaxed);
    while (balance < most_ &&
           !balance_.compare_exchange_weak(balance, std::min(most_, balance + earned_),
                                           std::memory_order_relaxed)) {
    }
  }
  bool TakeRetry() {
    int64_t balance = balance_.load(std::memory_order_relaxed);
    while (balance >= kOne) {
      if (balance_.compare_exchange_weak(balance, balance - kOne, std::memory_order_relaxed))
        return true;
    }
    return false;
  }
  double balance() const {
    return static_cast<double>(balance_.load(std::memory_order_relaxed)) / kOne;
  }

 private:
  static constexpr int64_t kOne = 1'000'000;
  const int64_t earned_;
  const int64_t most_;
  std::atomic<int64_t> balance_;
};

}  // namespace starling::resilience

// Which callers are nearest to a limit: what an operator asks when somebody is refused.
//
//   NearLimits near(clock);
//   near.Note({.policy = "requests", .caller = "user:ada"}, limit, decision);   // after each take
//   for (const NearLimits::Caller& caller : near.List(20)) ...                  // the nearest
//   first
//
// A caller is noted once a tenth or less of its bucket is left, or it was refused, and forgotten
// when its bucket has had the time to fill. Bound: kCallers; beyond, the one with most left goes.
// A look that another thread holds up is dropped: what is shown is for people, and no request waits
// for it. Thread-safe. Note costs 2 ns for who is far from its limit, else up to a microsecond.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "platform/rpc/rate_limiter.h"

namespace starling::rpc {

class NearLimits {
 public:
  static constexpr size_t kCallers = 256;

  struct Caller {
    std::string policy;
    std::string caller;  // "user:ada", "key:0192f0", "address:192.0.2.1"
    int64_t burst = 0;
    int64_t remaining = 0;  // tokens, as they should be by now
    uint64_t refused = 0;   // since it was noted
  };

  explicit NearLimits(const Clock& clock) : clock_(clock) {}

  static bool IsNear(const RateLimiter::Limit& limit, const RateLimiter::Decision& decision) {
    return !decision.allowed || decision.remaining * 10 <= limit.burst;
  }
  // Of a decision that IsNear.
  void Note(std::string_view policy, std::string caller, const RateLimiter::Limit& limit,
            const RateLimiter::Decision& decision);
  // At most `most`, the nearest first; of those as near, who was refused most.
  std::vector<Caller> List(size_t most) const;

 private:
  struct Noted {
    std::string policy, caller;
    RateLimiter::Limit limit;
    int64_t remaining = 0;
    uint64_t refused = 0;
    Instant at{};
  };
  // Tokens now; above the burst when it is to be forgotten.
  double LeftNow(const Noted& noted, Instant now) const;
  void MakeRoom(Instant now);

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Noted> noted_;  // by policy and caller
};

}  // namespace starling::rpc

#include "platform/rpc/near_limits.h"

#include <algorithm>

namespace starling::rpc {

void NearLimits::Note(std::string_view policy, std::string caller, const RateLimiter::Limit& limit,
                      const RateLimiter::Decision& decision) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  const Instant now = clock_.MonotonicNow();
  std::string key = std::string(policy) + '\n' + caller;
  auto found = noted_.find(key);
  if (found == noted_.end()) {
    if (noted_.size() >= kCallers) MakeRoom(now);
    Noted noted{.policy = std::string(policy), .caller = std::move(caller)};
    found = noted_.emplace(std::move(key), std::move(noted)).first;
  }
  Noted& noted = found->second;
  noted.limit = limit;
  noted.remaining = decision.remaining;
  noted.refused += decision.allowed ? 0 : 1;
  noted.at = now;
}

std::vector<NearLimits::Caller> NearLimits::List(size_t most) const {
  std::vector<Caller> callers;
  {
    const std::lock_guard lock(mutex_);
    const Instant now = clock_.MonotonicNow();
    for (const auto& [key, noted] : noted_) {
      const double left = LeftNow(noted, now);
      if (left >= static_cast<double>(noted.limit.burst)) continue;
      callers.push_back({.policy = noted.policy,
                         .caller = noted.caller,
                         .burst = noted.limit.burst,
                         .remaining = static_cast<int64_t>(left),
                         .refused = noted.refused});
    }
  }
  std::sort(callers.begin(), callers.end(), [](const Caller& a, const Caller& b) {
    // As parts of their buckets.
    const int64_t left = a.remaining * b.burst, right = b.remaining * a.burst;
    if (left != right) return left < right;
    if (a.refused != b.refused) return a.refused > b.refused;
    return std::tie(a.policy, a.caller) < std::tie(b.policy, b.caller);
  });
  if (callers.size() > most) callers.resize(most);
  return callers;
}

double NearLimits::LeftNow(const Noted& noted, Instant now) const {
  return static_cast<double>(noted.remaining) +
         std::chrono::duration<double>(now - noted.at).count() * noted.limit.per_second;
}

void NearLimits::MakeRoom(Instant now) {
  const auto part = [&](const auto& one) {
    return LeftNow(one.second, now) / static_cast<double>(one.second.limit.burst);
  };
  noted_.erase(std::max_element(noted_.begin(), noted_.end(),
                                [&](const auto& a, const auto& b) { return part(a) < part(b); }));
}

}  // namespace starling::rpc

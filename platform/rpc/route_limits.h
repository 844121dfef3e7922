// The limits of one route, beside those that hold for every request: how often it may be asked, by
// each caller, each address or all together, and how many of its requests run at once.
//
//   RouteLimits limits({.key = "/search#17", .name = "/search", .requests = limit,
//                       .max_concurrent = 8}, gateway_limits);
//   RouteLimits::Place place;                                      // held until the answer is sent
//   GatewayLimits::Verdict verdict = co_await limits.Admit(request, caller, place);
//
// A place is asked for first and costs no token when there is none: UNAVAILABLE, reason OVERLOADED.
// A token that is not there is RESOURCE_EXHAUSTED, reason QUOTA_EXCEEDED; the place is free again.
// Buckets are those of gateway_limits.h: of this process, or of all gateways on Redis. Places are
// of this process. Bound: 16,384 callers, 16 bytes each, per caller or address.
//
// Thread-safe. A place costs an atomic add; a token what GatewayLimits::Admit costs.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "platform/rpc/gateway_limits.h"

namespace starling::rpc {

class RouteLimits {
 public:
  struct Options {
    std::string key;   // which route it is, the same in every gateway
    std::string name;  // as RateLimit-Policy says it
    std::optional<RateLimiter::Limit> requests;
    GatewayLimits::Per per = GatewayLimits::Per::kCaller;
    int max_concurrent = 0;  // 0: any number
    bool operator==(const Options&) const = default;
  };
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept : running_(std::exchange(other.running_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(running_, other.running_);
      return *this;
    }
    ~Place() {
      if (running_ != nullptr) running_->fetch_sub(1, std::memory_order_relaxed);
    }

   private:
    friend class RouteLimits;
    explicit Place(std::atomic<int>& running) : running_(&running) {}
    std::atomic<int>* running_ = nullptr;
  };

  // `limits` must outlive it; nullptr: nobody is asked how often.
  RouteLimits(Options options, GatewayLimits* limits);

  // `caller` is whom the request was found to be of. This must outlive `place`.
  Task<GatewayLimits::Verdict> Admit(const http::Request& request, const security::Identity& caller,
                                     Place& place);

  const Options& options() const { return options_; }
  // Requests that hold a place; 0 without max_concurrent.
  int running() const { return running_.load(std::memory_order_relaxed); }

 private:
  const Options options_;
  GatewayLimits* const limits_;
  const std::shared_ptr<GatewayLimits::Policy> requests_;    // nullptr: any number
  const std::shared_ptr<GatewayLimits::Policy> concurrent_;  // the same
  std::atomic<int> running_{0};
};

}  // namespace starling::rpc

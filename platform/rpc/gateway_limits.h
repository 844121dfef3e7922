// What a caller of the HTTP edge may ask for a second, and how often an address may fail to prove
// who it is. Of who calls and who is limited; how a bucket works is rate_limiter.h.
//
//   GatewayLimits limits({.requests = RateLimiter::Limit{.per_second = 50, .burst = 100}},
//   metrics); const GatewayLimits::Verdict verdict = co_await limits.Admit(request, caller);
//   verdict.Announce(response.headers);
//   if (!verdict.allowed()) return verdict.status();
//
// Two policies, each on or off:
//
//   requests             of an API key (its id), of a user (its id, whatever its sessions), or of
//                        the address when there is no good credential
//   failed-credentials   of an address: tokens that are not good, and apart from them wrong
//                        passwords, so that a page with an old session does not lock out who signs
//                        in
//
// A token that is good is let in however many bad ones its address sent: 256 random bits are not
// guessed at any rate, and many callers may share an address. A password is guessed, so there an
// address that has failed too often is refused before the password is looked at. Whoever calls with
// a key of the operator, a shop's server say, signs in others and must limit them itself.
//
// An address is the connection's peer; when that is one of `trusted_proxies`, the last address of
// X-Forwarded-For that is not. Of IPv6 the first 64 bits count, which is what one customer gets.
//
// Buckets are this process' own, or, with a SharedRateLimiter, those of all gateways: exact, for a
// round trip to Redis. When that does not answer, this process' own decide, which begin full: each
// gateway lets a caller through as often as the limit says. No request fails by it; such requests
// count in starling_gateway_limits_degraded_total, starling_gateway_limits_degraded is 1 meanwhile,
// and the log says when it begins and ends.
//
// A route may have limits of its own (route_limits.h), which come to the same verdict. Who is
// nearest to a limit is known for operators (near_limits.h).
//
// Refusals count in starling_gateway_refused_total{kind}, calls that found no bucket of their own
// free in starling_gateway_crowded_total. Bound: 65,536 callers, as many addresses, 16,384 that
// failed; 16 bytes each, if the policy is on. Thread-safe. Admit takes 190 ns without Redis,
// Announce 115.
#pragma once

#include <absl/container/inlined_vector.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "platform/base/snapshot.h"
#include "platform/http/message.h"
#include "platform/rpc/near_limits.h"
#include "platform/rpc/rate_limiter.h"
#include "platform/rpc/shared_rate_limiter.h"
#include "platform/security/identity.h"
#include "platform/telemetry/log_throttle.h"
#include "platform/telemetry/metrics.h"

namespace starling::rpc {

class GatewayLimits {
 public:
  struct Options {
    std::optional<RateLimiter::Limit> requests;
    std::optional<RateLimiter::Limit> failed_credentials;
    std::vector<std::string> trusted_proxies;  // IP addresses; what is none counts as nobody's
  };
  struct Policy;
  // Whose bucket a request's token is taken from.
  enum class Per : uint8_t { kCaller, kAddress, kAll };

  // What all policies that a request came under say of it, those of GatewayLimits first.
  class Verdict {
   public:
    bool allowed() const { return refused_ < 0; }
    // RESOURCE_EXHAUSTED, reason QUOTA_EXCEEDED, or, where too many run at once, UNAVAILABLE,
    // reason OVERLOADED; both with the time after which to try again.
    Status status() const;
    // The policy that refused, else the first: "requests", "failed-credentials", a route's; "" when
    // no limit is on.
    std::string_view policy() const;
    // RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-11), lists of all
    // policies; nothing when no limit is on. `t` is the time until the bucket is full, or until
    // there is a token when there is none; of a refusal the policy that refuses alone has one.
    void Announce(http::Headers& headers) const;
    void Add(Verdict other);

   private:
    friend class GatewayLimits;
    struct Part {
      std::shared_ptr<Policy> policy;
      RateLimiter::Decision decision;
      uint64_t bucket = 0;
      std::string shared_bucket;  // empty: of this process
      std::string_view whose;
    };
    static Verdict Of(Part part);
    absl::InlinedVector<Part, 1> parts_;
    int refused_ = -1;  // index of the part that does
  };

  // `shared`: nullptr, or what outlives it.
  GatewayLimits(const Options& options, telemetry::Metrics& metrics,
                const Clock& clock = SystemClock(), SharedRateLimiter* shared = nullptr);

  // Takes a request from the caller's bucket, and when its credential was not good
  // (UNAUTHENTICATED) a failure from its address'. One verdict: of the policy that refused, or of
  // the requests.
  Task<Verdict> Admit(const http::Request& request,
                      const StatusOr<std::shared_ptr<const security::Identity>>& caller);
  // The same of a caller that is known, when buckets are of this process alone.
  Verdict AdmitHere(const http::Request& request, const security::Identity& caller);
  // Takes a failure before a password is tried; GiveBack when it was right.
  Task<Verdict> TryPassword(const http::Request& request, const security::Identity& caller);
  Task<void> GiveBack(const Verdict& verdict);

  // A policy of one route, for AdmitTo: see RouteLimits.
  struct RoutePolicy {
    std::string key, name;
    RateLimiter::Limit limit;
    Per per = Per::kCaller;
  };
  std::shared_ptr<Policy> MakePolicy(const RoutePolicy& route) const;
  Task<Verdict> AdmitTo(std::shared_ptr<Policy> policy, const http::Request& request,
                        const security::Identity& caller);
  // The same for places: `free` is how many there were, 0 or less: none.
  static std::shared_ptr<Policy> MakeConcurrency(std::string name, int most);
  static Verdict OfPlaces(std::shared_ptr<Policy> policy, int free);

  struct PolicyState {
    std::string name;
    RateLimiter::Limit limit;
  };
  // Those of every request; routes know their own.
  std::vector<PolicyState> Policies() const;
  std::vector<NearLimits::Caller> Nearest(size_t most) const { return near_.List(most); }
  bool shared() const { return shared_ != nullptr; }
  // Limits are this gateway's alone, since Redis does not answer.
  bool degraded() const { return degraded_.load(std::memory_order_relaxed); }

  // Of whom a request is when no credential says so: the address of the client, as bytes.
  std::string CustomerOfRequest(const http::Request& request) const;
  // Whether this peer may say for whom it asks, in X-Forwarded-*.
  bool IsTrustedProxy(std::string_view address) const;

  // While running. A policy whose limit is another one starts with full buckets.
  void Set(const Options& options);

 private:
  struct State;
  std::shared_ptr<const State> MakeState(const Options& options, const State* before) const;
  // What a bucket is of.
  struct Owner;
  Task<Verdict> Take(std::shared_ptr<Policy> policy, Owner owner);
  Verdict TakeHere(std::shared_ptr<Policy> policy, const Owner& owner);
  Verdict Counted(std::shared_ptr<Policy> policy, const Owner& owner, Verdict::Part part);
  Owner OwnerOf(const security::Identity& caller);
  Owner OwnerOf(std::string_view customer);
  void Degraded(const Status& why);
  void WholeAgain();

  const Clock& clock_;
  SharedRateLimiter* const shared_;
  const uint64_t seed_;
  telemetry::Counter &refused_key_, &refused_user_, &refused_address_, &refused_token_,
      &refused_password_, &refused_route_, &crowded_, &degraded_total_;
  telemetry::Gauge& degraded_gauge_;
  std::atomic<bool> degraded_{false};
  log::PerSecond said_{1};
  NearLimits near_;
  Snapshot<State> state_;
};

bool IsAddress(std::string_view text);
// The part of an IP address that one customer has: all of IPv4, 8 bytes of IPv6; the text itself
// when it is no address.
std::string CustomerOf(std::string_view address);

}  // namespace starling::rpc

// What the configuration says of how often a route may be asked, and of what is done twice.
#pragma once

#include <algorithm>
#include <optional>

#include "platform/config/fields.h"
#include "platform/rpc/gateway_limits.h"

namespace starling::gateway {

struct RouteRateLimitConfig {
  using Per = rpc::GatewayLimits::Per;
  double requests_per_second = 0;
  int burst = 0;
  Per per = Per::kCaller;
  bool operator==(const RouteRateLimitConfig&) const = default;
  static void Describe(config::Fields<RouteRateLimitConfig>& fields) {
    fields
        .Add("requests_per_second", &RouteRateLimitConfig::requests_per_second,
             "requests of this route that may be made a second, beside gateway.rate_limit; more "
             "are answered 429; 0: any number")
        .Range(0.0, 100'000.0);
    fields
        .Add("burst", &RouteRateLimitConfig::burst,
             "how many of them may come at once; 0: those of two seconds")
        .Range(0, 1'000'000);
    fields.AddEnum(
        "per", &RouteRateLimitConfig::per,
        {{"caller", Per::kCaller}, {"address", Per::kAddress}, {"route", Per::kAll}},
        "whose: caller (each API key, each user, each address without either), address (each, "
        "whoever calls) or route (all together)");
  }
  std::optional<rpc::RateLimiter::Limit> Limit() const {
    if (requests_per_second <= 0) return std::nullopt;
    const auto two_seconds = std::max<int64_t>(1, static_cast<int64_t>(2 * requests_per_second));
    return rpc::RateLimiter::Limit{.per_second = requests_per_second,
                                   .burst = burst > 0 ? burst : two_seconds};
  }
};

// Whether a POST or PATCH that comes twice acts once (idempotent_proxy.h).
enum class RouteIdempotency { kNone, kOptional, kRequired };

}  // namespace starling::gateway

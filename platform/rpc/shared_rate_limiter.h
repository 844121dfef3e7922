// The token buckets of rate_limiter.h, shared by every gateway of an installation: in Redis, one
// key a bucket.
//
//   SharedRateLimiter shared({.url = url, .prefix = "starling"}, runtime);
//   StatusOr<RateLimiter::Decision> decision = co_await shared.Take("requests:user:ada", limit);
//
// In any time t a caller is let through at most burst + per_second * t times, whichever gateways it
// asks: a take is one script on the server, by the server's clock (TIME), in one round trip. A
// bucket that is full again is forgotten by the server. A limit that changes starts with full
// buckets.
//
//   PREFIX:limit:PER_SECOND/BURST:BUCKET := tokens left, when (us since 1970); two big-endian
//   doubles
//
// Errors: as redis/client.h has them, within `patience`; while the server is gone, at once. What to
// do then is the caller's: gateway_limits.h uses buckets of its own. A failover of Redis may forget
// the newest takes.
//
// Thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "platform/rpc/rate_limiter.h"
#include "platform/storage/redis/client.h"

namespace starling::rpc {

class SharedRateLimiter {
 public:
  struct Options {
    redis::Url url;
    std::string prefix = "starling";
    Duration patience = std::chrono::milliseconds(100);
  };
  SharedRateLimiter(Options options, Runtime& runtime);

  Task<StatusOr<RateLimiter::Decision>> Take(std::string_view bucket,
                                             const RateLimiter::Limit& limit);
  // Undoes a Take that was allowed; nothing when the bucket is full.
  Task<Status> GiveBack(std::string_view bucket, const RateLimiter::Limit& limit);

 private:
  Task<StatusOr<RateLimiter::Decision>> Run(std::string_view bucket,
                                            const RateLimiter::Limit& limit, std::string_view what);

  const std::string prefix_;
  redis::Client client_;
};

}  // namespace starling::rpc

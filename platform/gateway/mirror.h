// Copies of a route's requests to another upstream, whose answers nobody sees: a new version is
// tried with real requests before anybody depends on it.
//
//   Mirror mirror(upstream, {.sample = 0.1, .max_in_flight = 32}, policy, "/search", metrics);
//   mirror.Copy(request, told...);         // on the io thread of the request; does not wait
//
// A copy is made of a whole request, once it is known that its caller may ask. It never fails or
// delays the request itself: what is above max_in_flight is not copied (and counted), a copy is not
// tried again, its answer is read and dropped within the route's timeout.
// starling_gateway_mirrored_total by route and result: answered, failed (nobody answered, or with
// 5xx), skipped (too many under way). Thread-safe. What is under way keeps what it needs.
#pragma once

#include <memory>
#include <string>

#include "platform/gateway/upstream.h"

namespace starling::gateway {

class Mirror {
 public:
  struct Options {
    double sample = 1.0;
    int max_in_flight = 32;
  };
  Mirror(std::shared_ptr<Upstream> upstream, Options options, ForwardPolicy policy,
         const std::string& route, telemetry::Metrics& metrics);

  const Upstream& upstream() const;

  // What the upstream is told beside the client's own fields: as Forwarding says.
  struct Told {
    std::string target;
    std::vector<std::pair<std::string, std::string>> headers;
    bool trusted_peer = false;
  };
  // Whether this request is to be copied; then a place is taken, which Copy gives back.
  bool Wants();
  void Copy(const Executor& executor, const http::Request& request, Told told);

 private:
  struct Shared;
  static Task<void> Run(std::shared_ptr<Shared> shared, http::Request request, Told told);
  const Options options_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace starling::gateway

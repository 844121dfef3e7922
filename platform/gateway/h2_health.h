// Whether an endpoint that speaks HTTP/2 is well. Internal to the gateway.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "platform/gateway/h2_upstream.h"

namespace starling::gateway {

struct H2HealthCheck {
  H2UpstreamOptions options;
  std::shared_ptr<ProxyThread> thread;  // the caller's
  std::string address;
  std::string path;
  Duration timeout;
};

// On a connection of its own: GET of the path gives 2xx or 3xx. "/grpc.health.v1.Health/Check" is a
// call of gRPC's own health service, which must say SERVING for the server as a whole.
Task<bool> IsWellByH2(H2HealthCheck check);

// Of "host:port" or "[::1]:port".
std::pair<std::string, uint16_t> HostAndPort(std::string_view address);

}  // namespace starling::gateway

// Whether an endpoint of an upstream is well. Internal to the gateway.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "platform/gateway/h2_upstream.h"

namespace starling::gateway {

struct EndpointCheck {
  H2UpstreamOptions options;  // of the connection, whatever it speaks
  bool h2 = false;
  std::shared_ptr<ProxyThread> thread;  // the caller's
  std::string address;
  std::string path;
  Duration timeout;
};

// On a connection of its own: GET of the path gives 2xx or 3xx. Over HTTP/2
// "/grpc.health.v1.Health/Check" is a call of gRPC's own health service, which must say SERVING for
// the server as a whole.
Task<bool> IsWell(EndpointCheck check);

// Of "host:port" or "[::1]:port".
std::pair<std::string, uint16_t> HostAndPort(std::string_view address);

}  // namespace starling::gateway

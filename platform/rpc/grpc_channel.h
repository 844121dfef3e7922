// A channel over gRPC to one address.
//
//   std::shared_ptr<Channel> channel = MakeGrpcChannel({.target = "127.0.0.1:9000", .cluster_key =
//   key}); std::shared_ptr<Catalog> catalog = Catalog::Connect(channel);
//
// Connects on the first call and again after a loss, by gRPC's own back-off (at most 0.5 s here). A
// call while there is no connection fails at once with UNAVAILABLE that names the target. About 230
// us a call on loopback.
#pragma once

#include <memory>
#include <string>

#include "platform/rpc/channel.h"

namespace starling::rpc {

struct GrpcChannelOptions {
  std::string target;
  std::string cluster_key;   // of our own processes: the caller's identity travels with each call
  std::string bearer_token;  // of a client from outside: an API key, a session token or a JWT
  int max_message_bytes = 4 << 20;
};

std::shared_ptr<Channel> MakeGrpcChannel(GrpcChannelOptions options);

}  // namespace starling::rpc

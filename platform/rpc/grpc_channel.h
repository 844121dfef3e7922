// A channel over gRPC to one address.
//
//   std::shared_ptr<Channel> channel = MakeGrpcChannel({.target = "127.0.0.1:9000", .cluster_key =
//   key}); std::shared_ptr<Catalog> catalog = Catalog::Connect(channel);
//
// Connects at once and again after a loss, by gRPC's own back-off (at most 0.5 s here). A call
// while there is no connection fails at once with UNAVAILABLE that names the target. About 230 us a
// call on loopback; Usable is one atomic read while it is.
//
// With `contract`, the other side is asked on each new connection which version of it that has
// (contract_version.h), and no call is sent before it has said so. The same version, and one that
// differs compatibly, are called; of the latter the log warns. One that would be misread is never
// called: UNAVAILABLE with the reason CONTRACT_MISMATCH names both versions and what differs. A
// program that does not know the question is called, with a warning.
#pragma once

#include <memory>
#include <string>

#include "platform/rpc/channel.h"
#include "platform/telemetry/metrics.h"

namespace starling::rpc {

struct GrpcChannelOptions {
  std::string target;
  std::string cluster_key;   // of our own processes: the caller's identity travels with each call
  std::string bearer_token;  // of a client from outside: an API key, a session token or a JWT
  int max_message_bytes = 4 << 20;
  std::string contract;         // "starling.catalog.v1.Catalog"; "": not looked at
  std::string version = "dev";  // of this program, for whom it concerns
  // Counts what was found: starling_client_contracts_total{contract, result}; nullptr: nowhere.
  telemetry::Metrics* metrics = nullptr;
};

std::shared_ptr<Channel> MakeGrpcChannel(GrpcChannelOptions options);

}  // namespace starling::rpc

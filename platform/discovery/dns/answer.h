// What DNS servers' answers say, as bytes of the protocol (RFC 1035, 2782, 3596). Foreign bytes: an
// answer that cannot be read is DATA_LOSS, never more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"

namespace starling::discovery::dns {

struct Addresses {
  std::vector<std::string> hosts;  // "10.0.0.7", "[fd00::7]"
  uint32_t ttl = 0;                // seconds, the shortest
};
struct Target {
  std::string host;
  uint16_t priority = 0;
  uint16_t weight = 0;
  uint16_t port = 0;
};
struct Targets {
  std::vector<Target> targets;
  uint32_t ttl = 0;
};

StatusOr<Addresses> ReadA(std::string_view answer);
StatusOr<Addresses> ReadAaaa(std::string_view answer);
StatusOr<Targets> ReadSrv(std::string_view answer);

}  // namespace starling::discovery::dns

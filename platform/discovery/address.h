// What names and addresses look like, in every adapter.
#pragma once

#include <string_view>

#include "platform/base/status.h"

namespace starling::discovery {

inline constexpr uint32_t kMaxWeight = 65535;  // as in DNS (RFC 2782)

// "catalog", "my-service.v2": letters, digits, '-', '_' and '.', at most 63 characters, so that it
// can be a part of a key and of a domain name.
Status CheckServiceName(std::string_view name);

// "127.0.0.1:9000", "[::1]:9000", "catalog.example:9000".
Status CheckAddress(std::string_view address);

}  // namespace starling::discovery

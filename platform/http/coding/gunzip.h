// Undoes gzip within bounds: what a client sent, which may be a bomb.
//
//   STARLING_ASSIGN_OR_RETURN(request.body, Gunzip(request.body, {.max_bytes = 1 << 20}));
//
// Pure; about 300 MB of output a second. Stops at the bound: what it costs is bounded by max_bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::http {

struct GunzipLimits {
  uint64_t max_bytes = uint64_t{1} << 20;  // of what comes out
  // Of what comes out to what went in, where that is above kFreeBytes. JSON that repeats itself
  // reaches 50; deflate's limit is 1032.
  uint64_t max_ratio = 200;
  static constexpr uint64_t kFreeBytes = uint64_t{64} << 10;
};

// Of one gzip member, or several behind each other (RFC 1952, 2.2). INVALID_ARGUMENT for what is no
// gzip, is cut short or has something behind it; with reason::kPayloadTooLarge (413) above a limit.
StatusOr<std::string> Gunzip(std::string_view packed, const GunzipLimits& limits);

}  // namespace starling::http

// http and https URLs, taken apart for the client.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::http {

struct HttpUrl {
  std::string host;       // "example.org", "::1" (without brackets)
  uint16_t port = 80;     // 443 of https when the URL names none
  bool tls = false;       // https
  std::string authority;  // for the Host field: "example.org:8080", "[::1]"
  std::string target;     // "/path?query", never empty
};

// INVALID_ARGUMENT says what the URL lacks. A fragment is dropped.
StatusOr<HttpUrl> ParseHttpUrl(std::string_view url);

}  // namespace starling::http

// A value as it is stored, with when it expires:
//
//   stored  := 0x00 value                  lives for ever
//            | 0x01 expiry value           expiry: milliseconds since 1970 UTC, 8 bytes, big-endian
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/base/clock.h"

namespace starling::kv {

std::string EncodeStored(std::string_view value, std::optional<TimePoint> expires);

struct StoredValue {
  std::string_view value;
  std::optional<TimePoint> expires;
  bool ExpiredAt(TimePoint now) const { return expires.has_value() && *expires <= now; }
};

// Nothing for bytes that EncodeStored does not make.
std::optional<StoredValue> DecodeStored(std::string_view stored);

}  // namespace starling::kv

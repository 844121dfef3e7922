// Numbers from the characters of a JSON number, exactly: integers may be written 10, 10.0 or 1e1.
#pragma once

#include <cstdint>
#include <string_view>

namespace starling::json {

enum class NumberFault {
  kNone,
  kNotANumber,  // not what RFC 8259 calls a number
  kFraction,    // a number, but no whole one
  kRange,       // beyond what the type holds
};

template <typename T>
struct ParsedNumber {
  T value{};
  NumberFault fault = NumberFault::kNone;
};

bool IsJsonNumber(std::string_view text);

// T: int32_t, uint32_t, int64_t, uint64_t.
template <typename T>
ParsedNumber<T> ParseInteger(std::string_view text);

// T: float, double. Rounds to nearest; what is too small becomes zero, what is too large is kRange.
template <typename T>
ParsedNumber<T> ParseFloating(std::string_view text);

}  // namespace starling::json

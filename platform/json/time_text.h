// Timestamps and durations as the proto3 JSON mapping writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace starling::json {

// Seconds and nanoseconds, as google.protobuf.Timestamp and Duration hold them.
struct SecondsAndNanos {
  int64_t seconds = 0;
  int32_t nanos = 0;
  bool operator==(const SecondsAndNanos&) const = default;
};

// RFC 3339 in UTC with 0, 3, 6 or 9 decimals: "1970-01-01T00:00:00.500Z". Nothing outside the years
// 1 to 9999 or with nanos outside 0 to 999,999,999.
std::optional<std::string> TimestampText(SecondsAndNanos time);

// RFC 3339 with "T", and "Z" or an offset. Nothing for other text, dates that do not exist, leap
// seconds, more than nine decimals and times outside the years 1 to 9999.
std::optional<SecondsAndNanos> ParseTimestamp(std::string_view text);

// "-1.500s". Nothing when seconds and nanos differ in sign, or beyond 315,576,000,000 s (10,000
// years).
std::optional<std::string> DurationText(SecondsAndNanos duration);

std::optional<SecondsAndNanos> ParseDuration(std::string_view text);

}  // namespace starling::json

// Times as foreign files write them.
//
//   STARLING_ASSIGN_OR_RETURN(const TimeFormats formats, TimeFormats::Make({"%d/%m/%Y %H:%M"}));
//   std::optional<TimePoint> time = formats.Parse("12/01/2010 08:26");
//
// A format is one of
//   auto      2009-12-01T07:45:00Z, with T or a space, without seconds, with up to nine decimals,
//             with Z, +02:00, +0200 or nothing (UTC); 2009-12-01 alone is its midnight
//   unix      seconds since 1970 UTC, decimals allowed
//   unix_ms   milliseconds since 1970 UTC
//   %d/%m/%Y  a pattern of strptime(3), English names; without %z it is UTC
// Several are tried in their order. No format is auto.
//
// Dates that do not exist are refused, and times outside the years 1678 to 2261. About 50 ns for
// auto. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"

namespace starling::tabular {

// What auto reads.
std::optional<TimePoint> ParseTimeText(std::string_view text);

class TimeFormats {
 public:
  TimeFormats() = default;  // auto
  // INVALID_ARGUMENT for a pattern that does not name year, month and day, or does not read back
  // what it writes.
  static StatusOr<TimeFormats> Make(std::vector<std::string> formats);

  std::optional<TimePoint> Parse(std::string_view text) const;
  // A number that is not text: by unix or unix_ms alone.
  std::optional<TimePoint> ParseNumber(double number) const;

  // "auto or %d/%m/%Y", for errors.
  std::string Expected() const;

 private:
  std::vector<std::string> formats_{"auto"};
};

}  // namespace starling::tabular

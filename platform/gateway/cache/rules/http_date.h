// Dates of HTTP (RFC 9110, 5.6.7), in all three forms that a recipient must take:
//   Sun, 06 Nov 1994 08:49:37 GMT      IMF-fixdate
//   Sunday, 06-Nov-94 08:49:37 GMT     RFC 850
//   Sun Nov  6 08:49:37 1994           asctime
// Pure, no allocation.
#pragma once

#include <optional>
#include <string_view>

#include "platform/base/clock.h"

namespace starling::gateway {

// nullopt for anything else, such as "0". The day of the week is not compared with the date. Two
// digits of a year that seem more than 50 years after `now` are of the century before.
std::optional<TimePoint> ParseHttpDate(std::string_view text, TimePoint now);

}  // namespace starling::gateway

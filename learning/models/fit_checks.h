// What every fit asks of its options before it takes memory or time.
#pragma once

#include <cmath>
#include <cstddef>
#include <string_view>

#include "platform/base/status.h"

namespace starling::learning {

inline Status CheckMemory(double bytes, size_t limit, std::string_view remedy) {
  if (bytes > static_cast<double>(limit)) {
    return WithViolations(
        ResourceExhausted("the fit would take {:.0f} MB and memory_limit is {} MB; {}", bytes / 1e6,
                          limit / 1'000'000, remedy),
        {{"memory_limit", "too low for this fit"}});
  }
  return OkStatus();
}

inline Status CheckAtLeast(std::string_view field, double value, double least) {
  if (!(value >= least) || !std::isfinite(value)) {
    return InvalidField(field, "{} is not a finite number of at least {}", value, least);
  }
  return OkStatus();
}

inline Status CheckPositive(std::string_view field, double value) {
  if (!(value > 0) || !std::isfinite(value)) {
    return InvalidField(field, "{} is not a finite number above 0", value);
  }
  return OkStatus();
}

}  // namespace starling::learning

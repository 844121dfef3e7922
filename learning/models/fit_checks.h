// What every fit asks of its options before it takes memory or time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "learning/interactions.h"
#include "learning/math/parallel.h"
#include "learning/weighting.h"
#include "platform/base/status.h"

namespace starling::learning {

// bytes: what the fit's own memory function says (AlsMemory, EaseMemory, ...), which is right
// within a tenth of what becomes resident (apps/starling/evaluation/fit_memory_test.cc) but for the
// buffers of OpenBLAS (math/dense.h).
inline Status CheckMemory(uint64_t bytes, size_t limit, std::string_view remedy) {
  if (bytes > limit) {
    return WithViolations(
        ResourceExhausted("the fit would take {} MB and memory_limit is {} MB; {}",
                          bytes / 1'000'000, limit / 1'000'000, remedy),
        {{"memory_limit", "too low for this fit"}});
  }
  return OkStatus();
}

// The data once more with other weights, and the transpose of that (interactions.h).
inline uint64_t WeighedMemory(const Interactions& data) {
  return 12 * data.entries() + 8 * data.items();
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

// A share or an exponent.
inline Status CheckShare(std::string_view field, double value) {
  if (!(value >= 0) || !(value <= 1)) {
    return InvalidField(field, "{} is outside 0 to 1", value);
  }
  return OkStatus();
}

inline Status CheckDropout(double dropout) {
  if (!(dropout >= 0) || !(dropout < 1))
    return InvalidField("dropout", "{} is no probability below 1", dropout);
  return OkStatus();
}

inline Status CheckRelaxation(double relaxation) {
  if (!(relaxation >= -4) || !(relaxation <= 4))
    return InvalidField("relaxation", "{} is outside -4 to 4", relaxation);
  return OkStatus();
}

// What EASE and its local form are told alike.
template <typename Options>
Status CheckRegression(const Options& options) {
  STARLING_RETURN_IF_ERROR(CheckWeighting(options.weighting));
  STARLING_RETURN_IF_ERROR(CheckThreads(options.threads));
  STARLING_RETURN_IF_ERROR(CheckPositive("regularisation", options.regularisation));
  STARLING_RETURN_IF_ERROR(CheckShare("user_exponent", options.user_exponent));
  STARLING_RETURN_IF_ERROR(CheckDropout(options.dropout));
  return CheckRelaxation(options.relaxation);
}

// What SLIM and both of these add to an entry of the diagonal of G, and the power of L_jj P_jj that
// the latter scale by.
inline float AddedToDiagonal(double regularisation, double dropout, float diagonal) {
  return static_cast<float>(regularisation + dropout / (1 - dropout) * diagonal);
}
inline float RelaxedBy(float unexplained, double relaxation) {
  return static_cast<float>(std::pow(std::clamp(unexplained, 0.0F, 1.0F), relaxation));
}

}  // namespace starling::learning

// The Cache-Control field, of a request and of a response (RFC 9111, 5.2; RFC 5861), as a shared
// cache reads it.
//
//   const ResponseDirectives said = ParseResponseDirectives(response.headers);
//   if (said.no_store) ...
//
// Whoever reads a field wrongly must err by keeping less, so (RFC 9111, 4.2.1)
//   a lifetime (max-age, s-maxage) that is no number, or is given twice with different values, is
//   0; a permission (stale-while-revalidate, stale-if-error, max-stale) of that kind is not there;
//   min-fresh of that kind is as long as can be;
//   a quote that nothing closes is an ordinary character, so that it hides no directive behind it.
// Names compare without case, numbers may stand in quotes (5.2), those above 2^31 are 2^31 (1.2.2),
// and the forms `no-cache="field"` and `private="field"` count as if they named no field, which
// 5.2.2.4 and 5.2.2.7 allow. Directives that are not known are passed over.
//
// Pure. O(bytes of the fields), no allocation.
#pragma once

#include <chrono>
#include <optional>

#include "platform/http/message.h"

namespace starling::gateway {

using std::chrono::seconds;

inline constexpr seconds kLongest{int64_t{1} << 31};

struct RequestDirectives {
  std::optional<seconds> max_age;
  std::optional<seconds> max_stale;  // kLongest when it has no value: however stale
  std::optional<seconds> min_fresh;
  std::optional<seconds> stale_if_error;
  bool no_cache = false;
  bool no_store = false;
  bool only_if_cached = false;
};

struct ResponseDirectives {
  std::optional<seconds> max_age;
  std::optional<seconds> s_maxage;
  std::optional<seconds> stale_while_revalidate;
  std::optional<seconds> stale_if_error;
  bool no_cache = false;
  bool no_store = false;
  bool is_private = false;
  bool is_public = false;
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
};

RequestDirectives ParseRequestDirectives(const http::Headers& headers);
ResponseDirectives ParseResponseDirectives(const http::Headers& headers);

}  // namespace starling::gateway

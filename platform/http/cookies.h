// Cookies of a request, and those that an answer sets (RFC 6265).
//
//   StatusOr<std::optional<std::string_view>> session = FindCookie(request.headers, "session");
//   response.headers.Add("set-cookie", SetCookie({.name = "session", .value = token, ...}));
//
// Strict where it matters who wrote a cookie: a pair whose name is no token, or whose value has
// another character than RFC 6265, 4.1.1 allows, is none; a name that is there twice with different
// values is refused, since a page of a neighbouring host can add the second. At most 128 pairs of
// a request are looked at. O(bytes), allocates only what it gives. Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "platform/http/message.h"

namespace starling::http {

struct CookiePair {
  std::string_view name;
  std::string_view value;  // without the quotes that may stand around it
};

// The good pairs of one Cookie field, in order.
std::vector<CookiePair> ParseCookies(std::string_view field);

// INVALID_ARGUMENT when it is there with two values.
StatusOr<std::optional<std::string_view>> FindCookie(const Headers& headers, std::string_view name);

// Takes these cookies out of the request, so that what it goes on to does not get them.
void RemoveCookies(Headers& headers, std::function<bool(std::string_view name)> which);

struct NewCookie {
  std::string name;
  std::string value;
  std::string path = "/";
  std::optional<Duration> max_age = {};  // 0: it is removed; none: it goes with the browser
  bool secure = true;                    // over TLS alone
};
// Always HttpOnly and SameSite=Lax. Name and value must be good.
std::string SetCookie(const NewCookie& cookie);

}  // namespace starling::http

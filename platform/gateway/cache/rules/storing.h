// What a shared cache may store (RFC 9111, 3).
//
//   if (const auto why = WhyNotStored(request, response.status, response.headers, now, {}); why)
//   ...
//
// Beside the RFC's rules, not stored are: an answer with Set-Cookie (7.3: a cookie is one
// client's), and one that is neither fresh at any time nor can be validated. Pure; O(bytes of the
// fields).
#pragma once

#include <optional>
#include <string_view>

#include "platform/gateway/cache/rules/freshness.h"
#include "platform/http/message.h"

namespace starling::gateway {

// nullopt: it may be stored. Else the reason in a few words, for logs.
std::optional<std::string_view> WhyNotStored(const http::Request& request, int status,
                                             const http::Headers& headers, TimePoint now,
                                             const Heuristic& heuristic);

// The fields without those of one connection (3.1), without Age and Content-Length, which are
// written anew for each answer. Its memory is as small as it can be.
http::Headers FieldsToStore(const http::Headers& headers);

// Whether the origin's caching rules for this status are known here (5.2.2.3, must-understand).
bool IsUnderstood(int status);

}  // namespace starling::gateway

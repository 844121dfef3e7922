// The field Idempotency-Key of a request.
//
//   CO_ASSIGN_OR_RETURN(const std::string key, IdempotencyKeyOf(request.headers));
//
// The draft (draft-ietf-httpapi-idempotency-key-header-07, 2.1) wants a String of RFC 9651:
// `Idempotency-Key: "8e03978e-40d5"`. Most clients send the text without quotes, which is taken as
// the same key. Parameters of the Item say nothing.
#pragma once

#include <string>
#include <string_view>

#include "platform/base/status.h"
#include "platform/http/message.h"

namespace starling::rpc {

// "" when there is none. INVALID_ARGUMENT for a String that is none, for a key that is empty, too
// long, or not of printable ASCII (CheckIdempotencyKey), and for more than one.
StatusOr<std::string> IdempotencyKeyOf(const http::Headers& headers);

// What says how keys are used, where nobody has said it better.
inline constexpr std::string_view kIdempotencyDraft =
    "https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-idempotency-key-header-07";
// Adds `Link: <url>; rel="help"` (2.7 of the draft; RFC 8288) where the key is why a call is
// refused.
void LinkHelp(const Status& status, std::string_view url, http::Headers& headers);

}  // namespace starling::rpc

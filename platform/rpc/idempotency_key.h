// The field Idempotency-Key of a request.
//
//   CO_ASSIGN_OR_RETURN(const std::string key, IdempotencyKeyOf(request.headers));
//
// The draft (draft-ietf-httpapi-idempotency-key-header-07, 2.1) wants a String of RFC 9651:
// `Idempotency-Key: "8e03978e-40d5"`. Most clients send the text without quotes, which is taken as
// the same key. Parameters of the Item say nothing.
#pragma once

#include <string>

#include "platform/base/status.h"
#include "platform/http/message.h"

namespace starling::rpc {

// "" when there is none. INVALID_ARGUMENT for a String that is none, for a key that is empty, too
// long, or not of printable ASCII (CheckIdempotencyKey), and for more than one.
StatusOr<std::string> IdempotencyKeyOf(const http::Headers& headers);

}  // namespace starling::rpc

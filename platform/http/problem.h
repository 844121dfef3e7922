// The one mapping between Status and HTTP: status codes, and RFC 9457 problem documents.
//
//   exchange.response = ProblemResponse(NotFound("product '{}' is not in the catalogue", id), path,
//   trace_id); Status status = StatusFromHttp(answer.status, answer.headers, answer.body);   // in
//   a client
//
//   OK 200                     NOT_FOUND 404                 RESOURCE_EXHAUSTED 429    CANCELLED
//   499 INVALID_ARGUMENT 400       ALREADY_EXISTS 409            UNAVAILABLE 503 UNIMPLEMENTED 501
//   OUT_OF_RANGE 400           ABORTED 409                   DEADLINE_EXCEEDED 504     INTERNAL 500
//   FAILED_PRECONDITION 400    UNAUTHENTICATED 401           PERMISSION_DENIED 403     UNKNOWN,
//   DATA_LOSS 500
//
// A reason (base/status.h, namespace reason) is finer than a code and wins. The document is
//
//   {"type":"about:blank","title":"Not Found","status":404,"detail":"product 'x' is not in the
//   catalogue",
//    "code":"NOT_FOUND","instance":"/v1/products/x","trace_id":"4bf9...","reason":"...",
//    "violations":[{"field":"limit","description":"-1 is below 0"}]}
//
// where what is empty is left out. `code` and `reason` are extension members that make the way back
// exact. Of reason QUOTA_EXCEEDED the type is `quota-exceeded`, of reason OVERLOADED
// `temporary-reduced-capacity`, and `violated-policies` names the limit where there is one
// (draft-ietf-httpapi-ratelimit-headers-11, 5.1 and 5.2).
#pragma once

#include <string>
#include <string_view>

#include "platform/base/status.h"
#include "platform/http/message.h"

namespace starling::http {

int HttpStatus(const Status& status);
// The nearest code for a response that carries no problem document. 2xx: kOk.
StatusCode CodeOfHttpStatus(int http_status);

// application/problem+json. Adds Retry-After (whole seconds, rounded up) when the status says when
// to retry, and `WWW-Authenticate: Bearer` to 401. The details of INTERNAL, UNKNOWN and DATA_LOSS
// are for the log, not for the world: the document says "internal error" and the trace id.
Response ProblemResponse(const Status& status, std::string_view instance = {},
                         std::string_view trace_id_hex = {}, std::string_view violated_policy = {});

// For what has no code: 405, 408, 414, 431, 505.
Response ProblemResponse(int http_status, std::string_view detail, std::string_view instance = {},
                         std::string_view trace_id_hex = {});

// What a response says, as a status: OK for 2xx and 3xx; else from the problem document when it is
// one (code, detail, reason, violations), from the status code when not, with the body's first 200
// bytes as message. Retry-After is kept.
Status StatusFromHttp(int http_status, const Headers& headers, std::string_view body);

}  // namespace starling::http

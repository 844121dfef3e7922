// Conditional requests: those of clients that the cache answers, and its own to the origin
// (RFC 9111, 4.3; RFC 9110, 13).
// Pure.
#pragma once

#include "platform/gateway/cache/rules/freshness.h"
#include "platform/http/message.h"

namespace starling::gateway {

// Whether the client, by If-None-Match or else If-Modified-Since, has what is stored already, so
// that 304 is the answer (4.3.2). `answered` stands in for a missing Date.
bool IsNotModified(const http::Headers& request, int status, const http::Headers& stored,
                   TimePoint answered);

// Makes a 304 of the stored fields: those that describe the content go (RFC 9110, 15.4.5).
void LeaveFieldsOf304(http::Headers& headers);

// Takes the client's own conditions away, and puts in those for what is stored (4.3.1); false when
// it has no validator.
void RemoveConditions(http::Headers& request);
bool AddConditions(const http::Headers& stored, http::Headers& request);

// Whether a 304 speaks of what is stored: no validator that both have differs (4.3.4).
bool SpeaksOf(const http::Headers& not_modified, const http::Headers& stored);

// What is stored with the fields of a 304, or of the answer to a HEAD, in place of its own (3.2).
http::Headers Freshen(const http::Headers& stored, const http::Headers& update);

// Whether a 200 to HEAD describes what is stored (4.3.5): validators and length are the same.
bool HeadSpeaksOf(const http::Headers& head, const http::Headers& stored, size_t stored_bytes);

}  // namespace starling::gateway

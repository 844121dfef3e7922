// The head of a request as an upstream gets it. Pure.
//
// Left out is what is about the client's connection (RFC 9110, 7.6.1: Connection and the fields it
// names, Keep-Alive, Proxy-Connection, Proxy-Authorization, TE, Trailer, Transfer-Encoding,
// Upgrade), Expect, which the gateway has met, Authorization unless the policy passes it, and every
// field that `how.headers` replaces. The body's length is always given: the upstream reads the
// request as the gateway did. A name with '_' is left out, too: for many servers (CGI, WSGI, Rack)
// it is the same as the one with '-', so that X_Starling_User would pass for X-Starling-User. Not
// of gRPC, whose names they may be.
//
// X-Forwarded-For, -Proto and -Host say where the request came from; what a peer that is not
// trusted says in them, or in Forwarded, is replaced. Via names the gateway (RFC 9110, 7.6.3), and
// Max-Forwards of OPTIONS is one less (7.6.2).
#pragma once

#include <optional>
#include <string>

#include "platform/gateway/upstream.h"

namespace starling::gateway {

// Appends "GET /path HTTP/1.1\r\n...\r\n\r\n". `authority`: for a client that named no host.
// `body_streams`: its length is the one that the client said, else it goes in chunks.
void AppendRequestHead(const http::Request& request, const Forwarding& how,
                       std::string_view authority, std::string& out, bool body_streams = false);

// What the client said of the length of the body, which its server holds it to; nullopt: nothing.
std::optional<uint64_t> ContentLengthOf(const http::Request& request);

// A path in its normal form (http::Request::path), encoded again: what it may not hold as itself is
// escaped, "%2F" and "%25" stay.
void AppendPath(std::string_view normal_path, std::string& out);

// Whether only the gateway may write this field: what frames the request, or says where it is from.
bool IsGatewaysField(std::string_view name);

}  // namespace starling::gateway

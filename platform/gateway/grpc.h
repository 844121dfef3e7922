// What the gateway knows of gRPC (PROTOCOL-HTTP2.md) and gRPC-Web (PROTOCOL-WEB.md) of
// github.com/grpc/grpc/doc. Pure.
//
// A call over HTTP/2 goes on as it is; what the gateway itself has to say about it is an answer of
// gRPC: HTTP 200 with `grpc-status` and `grpc-message`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "platform/http/message.h"

namespace starling::gateway {

enum class GrpcKind : uint8_t {
  kNone,
  kGrpc,     // application/grpc, over HTTP/2
  kWeb,      // application/grpc-web
  kWebText,  // application/grpc-web-text: the body in base64
};

// By Content-Type, with what may follow it: "application/grpc+proto". kGrpc over HTTP/2 alone.
GrpcKind GrpcKindOf(const http::Request& request);

// "100m" is 100 ms: up to 8 digits and H, M, S, m, u or n. nullopt for what is none.
std::optional<Duration> ParseGrpcTimeout(std::string_view text);
std::string GrpcTimeout(Duration timeout);  // at least "1m"

// grpc-status and grpc-message, which is percent-encoded. What INTERNAL and UNKNOWN say is for the
// log.
void SetGrpcStatus(const Status& status, http::Headers& fields);

// What the gateway answers instead of an upstream. Of `response` the fields stay that do not
// describe a body.
void AnswerAsGrpc(const Status& status, const http::Request& request, http::Response& response);

// As HTTP would say it: 503 for a server that answers UNAVAILABLE and nothing else.
int HttpStatusOfGrpc(const http::Response& response);

// Of an answer that is complete; UNKNOWN when it says none.
StatusCode GrpcCodeOf(const http::Response& response);

}  // namespace starling::gateway

// The names under which a CallContext travels in gRPC metadata.
//
// A process of the same cluster proves itself by the cluster key and is believed about who the
// caller is. Anyone else brings credentials of its own (`authorization: Bearer ...`) and is asked
// for them like over HTTP.
#pragma once

namespace starling::rpc::metadata {

inline constexpr char kClusterKey[] = "x-starling-cluster-key";
inline constexpr char kCallerService[] =
    "x-starling-caller-service";  // "" when the call comes from outside
inline constexpr char kIdentity[] = "x-starling-identity-bin";  // security::Identity, serialised
inline constexpr char kTraceparent[] = "traceparent";           // W3C Trace Context
inline constexpr char kIdempotencyKey[] = "idempotency-key";
inline constexpr char kPriority[] = "x-starling-priority";  // resilience::Priority's number
// In the trailing metadata of an answer: CallContext::degraded.
inline constexpr char kDegraded[] = "x-starling-degraded";
inline constexpr char kAuthorization[] = "authorization";

}  // namespace starling::rpc::metadata

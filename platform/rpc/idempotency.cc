#include "platform/rpc/idempotency.h"

#include <openssl/sha.h>

namespace starling::rpc {

std::string IdempotencyScope(const ServerCall& call, const security::Identity& caller) {
  std::string who = security::IdentityName(caller);
  if (caller.kind == security::Identity::kAnonymous && !caller.subject.empty())
    who = "address:" + caller.subject;
  return fmt::format("{} {}", who, call.method().descriptor->full_name);
}

std::string Fingerprint(std::string_view request) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(request.data()), request.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

Status CheckIdempotencyKey(std::string_view key) {
  if (key.size() > 255) {
    return InvalidField("Idempotency-Key", "has {} characters; at most 255 are taken", key.size());
  }
  for (const char c : key) {
    if (c < 0x21 || c > 0x7e) {
      return InvalidField("Idempotency-Key",
                          "has the byte 0x{:02x}; use printable ASCII without spaces",
                          static_cast<unsigned char>(c));
    }
  }
  return OkStatus();
}

bool IsFinal(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk:
    case StatusCode::kInvalidArgument:
    case StatusCode::kNotFound:
    case StatusCode::kAlreadyExists:
    case StatusCode::kPermissionDenied:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kOutOfRange:
    case StatusCode::kUnimplemented:
      return true;
    case StatusCode::kAborted:
      return Reason(status) == reason::kEtagMismatch;
    default:
      return false;
  }
}

}  // namespace starling::rpc

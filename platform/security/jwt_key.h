// One verification key, and the check of a signature with it. Behind jwt.h.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "platform/security/jwt.h"

struct evp_pkey_st;

namespace starling::security {

struct JwtKeys::Key {
  std::string id;
  JwtAlgorithm algorithm = JwtAlgorithm::kHs256;
  std::string secret;                       // of HS256
  std::shared_ptr<evp_pkey_st> public_key;  // of the others
};

// Whether `signature` (as the token has it, decoded) is the key's over `input`.
bool SignatureMatches(const JwtKeys::Key& key, std::string_view input, std::string_view signature);

// Base64url as RFC 7515 has it: no padding, no other character, no stray bits. False otherwise.
bool StrictBase64UrlDecode(std::string_view text, std::string& bytes);

// UNAUTHENTICATED with a reason.
Status JwtRefused(std::string_view reason, std::string message);

}  // namespace starling::security

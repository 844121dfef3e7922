// Opaque bearer tokens: random, shown once, stored only as their SHA-256.
//
//   Token token = NewApiKey();  // token.text = "sk_3q2-7w...", 46 characters: shown once
//   Save(token.hash);           // 32 bytes: all that is ever stored
//   std::optional<TokenHash> hash = HashToken(bearer);  // at each request: looked up in a map
//
// 256 random bits cannot be guessed, so a fast hash is enough; a slow one (password.h) is for what
// people choose. A lookup by hash in a map leaks nothing useful by its timing: an attacker cannot
// choose the hash's bits. HashToken costs about 170 ns and allocates nothing. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "platform/base/status.h"

namespace starling::security {

inline constexpr std::string_view kSessionPrefix = "st_";
inline constexpr std::string_view kApiKeyPrefix = "sk_";
inline constexpr size_t kTokenLength = 3 + 43;  // prefix and base64url of 32 bytes

// SHA-256 of a token's text. Equality takes the same time wherever the first difference is.
struct TokenHash {
  std::array<uint8_t, 32> bytes{};

  bool operator==(const TokenHash& other) const;
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // From the 32 bytes of a database column; nullopt for another size.
  static std::optional<TokenHash> FromBytes(std::string_view bytes);

  // Already uniform: its first eight bytes are a good hash of it.
  template <typename H>
  friend H AbslHashValue(H h, const TokenHash& hash) {
    return H::combine(std::move(h), hash.Prefix());
  }
  uint64_t Prefix() const {
    uint64_t prefix;
    std::memcpy(&prefix, bytes.data(), sizeof(prefix));
    return prefix;
  }
};

struct TokenHashHasher {
  size_t operator()(const TokenHash& hash) const { return hash.Prefix(); }
};

struct Token {
  std::string text;
  TokenHash hash;
};

Token NewSessionToken();
Token NewApiKey();

// nullopt for what cannot be one of our tokens: wrong prefix, length or alphabet. It is then not
// hashed at all.
std::optional<TokenHash> HashToken(std::string_view text);
bool IsSessionToken(std::string_view text);
bool IsApiKey(std::string_view text);

// "sk_3q2-...": what a list or a log may show of a token, enough to recognise one's own.
std::string TokenHint(std::string_view text);

// SHA-256 of any bytes.
TokenHash Sha256(std::string_view bytes);

// Equal content, in a time that depends on the sizes alone.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

}  // namespace starling::security

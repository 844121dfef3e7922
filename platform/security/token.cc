#include "platform/security/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "platform/base/id.h"

namespace starling::security {
namespace {

constexpr size_t kRandomBytes = 32;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// Looking an algorithm up by name costs more than hashing a token: the lookup is done once a
// thread.
EVP_MD_CTX* Sha256Context() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context = [] {
    std::unique_ptr<EVP_MD_CTX, FreeContext> made(EVP_MD_CTX_new());
    if (algorithm == nullptr || made == nullptr ||
        EVP_DigestInit_ex2(made.get(), algorithm, nullptr) != 1) {
      std::fputs("fatal: OpenSSL has no SHA-256\n", stderr);
      std::abort();
    }
    return made;
  }();
  return context.get();
}

constexpr std::array<uint8_t, 256> kIsOfTokens = [] {
  std::array<uint8_t, 256> is{};
  for (int c = 0; c < 256; ++c) {
    is[c] = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
            c == '-' || c == '_';
  }
  return is;
}();

bool HasForm(std::string_view text, std::string_view prefix) {
  if (text.size() != kTokenLength || !text.starts_with(prefix)) return false;
  uint8_t all = 1;
  for (const char c : text.substr(prefix.size())) all &= kIsOfTokens[static_cast<uint8_t>(c)];
  return all == 1;
}

Token NewToken(std::string_view prefix) {
  Token token;
  token.text = std::string(prefix) + RandomToken(kRandomBytes);
  token.hash = Sha256(token.text);
  return token;
}

}  // namespace

bool TokenHash::operator==(const TokenHash& other) const {
  return CRYPTO_memcmp(bytes.data(), other.bytes.data(), bytes.size()) == 0;
}

std::optional<TokenHash> TokenHash::FromBytes(std::string_view bytes) {
  TokenHash hash;
  if (bytes.size() != hash.bytes.size()) return std::nullopt;
  std::memcpy(hash.bytes.data(), bytes.data(), bytes.size());
  return hash;
}

TokenHash Sha256(std::string_view bytes) {
  TokenHash hash;
  unsigned size = 0;
  EVP_MD_CTX* const context = Sha256Context();
  // A null algorithm keeps the context's.
  if (EVP_DigestInit_ex2(context, nullptr, nullptr) != 1 ||
      EVP_DigestUpdate(context, bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context, hash.bytes.data(), &size) != 1) {
    std::fputs("fatal: OpenSSL's SHA-256 failed\n", stderr);
    std::abort();
  }
  return hash;
}

Token NewSessionToken() { return NewToken(kSessionPrefix); }
Token NewApiKey() { return NewToken(kApiKeyPrefix); }

bool IsSessionToken(std::string_view text) { return HasForm(text, kSessionPrefix); }
bool IsApiKey(std::string_view text) { return HasForm(text, kApiKeyPrefix); }

std::optional<TokenHash> HashToken(std::string_view text) {
  if (!IsSessionToken(text) && !IsApiKey(text)) return std::nullopt;
  return Sha256(text);
}

std::string TokenHint(std::string_view text) {
  constexpr size_t kShown = 3 + 4;
  return HashToken(text) ? std::string(text.substr(0, kShown)) + "..." : "...";
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace starling::security

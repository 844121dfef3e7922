// A token's bytes as they come, and its parts signed by us, so that what lies behind the signature
// is reached too.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdint>
#include <cstdlib>

#include "platform/base/id.h"
#include "platform/security/jwt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace starling;
  using namespace starling::security;
  static const std::string secret = "0123456789abcdef0123456789abcdef";
  static const FakeClock clock(*ParseRfc3339("2026-01-01T00:00:00Z"));
  static const JwtVerifier verifier({.audience = "starling"}, *JwtKeys::FromSecret(secret), clock);
  const std::string text(reinterpret_cast<const char*>(data), size);

  // Nobody can sign without the secret.
  if (verifier.Verify(text).ok()) std::abort();

  const size_t middle = text.find('\n');
  const std::string header =
      middle == std::string::npos ? R"({"alg":"HS256"})" : text.substr(0, middle);
  const std::string payload = middle == std::string::npos ? text : text.substr(middle + 1);
  const std::string input = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned mac_size = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(input.data()), input.size(), mac, &mac_size);
  const StatusOr<JwtClaims> claims = verifier.Verify(
      input + "." + Base64UrlEncode({reinterpret_cast<const char*>(mac), mac_size}));
  if (claims.ok() && !claims->expires_at) std::abort();

  (void)JwtKeys::FromJwks(text).status();
  (void)JwtKeys::FromPem(text).status();
  (void)ParseIdentity(text).status();
  (void)ScopeSet::ParseText(text).status();
  return 0;
}

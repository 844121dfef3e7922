// Verification of JSON Web Tokens (RFC 7519, RFC 7515) that others issue: HS256, RS256, ES256,
// EdDSA (Ed25519).
//
//   StatusOr<JwtKeys> keys = JwtKeys::FromJwks(jwks_json);  // or FromPem, or FromSecret
//   JwtVerifier verifier({.issuer = "https://id.example", .audience = "starling"}, *keys);
//   StatusOr<JwtClaims> claims = verifier.Verify(token);
//
// What is refused, each with its own reason (UNAUTHENTICATED, Reason() in parentheses): a malformed
// token (JWT_MALFORMED), `alg` "none" or one that the key is not for (JWT_ALGORITHM): a key has
// exactly one algorithm, so a public RSA key is never taken for an HMAC secret; an unknown key
// (JWT_UNKNOWN_KEY); a wrong signature (JWT_SIGNATURE); a token that expired (JWT_EXPIRED), is not
// valid yet (JWT_NOT_YET_VALID), has no `exp` although one is asked for (JWT_CLAIM), or is of
// another issuer or for another audience (JWT_CLAIM). Critical header extensions (`crit`) are not
// known and so refused, as RFC 7515 4.1.11 asks.
//
// Bounds: 8 KiB a token, 256 KiB and 64 keys a JWKS, RSA 2048 to 8192 bits, an HMAC secret of at
// least 32 bytes. Messages never repeat a token or a key. Keys are immutable: a new set is a new
// JwtKeys, swapped by SetKeys. Cost: HS256 5 us, RS256 45 us, ES256 110 us, EdDSA 190 us.
// Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/snapshot.h"
#include "platform/base/status.h"
#include "platform/security/authenticator.h"

namespace starling::security {

enum class JwtAlgorithm { kHs256, kRs256, kEs256, kEdDsa };
std::string_view JwtAlgorithmName(JwtAlgorithm algorithm);

struct JwtClaims {
  std::string subject;
  std::string issuer;
  std::vector<std::string> audience;
  std::optional<TimePoint> expires_at;
  std::optional<TimePoint> not_before;
  std::optional<TimePoint> issued_at;
  std::string id;  // jti
  std::vector<std::string>
      scopes;           // `scope` (RFC 8693, 4.2: separated by spaces) or `scopes` (a list)
  std::string payload;  // the JSON itself, for claims that are not named here
};

// A set of verification keys. Cheap to copy.
class JwtKeys {
 public:
  JwtKeys();  // no key: every token is JWT_UNKNOWN_KEY
  // RFC 7517. Keys of another use or kind are skipped; a set without one usable key is
  // INVALID_ARGUMENT.
  static StatusOr<JwtKeys> FromJwks(std::string_view json);
  // A public key, "-----BEGIN PUBLIC KEY-----": RSA is RS256, P-256 is ES256, Ed25519 is EdDSA.
  static StatusOr<JwtKeys> FromPem(std::string_view pem, std::string key_id = "");
  // A shared secret for HS256.
  static StatusOr<JwtKeys> FromSecret(std::string_view secret, std::string key_id = "");

  size_t size() const;
  struct Key;
  // By `kid`; a token without one is tried with the only key of its algorithm, if there is only
  // one.
  // UNAUTHENTICATED with reason JWT_UNKNOWN_KEY or JWT_ALGORITHM.
  StatusOr<const Key*> Find(std::string_view key_id, JwtAlgorithm algorithm) const;

 private:
  explicit JwtKeys(std::vector<Key> keys);
  std::shared_ptr<const std::vector<Key>> keys_;
};

// What a token says of itself, not verified: for choosing whose keys to look at, and nothing else.
struct JwtHint {
  std::string issuer;
  std::string key_id;
};
// nullopt for what is no token.
std::optional<JwtHint> PeekJwt(std::string_view token);

// A claim that is a text; nullopt when it is absent or something else. `payload`: JwtClaims'.
std::optional<std::string> TextClaim(const std::string& payload, std::string_view name);

struct JwtOptions {
  std::string issuer;                          // "" takes any
  std::string audience;                        // "" takes any
  Duration leeway = std::chrono::seconds(30);  // for clocks that differ
  // A token without `exp` is good for ever, unless it must have one.
  enum class Expiry { kRequired, kOptional } expiry = Expiry::kRequired;
  std::vector<JwtAlgorithm> algorithms = {};  // that are taken; empty: all
  // How a token becomes an identity.
  std::string user_claim = "sub";
  std::string user_prefix = {};  // before the user's id: keeps the users of two issuers apart
  std::string scope_claim = {};  // "": `scope` or `scopes`
  // What a scope of the token is here; when there are any, no other counts. Of who configures it,
  // so `admin` and wildcards may be given.
  std::map<std::string, std::string> scopes = {};
};

class JwtVerifier final : public Authenticator {
 public:
  JwtVerifier(JwtOptions options, JwtKeys keys, const Clock& clock = SystemClock());

  StatusOr<JwtClaims> Verify(std::string_view token) const;
  void SetKeys(JwtKeys keys);

  // A user identity of claims that Verify gave: its subject is `sub`, its scopes those of the token
  // that are well formed; `admin` and wildcards are never taken from a token of somebody else.
  StatusOr<std::shared_ptr<const Identity>> IdentityOf(const JwtClaims& claims) const;
  // Verify and IdentityOf.
  Task<StatusOr<std::shared_ptr<const Identity>>> Authenticate(
      std::string_view bearer_token) override;
  bool Recognises(std::string_view bearer_token) const override;

 private:
  const JwtOptions options_;
  const Clock& clock_;
  Snapshot<JwtKeys> keys_;
};

}  // namespace starling::security

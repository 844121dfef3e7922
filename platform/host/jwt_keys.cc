#include "platform/host/jwt_keys.h"

#include "platform/telemetry/log.h"

namespace starling::host {
namespace {

StatusOr<security::JwtKeys> JwtKeysOf(const JwtConfig& config) {
  const std::string_view keys = config.keys.Reveal();
  if (keys.empty()) return security::JwtKeys();
  StatusOr<security::JwtKeys> parsed =
      keys.starts_with("-----BEGIN") ? security::JwtKeys::FromPem(keys)
      : keys.starts_with('{')        ? security::JwtKeys::FromJwks(keys)
                                     : security::JwtKeys::FromSecret(keys);
  if (!parsed.ok()) return Annotate(parsed.status(), "jwt.keys");
  return parsed;
}

}  // namespace

StatusOr<std::unique_ptr<security::JwtVerifier>> MakeJwtVerifier(const JwtConfig& config,
                                                                 const Clock& clock) {
  if (config.keys.empty()) return nullptr;
  STARLING_ASSIGN_OR_RETURN(security::JwtKeys keys, JwtKeysOf(config));
  return std::make_unique<security::JwtVerifier>(
      security::JwtOptions{.issuer = config.issuer, .audience = config.audience}, std::move(keys),
      clock);
}

void TakeJwtKeys(const JwtConfig& now, security::JwtVerifier* verifier) {
  StatusOr<security::JwtKeys> keys = JwtKeysOf(now);
  if (!keys.ok()) {
    log::Error("config", "the old jwt.keys stay").With(keys.status());
  } else if (verifier == nullptr) {
    log::Warning("config", "the first jwt.keys are taken with a restart");
  } else {
    verifier->SetKeys(*std::move(keys));
  }
}

}  // namespace starling::host

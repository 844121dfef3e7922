#include "platform/identity/jwt_issuers.h"

#include <algorithm>

namespace starling::identity {

using security::Identity;
using security::JwtAlgorithm;

IssuerKeys::Options OptionsOf(const JwtIssuerConfig& config) {
  IssuerKeys::Options options;
  options.jwt = {.issuer = config.issuer,
                 .audience = config.audience,
                 .user_claim = config.user_claim,
                 .user_prefix = config.user_prefix,
                 .scope_claim = config.scope_claim,
                 .scopes = config.scopes};
  // A secret that is served to whoever asks for keys is none, so never HS256.
  for (const JwtAlgorithm algorithm :
       {JwtAlgorithm::kRs256, JwtAlgorithm::kEs256, JwtAlgorithm::kEdDsa}) {
    if (std::find(config.algorithms.begin(), config.algorithms.end(),
                  security::JwtAlgorithmName(algorithm)) != config.algorithms.end()) {
      options.jwt.algorithms.push_back(algorithm);
    }
  }
  options.jwks_url = config.jwks_url;
  options.discovery_url = config.discovery;
  options.interval = config.refetch_interval;
  options.keep_for = config.keys_max_age;
  return options;
}

JwtIssuers::JwtIssuers(const std::vector<JwtIssuerConfig>& issuers, Runtime& runtime,
                       http::Client& client, telemetry::Metrics& metrics, const Clock& clock,
                       security::Authenticator* fallback)
    : runtime_(runtime), fallback_(fallback) {
  for (const JwtIssuerConfig& config : issuers) {
    issuers_.push_back({config.issuer, std::make_unique<IssuerKeys>(OptionsOf(config), runtime,
                                                                    client, metrics, clock)});
  }
}

void JwtIssuers::Start() {
  for (const One& one : issuers_) Spawn(runtime_.NextExecutor(), one.keys->KeepFresh());
}

bool JwtIssuers::Recognises(std::string_view bearer_token) const {
  return std::count(bearer_token.begin(), bearer_token.end(), '.') == 2;
}

Task<StatusOr<std::shared_ptr<const Identity>>> JwtIssuers::Authenticate(
    std::string_view bearer_token) {
  const std::optional<security::JwtHint> hint = security::PeekJwt(bearer_token);
  for (const One& one : issuers_) {
    if (!hint || hint->issuer != one.issuer) continue;
    const StatusOr<security::JwtClaims> claims = co_await one.keys->Verify(bearer_token);
    if (!claims.ok()) co_return claims.status();
    co_return one.keys->verifier().IdentityOf(*claims);
  }
  if (fallback_ != nullptr) {
    StatusOr<std::shared_ptr<const Identity>> identity =
        co_await fallback_->Authenticate(bearer_token);
    co_return identity;
  }
  co_return WithReason(
      Unauthenticated("the token is of no issuer that is known here (security.jwt.issuers)"),
      "JWT_CLAIM");
}

}  // namespace starling::identity

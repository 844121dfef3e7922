// Tokens of several issuers, each verified with that issuer's own keys alone.
//
//   JwtIssuers issuers(config.jwt.issuers, runtime, client, metrics, clock, fallback);
//   issuers.Start();
//   auto caller = co_await issuers.Authenticate(token);
//
// The token's `iss`, not yet verified, chooses the issuer; its keys then prove it, so a key of one
// issuer is worth nothing in the name of another. A token of none of them goes to `fallback`
// (the section `jwt`), or is UNAUTHENTICATED with reason JWT_CLAIM. Thread-safe.
#pragma once

#include <memory>
#include <vector>

#include "platform/identity/issuer_keys.h"
#include "platform/identity/security_config.h"
#include "platform/security/authenticator.h"

namespace starling::identity {

IssuerKeys::Options OptionsOf(const JwtIssuerConfig& config);

class JwtIssuers final : public security::Authenticator {
 public:
  // What is named must outlive it, and it the runtime's work; `fallback`: nullptr for none.
  JwtIssuers(const std::vector<JwtIssuerConfig>& issuers, Runtime& runtime, http::Client& client,
             telemetry::Metrics& metrics, const Clock& clock, security::Authenticator* fallback);
  // Begins to fetch keys.
  void Start();

  Task<StatusOr<std::shared_ptr<const security::Identity>>> Authenticate(
      std::string_view bearer_token) override;
  bool Recognises(std::string_view bearer_token) const override;

 private:
  struct One {
    std::string issuer;
    std::unique_ptr<IssuerKeys> keys;
  };
  Runtime& runtime_;
  std::vector<One> issuers_;
  security::Authenticator* const fallback_;
};

}  // namespace starling::identity

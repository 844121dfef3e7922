#include "platform/host/outside_identities.h"

namespace starling::host {

OutsideIdentities::OutsideIdentities(const identity::SecurityConfig& config, Runtime& runtime,
                                     telemetry::Metrics& metrics, const Clock& clock)
    : config_(config), runtime_(runtime), metrics_(metrics), clock_(clock) {
  if (config_.jwt.issuers.empty() && config_.oidc.issuer.empty()) return;
  client_ = std::make_unique<http::Client>(
      runtime_, http::ClientOptions{.max_response_bytes = identity::IssuerKeys::kMaxAnswer,
                                    .ca_file = config_.ca_file});
}

Status OutsideIdentities::Start(security::Authenticator* other_tokens,
                                std::unique_ptr<identity::SessionStore> sessions) {
  if (!config_.jwt.issuers.empty()) {
    issuers_ = std::make_unique<identity::JwtIssuers>(config_.jwt.issuers, runtime_, *client_,
                                                      metrics_, clock_, other_tokens);
    issuers_->Start();
  }
  if (config_.oidc.issuer.empty()) return OkStatus();
  if (sessions == nullptr) {
    return FailedPrecondition(
        "security.oidc: this process cannot reach the service that keeps sessions (profile)");
  }
  sessions_ = std::move(sessions);
  oidc_ = std::make_unique<identity::OidcLogin>(config_.oidc, runtime_, *client_, metrics_, clock_,
                                                *sessions_);
  oidc_->Start();
  return OkStatus();
}

}  // namespace starling::host

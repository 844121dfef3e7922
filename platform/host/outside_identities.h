// What a process asks others of who calls, as the section "security" says: the issuers of tokens,
// the provider at which people sign in, and the one client that asks them.
//
//   OutsideIdentities outside(*config.security.Get(), runtime, metrics, clock);
//   outside.Start(jwt_.get(), make_sessions ? make_sessions(services) : nullptr);
//   if (outside.tokens() != nullptr) authenticators.push_back(outside.tokens());
//
// It must outlive the runtime's work, and goes before the runtime.
#pragma once

#include <memory>

#include "platform/identity/jwt_issuers.h"
#include "platform/identity/oidc_login.h"

namespace starling::host {

class OutsideIdentities {
 public:
  OutsideIdentities(const identity::SecurityConfig& config, Runtime& runtime,
                    telemetry::Metrics& metrics, const Clock& clock);

  // Begins to fetch keys, where something is configured. `other_tokens` gets those of no issuer
  // here; nullptr for none. FAILED_PRECONDITION: people shall sign in, and there are no sessions.
  Status Start(security::Authenticator* other_tokens,
               std::unique_ptr<identity::SessionStore> sessions);

  security::Authenticator* tokens() { return issuers_.get(); }  // nullptr: no issuers
  identity::OidcLogin* oidc() { return oidc_.get(); }           // nullptr: nobody signs in so

 private:
  const identity::SecurityConfig config_;
  Runtime& runtime_;
  telemetry::Metrics& metrics_;
  const Clock& clock_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<identity::SessionStore> sessions_;
  std::unique_ptr<identity::JwtIssuers> issuers_;
  std::unique_ptr<identity::OidcLogin> oidc_;
};

}  // namespace starling::host

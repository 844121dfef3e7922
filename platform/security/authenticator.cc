#include "platform/security/authenticator.h"

namespace starling::security {

Task<StatusOr<std::shared_ptr<const Identity>>> AuthenticatorChain::Authenticate(
    std::string_view bearer_token) {
  for (Authenticator* adapter : adapters_) {
    if (!adapter->Recognises(bearer_token)) continue;
    StatusOr<std::shared_ptr<const Identity>> identity =
        co_await adapter->Authenticate(bearer_token);
    co_return identity;
  }
  co_return Unauthenticated(
      "the bearer token has no form that is known here; expected a session token, an API key or a "
      "JWT");
}

std::shared_ptr<const Identity> AuthenticatorChain::Known(std::string_view bearer_token) const {
  for (const Authenticator* adapter : adapters_) {
    if (adapter->Recognises(bearer_token)) return adapter->Known(bearer_token);
  }
  return nullptr;
}

bool AuthenticatorChain::Recognises(std::string_view bearer_token) const {
  for (const Authenticator* adapter : adapters_) {
    if (adapter->Recognises(bearer_token)) return true;
  }
  return false;
}

}  // namespace starling::security

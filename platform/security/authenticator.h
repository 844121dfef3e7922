// The port through which the edge turns a bearer token into an identity.
//
//   StatusOr<std::shared_ptr<const Identity>> caller = co_await authenticator.Authenticate(token);
//
// UNAUTHENTICATED says why a token is not good, and never repeats it. UNAVAILABLE means that nobody
// could be asked: the token may be good. Adapters: KeyStore (API keys), JwtVerifier (jwt.h), the
// users' sessions of a service.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "platform/async/task.h"
#include "platform/security/identity.h"

namespace starling::security {

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // `bearer_token` must live until the task ends. Thread-safe.
  virtual Task<StatusOr<std::shared_ptr<const Identity>>> Authenticate(
      std::string_view bearer_token) = 0;
  // Whose a token is that is good, when that is known without waiting; nullptr: ask Authenticate.
  virtual std::shared_ptr<const Identity> Known(std::string_view bearer_token) const {
    (void)bearer_token;
    return nullptr;
  }
  // Whether a token has this adapter's form ("sk_...", three dot-separated parts), by its form
  // alone.
  virtual bool Recognises(std::string_view bearer_token) const = 0;
};

// Asks the first adapter that recognises a token. None does: UNAUTHENTICATED. The adapters must
// outlive it.
class AuthenticatorChain final : public Authenticator {
 public:
  explicit AuthenticatorChain(std::vector<Authenticator*> adapters)
      : adapters_(std::move(adapters)) {}
  Task<StatusOr<std::shared_ptr<const Identity>>> Authenticate(
      std::string_view bearer_token) override;
  std::shared_ptr<const Identity> Known(std::string_view bearer_token) const override;
  bool Recognises(std::string_view bearer_token) const override;

 private:
  const std::vector<Authenticator*> adapters_;
};

}  // namespace starling::security

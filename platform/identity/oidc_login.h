// People sign in at an OpenID provider, in a browser: the authorization code flow (RFC 6749, 4.1;
// OpenID Connect Core 1.0, 3.1) with PKCE S256 (RFC 7636).
//
//   OidcLogin login(config, runtime, client, metrics, clock, users);
//   login.Start();
//   router.Add(Verb::kGet, "/auth/login", [&](Exchange& e) { return login.Login(e); });
//
//   GET  /auth/login?return_to=/cart   to the provider; a cookie says what was begun
//   GET  redirect_path                 back from it: a session, in a cookie; on to return_to
//   GET  /auth/logout                  a page that asks; POST: ends the session
//
// What is checked, each refused with a page that says so:
//
//   return_to      a path of our own: "/" and no second '/' or '\', no control character
//   the cookie     sealed by us, at most 10 minutes old: who began elsewhere does not end here, so
//                  nobody is signed in as somebody else (login CSRF)
//   state          that of the cookie, and used once
//   iss            of the answer (RFC 9207), when there is one
//   the ID token   its signature by the issuer's fetched keys with RS256 or ES256, iss, aud, exp,
//                  iat within clock_skew, nonce (so that nobody's code but this browser's counts),
//                  azp when there is one or several audiences, at_hash when there is one
//
// redirect_uri is public_url and redirect_path, never what a request says. The session is a new one
// at every sign-in; that of before, which somebody may have planted, is ended. The user's id is
// made of issuer and subject, so it needs no table and nobody can choose it.
//
// The cookie's content is sealed with the client's secret: any gateway may answer the callback.
// `state` is remembered as used by each gateway for itself; the provider takes a code once.
// Counted in starling_oidc_sign_ins_total{outcome}. Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <unordered_set>

#include "platform/http/exchange.h"
#include "platform/identity/edge_credentials.h"
#include "platform/identity/issuer_keys.h"
#include "platform/identity/sealed.h"
#include "platform/identity/security_config.h"

namespace starling::identity {

struct NewSession {
  std::string token;
  Duration life{};
};

// Where users and sessions are.
class SessionStore {
 public:
  virtual ~SessionStore() = default;
  // A session of this user, who is made when there is none.
  virtual Task<StatusOr<NewSession>> SignIn(std::string user_id, std::string display_name) = 0;
  // OK also when there is no such session.
  virtual Task<Status> SignOut(std::string token) = 0;
};

// "oidc-" and 40 hex digits.
std::string UserIdOf(std::string_view issuer, std::string_view subject);
// OK for a path to which a browser may be sent that has signed in.
Status CheckReturnTo(std::string_view path);

class OidcLogin {
 public:
  // What is named must outlive it, and it the runtime's work.
  OidcLogin(OidcConfig config, Runtime& runtime, http::Client& client, telemetry::Metrics& metrics,
            const Clock& clock, SessionStore& sessions);
  void Start();

  Task<void> Login(http::Exchange& exchange);
  Task<void> Callback(http::Exchange& exchange);
  Task<void> AskLogout(http::Exchange& exchange);
  Task<void> Logout(http::Exchange& exchange);

  const SessionCookie& cookie() const { return cookie_; }
  const OidcConfig& config() const { return config_; }

 private:
  // What was begun, as the cookie has it.
  struct Begun {
    std::string state, nonce, verifier, return_to;
  };
  struct Proven {
    std::string subject, display_name;
  };
  StatusOr<Begun> BegunIn(const http::Request& request) const;
  Task<Status> Finish(http::Exchange& exchange);
  Task<StatusOr<Proven>> Redeem(const Begun& begun, std::string code);
  StatusOr<Proven> CheckIdToken(const security::JwtClaims& claims, const std::string& nonce,
                                std::string_view access_token) const;
  bool UseOnce(const std::string& state);
  Task<void> EndOldSession(const http::Request& request);
  std::string RemovedCookie(const std::string& name) const;

  const OidcConfig config_;
  const std::string redirect_uri_;
  Runtime& runtime_;
  http::Client& client_;
  const Clock& clock_;
  SessionStore& sessions_;
  const Sealer sealer_;
  IssuerKeys keys_;
  const bool secure_;
  const SessionCookie cookie_;
  telemetry::Counter &signed_in_, &refused_;
  std::mutex mutex_;
  std::unordered_set<std::string> used_;
  std::deque<std::string> used_order_;
};

}  // namespace starling::identity

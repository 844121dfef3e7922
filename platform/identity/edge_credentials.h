// How a request over HTTP says who sends it: a bearer token, a session in a cookie, a certificate.
//
//   EdgeCredentials credentials(authenticator);
//   credentials.Set(rules);                                  // of certificates; while it serves
//   credentials.TakeCookies({.name = "__Host-starling_session", .origin = "https://shop.example"});
//   StatusOr<std::shared_ptr<const Identity>> caller = co_await credentials.CallerOf(request);
//
// What counts, when there is more than one:
//
//   Authorization        always; a session's cookie beside it is not looked at
//   a session's cookie   as `Authorization: Bearer` with it would; one that is no good any more is
//                        as none, so that a browser with an old one sees what everybody sees
//   a certificate        when there is neither, or nobody could say whose session the cookie is of.
//                        Of a service beside a token: the token counts, the service acts for its
//                        owner. Of a user beside a token of another user: UNAUTHENTICATED, since
//                        one of both is not where it belongs
//
// A page of another site can make a browser send the cookie. So a request by it that may change
// something (any method but GET, HEAD and OPTIONS, and any that opens a WebSocket) must come from
// our own pages: Sec-Fetch-Site must be same-origin, or, from browsers that send none, Origin must
// be ours; else PERMISSION_DENIED, reason CROSS_SITE. Both are written by browsers, not by pages.
//
// The cookies named here end at the gateway: CallerOf takes them out of the request, and puts the
// session into Authorization, so that what is true of a bearer token (it is dropped before an
// upstream, its answers are not kept for others) is true of it. Thread-safe; about 0.1 us without
// cookies and rules.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "platform/base/snapshot.h"
#include "platform/http/message.h"
#include "platform/identity/certificate_rules.h"
#include "platform/security/authenticator.h"

namespace starling::identity {

struct SessionCookie {
  std::string name;        // of the session
  std::string login_name;  // of who is signing in; never goes on
  std::string origin;      // ours: "https://shop.example"
};

// OK when a browser says that one of our own pages sends the request.
Status CheckOwnPage(const http::Request& request, std::string_view origin);

class EdgeCredentials {
 public:
  // `authenticator`: nullptr, or what outlives it.
  explicit EdgeCredentials(security::Authenticator* authenticator)
      : authenticator_(authenticator), rules_(nullptr) {}
  void Set(std::shared_ptr<const CertificateRules> rules) { rules_.store(std::move(rules)); }
  // Once, before it serves.
  void TakeCookies(SessionCookie cookie) { cookie_ = std::move(cookie); }

  // `request` must live until the task ends.
  Task<StatusOr<std::shared_ptr<const security::Identity>>> CallerOf(http::Request& request) const;
  // The same when it is known without waiting; nullptr: ask CallerOf.
  std::shared_ptr<const security::Identity> KnownCaller(const http::Request& request) const;

 private:
  Task<StatusOr<std::shared_ptr<const security::Identity>>> CallerByToken(
      http::Request& request) const;
  Task<StatusOr<std::shared_ptr<const security::Identity>>> CallerByCookie(
      http::Request& request) const;

  security::Authenticator* const authenticator_;
  Snapshot<CertificateRules> rules_;  // nullptr: none
  std::optional<SessionCookie> cookie_;
};

}  // namespace starling::identity

#include "platform/identity/edge_credentials.h"

#include "platform/http/cookies.h"
#include "platform/security/token.h"

namespace starling::identity {
namespace {

using security::Identity;

std::optional<std::string_view> BearerToken(std::string_view authorization) {
  if (authorization.size() < 8 || !http::EqualsIgnoreCase(authorization.substr(0, 7), "bearer "))
    return std::nullopt;
  return authorization.substr(7);
}

bool MayChangeSomething(const http::Request& request) {
  const bool reads = request.verb == http::Verb::kGet || request.verb == http::Verb::kHead ||
                     request.verb == http::Verb::kOptions;
  // What is said over a connection that is taken over is no GET any more.
  return !reads || request.headers.Has("upgrade") || request.headers.Has("sec-websocket-key");
}

}  // namespace

Status CheckOwnPage(const http::Request& request, std::string_view origin) {
  const auto site = request.headers.Find("sec-fetch-site");
  const auto from = request.headers.Find("origin");
  const bool own = site ? *site == "same-origin" && (!from || *from == origin) : from == origin;
  if (own) return OkStatus();
  return WithReason(
      PermissionDenied("a request with a session's cookie that changes something must come from "
                       "our own pages; send the session as `Authorization: Bearer TOKEN`"),
      "CROSS_SITE");
}

Task<StatusOr<std::shared_ptr<const Identity>>> EdgeCredentials::CallerByToken(
    http::Request& request) const {
  const auto token = BearerToken(*request.headers.Find("authorization"));
  if (!token) co_return Unauthenticated("Authorization must be `Bearer TOKEN`");
  if (authenticator_ == nullptr) co_return Unauthenticated("this process takes no credentials");
  StatusOr<std::shared_ptr<const Identity>> caller = co_await authenticator_->Authenticate(*token);
  co_return caller;
}

Task<StatusOr<std::shared_ptr<const Identity>>> EdgeCredentials::CallerByCookie(
    http::Request& request) const {
  const StatusOr<std::optional<std::string_view>> found =
      http::FindCookie(request.headers, cookie_->name);
  if (!found.ok()) co_return found.status();
  // Only a session: a key or a foreign token in a cookie is nobody's.
  const std::string token(found->value_or(""));
  http::RemoveCookies(request.headers, [&](std::string_view name) {
    return name == cookie_->name || name == cookie_->login_name;
  });
  if (!security::IsSessionToken(token) || authenticator_ == nullptr)
    co_return security::Anonymous();
  StatusOr<std::shared_ptr<const Identity>> caller = co_await authenticator_->Authenticate(token);
  if (absl::IsUnauthenticated(caller.status())) co_return security::Anonymous();
  if (!caller.ok()) co_return caller.status();
  if (MayChangeSomething(request)) {
    const Status own = CheckOwnPage(request, cookie_->origin);
    if (!own.ok()) co_return own;
  }
  request.headers.Set("authorization", "Bearer " + token);
  co_return caller;
}

std::shared_ptr<const Identity> EdgeCredentials::KnownCaller(const http::Request& request) const {
  if (request.client_certificate != nullptr || (cookie_ && request.headers.Has("cookie")))
    return nullptr;
  const auto header = request.headers.Find("authorization");
  if (!header) return security::Anonymous();
  const std::optional<std::string_view> token = BearerToken(*header);
  return token && authenticator_ != nullptr ? authenticator_->Known(*token) : nullptr;
}

Task<StatusOr<std::shared_ptr<const Identity>>> EdgeCredentials::CallerOf(
    http::Request& request) const {
  StatusOr<std::shared_ptr<const Identity>> caller = security::Anonymous();
  if (request.headers.Has("authorization")) {
    if (cookie_ && request.headers.Has("cookie")) {
      http::RemoveCookies(request.headers, [this](std::string_view name) {
        return name == cookie_->name || name == cookie_->login_name;
      });
    }
    caller = co_await CallerByToken(request);
  } else if (cookie_ && request.headers.Has("cookie")) {
    caller = co_await CallerByCookie(request);
  }
  if (!caller.ok() || request.client_certificate == nullptr) co_return caller;
  const std::shared_ptr<const CertificateRules> rules = rules_.load();
  if (rules == nullptr) co_return caller;
  std::shared_ptr<const Identity> certified = rules->Find(*request.client_certificate);
  if (certified == nullptr) co_return caller;
  if ((*caller)->kind == Identity::kAnonymous) co_return certified;
  if (certified->kind == Identity::kUser && !(*caller)->user().empty() &&
      (*caller)->user() != certified->subject) {
    co_return Unauthenticated(
        "the token is of another user than the certificate; send one of both");
  }
  co_return caller;
}

}  // namespace starling::identity

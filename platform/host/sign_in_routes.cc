#include "platform/host/sign_in_routes.h"

#include "platform/http/problem.h"

namespace starling::host {
namespace {

using http::Exchange;
using http::Verb;
using Answer = Task<void> (identity::OidcLogin::*)(Exchange&);

// As a request of the address; what comes with it is not looked at.
Task<void> Limited(identity::OidcLogin& login, rpc::GatewayLimits& limits, Answer answer,
                   Exchange& exchange) {
  const StatusOr<std::shared_ptr<const security::Identity>> nobody = security::Anonymous();
  const rpc::GatewayLimits::Verdict verdict = co_await limits.Admit(exchange.request, nobody);
  if (verdict.allowed()) {
    co_await (login.*answer)(exchange);
  } else {
    exchange.response =
        http::ProblemResponse(verdict.status(), exchange.request.path, "", verdict.policy());
  }
  verdict.Announce(exchange.response.headers);
}

// A failure is counted before the provider is asked, and given back when there was none.
Task<void> ComeBack(identity::OidcLogin& login, rpc::GatewayLimits& limits, Exchange& exchange) {
  const auto nobody = security::Anonymous();
  const rpc::GatewayLimits::Verdict attempt =
      co_await limits.TryPassword(exchange.request, *nobody);
  if (!attempt.allowed()) {
    exchange.response =
        http::ProblemResponse(attempt.status(), exchange.request.path, "", attempt.policy());
    attempt.Announce(exchange.response.headers);
    co_return;
  }
  co_await Limited(login, limits, &identity::OidcLogin::Callback, exchange);
  if (exchange.response.status == 303 || exchange.response.status >= 500)
    co_await limits.GiveBack(attempt);
}

}  // namespace

Status AddSignInRoutes(identity::OidcLogin& login, rpc::GatewayLimits& limits,
                       http::Router& router) {
  const auto add = [&](Verb verb, const char* path, Answer answer) {
    return router.Add(verb, path, [&login, &limits, answer](Exchange& exchange) {
      return Limited(login, limits, answer, exchange);
    });
  };
  STARLING_RETURN_IF_ERROR(add(Verb::kGet, "/auth/login", &identity::OidcLogin::Login));
  STARLING_RETURN_IF_ERROR(add(Verb::kGet, "/auth/logout", &identity::OidcLogin::AskLogout));
  STARLING_RETURN_IF_ERROR(add(Verb::kPost, "/auth/logout", &identity::OidcLogin::Logout));
  return router.Add(Verb::kGet, login.config().redirect_path,
                    [&](Exchange& exchange) { return ComeBack(login, limits, exchange); });
}

}  // namespace starling::host

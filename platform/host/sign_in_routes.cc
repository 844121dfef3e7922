#include "platform/host/sign_in_routes.h"

#include "platform/http/problem.h"

namespace starling::host {
namespace {

using http::Exchange;
using http::Verb;
using rpc::GatewayLimits;

struct Route {
  using Answer = Task<void> (identity::OidcLogin::*)(Exchange&);

  Route(identity::OidcLogin& login, const rpc::EdgeOptions& edge, std::string_view name,
        Answer answer)
      : login(login), edge(edge), name(name), answer(answer) {
    telemetry::Metrics& metrics = edge.telemetry->metrics();
    gate.priority = resilience::Priority::kNormal;
    gate.shed = &metrics.AddCounter("starling_gateway_shed_total",
                                    "Requests refused since too many were in flight",
                                    {{"service", "sign-in"}, {"method", std::string(name)}});
    method = &metrics.AddMethod("sign-in", name);
  }

  identity::OidcLogin& login;
  const rpc::EdgeOptions& edge;
  const std::string_view name;
  const Answer answer;
  rpc::EdgeGate gate;
  telemetry::MethodMetrics* method;
};

// A failure is counted before the provider is asked, and given back when there was none.
Task<Status> ComeBack(const Route& route, Exchange& exchange, rpc::EdgeEntry& entry) {
  const auto nobody = security::Anonymous();
  const GatewayLimits::Verdict attempt =
      co_await route.edge.limits->TryPassword(exchange.request, *nobody);
  if (!attempt.allowed()) {
    entry.verdict().Add(attempt);
    co_return attempt.status();
  }
  co_await (route.login.*route.answer)(exchange);
  if (exchange.response.status == 303 || exchange.response.status >= 500)
    co_await route.edge.limits->GiveBack(attempt);
  co_return OkStatus();
}

Task<void> Handle(std::shared_ptr<Route> route, Exchange& exchange) {
  rpc::EdgeEntry entry(route->edge, exchange, route->name);
  Status status = entry.LetIn(route->gate, false);
  if (status.ok()) {
    const StatusOr<std::shared_ptr<const security::Identity>> nobody = security::Anonymous();
    GatewayLimits::Verdict verdict = co_await route->edge.limits->Admit(exchange.request, nobody);
    status = verdict.status();
    entry.verdict().Add(std::move(verdict));
  }
  if (status.ok() && route->answer == &identity::OidcLogin::Callback) {
    status = co_await ComeBack(*route, exchange, entry);
  } else if (status.ok()) {
    co_await (route->login.*route->answer)(exchange);
  }
  if (status.ok()) entry.Announce();
  route->method->Record(
      status.ok() ? http::CodeOfHttpStatus(exchange.response.status) : status.code(), entry.Took());
  entry.Leave(status);
}

}  // namespace

Status AddSignInRoutes(identity::OidcLogin& login, const rpc::EdgeOptions& edge,
                       http::Router& router) {
  const auto add = [&](Verb verb, std::string_view path, std::string_view name,
                       Route::Answer answer) {
    return router.Add(verb, path,
                      [route = std::make_shared<Route>(login, edge, name, answer)](
                          Exchange& exchange) { return Handle(route, exchange); });
  };
  STARLING_RETURN_IF_ERROR(
      add(Verb::kGet, "/auth/login", "/auth/login", &identity::OidcLogin::Login));
  STARLING_RETURN_IF_ERROR(
      add(Verb::kGet, "/auth/logout", "/auth/logout", &identity::OidcLogin::AskLogout));
  STARLING_RETURN_IF_ERROR(
      add(Verb::kPost, "/auth/logout", "/auth/logout", &identity::OidcLogin::Logout));
  return add(Verb::kGet, login.config().redirect_path, "/auth/callback",
             &identity::OidcLogin::Callback);
}

}  // namespace starling::host

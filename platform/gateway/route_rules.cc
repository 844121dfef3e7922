#include "platform/gateway/route_rules.h"

#include <algorithm>

#include "platform/base/nearest.h"
#include "platform/discovery/address.h"
#include "platform/gateway/request_head.h"
#include "platform/gateway/websocket.h"
#include "platform/http/syntax.h"
#include "platform/security/scope.h"

namespace starling::gateway {
namespace {

constexpr int kMaxWeight = 1'000'000;

StatusOr<Access> ParseAccess(const std::string& text) {
  if (text == "anyone") return Access{Access::kAnyone, ""};
  if (text == "caller") return Access{Access::kCaller, ""};
  if (text == "user") return Access{Access::kUser, ""};
  if (!security::CheckScopeName(text).ok() || text.ends_with("*")) {
    return InvalidArgument(
        "access '{}' is none; write anyone, caller, user, or a scope such as search.read", text);
  }
  return Access{Access::kScope, text};
}

StatusOr<Rewrite> ParseRewrite(const std::string& text, const http::PathTemplate& path) {
  Rewrite rewrite;
  if (text.empty()) return rewrite;
  if (!path.custom_verb.empty()) rewrite.custom_verb = ":" + path.custom_verb;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t open = rest.find('{');
    Rewrite::Piece piece;
    AppendPath(rest.substr(0, open), piece.text);
    if (open != std::string_view::npos) {
      const size_t close = rest.find('}', open);
      if (close == std::string_view::npos)
        return InvalidArgument("rewrite '{}' has a '{{' without '}}'", text);
      const std::string_view name = rest.substr(open + 1, close - open - 1);
      for (const auto& variable : path.variables) {
        if (variable.name == name) piece.variable = variable;
      }
      if (!piece.variable) {
        return InvalidArgument("rewrite '{}' names '{}', which is no variable of the path", text,
                               name);
      }
      rest.remove_prefix(close + 1);
    } else {
      rest = {};
    }
    rewrite.pieces.push_back(std::move(piece));
  }
  if (text[0] != '/') return InvalidArgument("rewrite '{}' does not begin with '/'", text);
  return rewrite;
}

StatusOr<std::vector<http::Verb>> VerbsOf(const RouteConfig& config) {
  using http::Verb;
  if (config.methods.empty())
    return std::vector<Verb>{Verb::kGet,   Verb::kHead,   Verb::kPost,   Verb::kPut,
                             Verb::kPatch, Verb::kDelete, Verb::kOptions};
  std::vector<Verb> verbs;
  for (const std::string& method : config.methods) {
    verbs.push_back(http::ParseVerb(method));
    if (verbs.back() == Verb::kOther) {
      return InvalidArgument(
          "method '{}' is none; write GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS", method);
    }
  }
  return verbs;
}

}  // namespace

StatusOr<ParsedRoute> ParseRoute(const RouteConfig& config,
                                 const std::vector<std::string>& upstreams) {
  ParsedRoute parsed;
  STARLING_ASSIGN_OR_RETURN(parsed.access, ParseAccess(config.access));
  STARLING_ASSIGN_OR_RETURN(const http::PathTemplate path, http::ParsePathTemplate(config.path));
  STARLING_ASSIGN_OR_RETURN(parsed.rewrite, ParseRewrite(config.rewrite, path));
  STARLING_ASSIGN_OR_RETURN(parsed.verbs, VerbsOf(config));
  int64_t total = 0;
  for (const auto& [name, weight] : config.to) {
    if (std::find(upstreams.begin(), upstreams.end(), name) == upstreams.end()) {
      return InvalidArgument("upstream '{}' is not among gateway.upstreams{}", name,
                             DidYouMean(name, upstreams));
    }
    if (weight < 0 || weight > kMaxWeight)
      return InvalidArgument("the weight of '{}' is {}; write 0 to {}", name, weight, kMaxWeight);
    total += weight;
  }
  if (total == 0) return InvalidArgument("all weights of `to` are 0");
  if (config.websocket && std::find(parsed.verbs.begin(), parsed.verbs.end(), http::Verb::kGet) ==
                              parsed.verbs.end())
    return InvalidArgument("websocket: a WebSocket begins with GET; add it to `methods`");
  if (!config.origins.empty() && !config.websocket)
    return InvalidArgument("origins: they are for routes with `websocket: true`");
  for (const std::string& origin : config.origins) {
    if (!IsOrigin(origin))
      return InvalidArgument("origin '{}' is none; write https://shop.example", origin);
  }
  for (const auto& [name, value] : config.set_headers) {
    if (name.empty() || !http::All(name, http::kToken) || !http::All(value, http::kValue))
      return InvalidArgument("set_headers: '{}: {}' is no header field", name, value);
    if (IsGatewaysField(name))
      return InvalidArgument("set_headers: {} is the gateway's to write; take it out", name);
  }
  return parsed;
}

Status CheckRoutes(const std::map<std::string, UpstreamConfig>& upstreams,
                   const std::vector<RouteConfig>& routes) {
  std::vector<std::string> names;
  for (const auto& [name, config] : upstreams) {
    names.push_back(name);
    for (const std::string& address : config.endpoints) {
      const Status good = discovery::CheckAddress(address);
      if (!good.ok()) return Annotate(good, fmt::format("upstreams.{}.endpoints", name));
    }
  }
  for (size_t i = 0; i < routes.size(); ++i) {
    const StatusOr<ParsedRoute> parsed = ParseRoute(routes[i], names);
    if (!parsed.ok()) return Annotate(parsed.status(), fmt::format("routes[{}]", i));
  }
  return OkStatus();
}

}  // namespace starling::gateway

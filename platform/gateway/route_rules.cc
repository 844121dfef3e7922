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

// The part of a normal path that a variable stands for.
std::string_view SegmentsOf(std::string_view path, const http::PathTemplate::Variable& variable,
                            std::string_view custom_verb) {
  if (!custom_verb.empty()) path.remove_suffix(std::min(path.size(), custom_verb.size()));
  path.remove_prefix(std::min<size_t>(1, path.size()));
  for (size_t i = 0; i < variable.first; ++i) {
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos) return {};  // '**' that stands for nothing
    path.remove_prefix(slash + 1);
  }
  if (variable.rest) return path;
  size_t end = 0;
  for (size_t i = 0; i < variable.count; ++i) {
    end = path.find('/', i == 0 ? 0 : end + 1);
    if (end == std::string_view::npos) return path;
  }
  return path.substr(0, end);
}

// What can stand between < and > of a Link field.
bool MayBeLink(std::string_view url) {
  return (url.starts_with("https://") || url.starts_with("http://") || url.starts_with('/')) &&
         url.find_first_of("<>\" ") == std::string_view::npos && http::All(url, http::kValue);
}

}  // namespace

bool IsOfIdempotencyKeys(http::Verb verb) {
  return verb == http::Verb::kPost || verb == http::Verb::kPatch;
}

Status CheckAccess(const Access& access, const security::Identity& caller) {
  switch (access.kind) {
    case Access::kAnyone:
      return OkStatus();
    case Access::kCaller:
      if (caller.kind != security::Identity::kAnonymous) return OkStatus();
      break;
    case Access::kUser:
      if (!caller.user().empty()) return OkStatus();
      break;
    case Access::kScope:
      if (caller.scopes.Holds(access.scope)) return OkStatus();
      break;
  }
  if (caller.kind == security::Identity::kAnonymous)
    return Unauthenticated("this needs credentials; send `Authorization: Bearer TOKEN`");
  if (access.kind == Access::kScope) {
    return PermissionDenied("this needs the scope {}, which {} does not hold", access.scope,
                            security::IdentityName(caller));
  }
  return PermissionDenied("this is for users who have signed in, not for {}",
                          security::IdentityName(caller));
}

void AppendTarget(const Rewrite& rewrite, const http::Request& request, std::string& target) {
  if (rewrite.pieces.empty()) {
    AppendPath(request.path, target);
  } else {
    for (const Rewrite::Piece& piece : rewrite.pieces) {
      target.append(piece.text);
      if (piece.variable)
        AppendPath(SegmentsOf(request.path, *piece.variable, rewrite.custom_verb), target);
    }
  }
  if (!request.query.empty()) target.append("?").append(request.query);
}

StatusOr<ParsedRoute> ParseRoute(const RouteConfig& config,
                                 const std::vector<std::string>& upstreams) {
  ParsedRoute parsed;
  STARLING_ASSIGN_OR_RETURN(parsed.access, ParseAccess(config.access));
  STARLING_ASSIGN_OR_RETURN(const http::PathTemplate path, http::ParsePathTemplate(config.path));
  STARLING_ASSIGN_OR_RETURN(parsed.rewrite, ParseRewrite(config.rewrite, path));
  STARLING_ASSIGN_OR_RETURN(parsed.verbs, VerbsOf(config));
  if (config.idempotency != RouteIdempotency::kNone &&
      std::none_of(parsed.verbs.begin(), parsed.verbs.end(), IsOfIdempotencyKeys)) {
    return InvalidArgument("idempotency is of POST and PATCH, and the methods have neither");
  }
  if (const std::string& url = config.documentation; !url.empty() && !MayBeLink(url)) {
    return InvalidArgument("documentation '{}' is no URL; write https://docs.example/payments",
                           url);
  }
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
  if (config.websocket &&
      std::find(parsed.verbs.begin(), parsed.verbs.end(), http::Verb::kGet) == parsed.verbs.end())
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
  if (const std::string& mirror = config.mirror.upstream;
      !mirror.empty() && std::find(upstreams.begin(), upstreams.end(), mirror) == upstreams.end()) {
    return InvalidArgument("mirror: upstream '{}' is not among gateway.upstreams{}", mirror,
                           DidYouMean(mirror, upstreams));
  }
  return parsed;
}

Status CheckRoutes(const std::map<std::string, UpstreamConfig>& upstreams,
                   const std::vector<RouteConfig>& routes) {
  std::vector<std::string> names;
  for (const auto& [name, config] : upstreams) {
    names.push_back(name);
    size_t secure = 0;
    for (std::string_view address : config.endpoints) {
      if (address.starts_with(kHttps)) {
        address.remove_prefix(kHttps.size());
        ++secure;
      }
      const Status good = discovery::CheckAddress(address);
      if (!good.ok()) return Annotate(good, fmt::format("upstreams.{}.endpoints", name));
    }
    if (secure != 0 && secure != config.endpoints.size())
      return InvalidArgument("upstreams.{}.endpoints: write https:// before all or none", name);
    if (secure == 0 && config.tls != UpstreamTlsConfig())
      return InvalidArgument("upstreams.{}.tls: it is for endpoints with https://", name);
  }
  for (size_t i = 0; i < routes.size(); ++i) {
    const StatusOr<ParsedRoute> parsed = ParseRoute(routes[i], names);
    if (!parsed.ok()) return Annotate(parsed.status(), fmt::format("routes[{}]", i));
    const std::string& protocol = upstreams.at(routes[i].to.begin()->first).protocol;
    if (routes[i].websocket && protocol == "h2") {
      return InvalidArgument(
          "routes[{}]: websocket needs an upstream that speaks http1, and '{}' speaks h2", i,
          routes[i].to.begin()->first);
    }
    for (const auto& [name, weight] : routes[i].to) {
      if (upstreams.at(name).protocol == protocol) continue;
      return InvalidArgument(
          "routes[{}]: '{}' speaks {} and '{}' {}; one route's upstreams must "
          "speak the same",
          i, routes[i].to.begin()->first, protocol, name, upstreams.at(name).protocol);
    }
  }
  return OkStatus();
}

}  // namespace starling::gateway

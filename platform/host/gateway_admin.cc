#include "platform/host/gateway_admin.h"

#include "platform/http/problem.h"
#include "platform/telemetry/log.h"

namespace starling::host {
namespace {

using http::Exchange;
using http::Verb;
using security::Identity;

constexpr char kScope[] = "gateway.admin";
constexpr size_t kNearest = 50;
constexpr auto kLongestGrace = std::chrono::minutes(10);

// The JSON to answer with.
using Answer = StatusOr<std::string>;
using Action = std::function<Task<Answer>(const GatewayParts&, Exchange&, const std::string& who)>;

struct Route {
  GatewayParts parts;
  Action act;
};

Task<StatusOr<std::string>> WhoAsks(const GatewayParts& parts, const http::Request& request) {
  const std::string_view header = request.headers.Find("authorization").value_or("");
  if (header.size() < 8 || !http::EqualsIgnoreCase(header.substr(0, 7), "bearer ")) {
    co_return Unauthenticated(
        "this needs an API key with the scope {}; send `Authorization: Bearer KEY`", kScope);
  }
  const auto caller = co_await parts.authenticator->Authenticate(header.substr(7));
  if (!caller.ok()) co_return caller.status();
  const Identity& identity = **caller;
  std::string name = security::IdentityName(identity);
  if (identity.kind != Identity::kKey || !identity.on_behalf_of.empty()) {
    co_return PermissionDenied("this is for API keys of the operator, not for {}", name);
  }
  if (!identity.scopes.Holds(kScope))
    co_return PermissionDenied("this needs the scope {}, which {} does not hold", kScope, name);
  co_return name;
}

Task<void> Serve(std::shared_ptr<const Route> route, Exchange& exchange) {
  const StatusOr<std::string> who = co_await WhoAsks(route->parts, exchange.request);
  Status status = who.status();
  if (status.ok()) {
    const Answer answer = co_await route->act(route->parts, exchange, *who);
    if (answer.ok()) exchange.response.SetBody("application/json", *answer);
    status = answer.status();
  } else {
    log::Warning("gateway", "an admin request is refused")
        .With("method", exchange.request.verb_text)
        .With("path", exchange.request.path)
        .With("address", exchange.request.remote_address)
        .With(status);
  }
  if (!status.ok()) exchange.response = http::ProblemResponse(status, exchange.request.path);
  exchange.response.headers.Set("cache-control", "no-store");
}

template <typename Show>
Action Shows(Show show) {
  return [show](const GatewayParts& parts, Exchange&, const std::string&) -> Task<Answer> {
    return [](std::string text) -> Task<Answer> { co_return text; }(show(parts));
  };
}

// The parameters of the query, each at most once and one of those that there are.
StatusOr<std::map<std::string, std::string>> Parameters(const http::Request& request,
                                                        std::initializer_list<const char*> known) {
  std::map<std::string, std::string> parameters;
  STARLING_ASSIGN_OR_RETURN(const http::QueryParameters query, http::ParseQuery(request.query));
  for (const auto& [name, value] : query) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return InvalidField(name, "is no parameter of this");
    }
    if (!parameters.emplace(name, value).second) return InvalidField(name, "is there twice");
  }
  return parameters;
}

Task<Answer> SetDrained(const GatewayParts& parts, Exchange& exchange, const std::string& who,
                        bool drained) {
  const std::string name(exchange.parameters.Find("name").value_or(""));
  const std::string address(exchange.parameters.Find("address").value_or(""));
  const std::shared_ptr<gateway::Upstream> upstream = parts.upstreams->Find(name);
  if (upstream == nullptr) co_return NotFound("there is no upstream '{}'", name);
  CO_RETURN_IF_ERROR(upstream->SetDrained(address, drained));
  log::Info("gateway", "an endpoint is {}", drained ? "drained" : "back")
      .With("upstream", name)
      .With("endpoint", address)
      .With("by", who);
  co_return UpstreamsJson(*parts.upstreams);
}

// "shop.example/v1?x" of a URL: as the cache's keys have it.
StatusOr<std::string> UrlOf(std::string_view text, std::string_view parameter) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (text.starts_with(scheme)) text.remove_prefix(scheme.size());
  }
  const size_t slash = text.find('/');
  if (slash == 0 || text.empty() || text.find_first_of(" \t") != std::string_view::npos) {
    return InvalidField(parameter, "'{}' is no URL; write it as http://shop.example/v1/products",
                        text);
  }
  std::string url(text.substr(0, slash));
  for (char& c : url) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  url += slash == std::string_view::npos ? "/" : text.substr(slash);
  return url;
}

Task<Answer> Purge(const GatewayParts& parts, Exchange& exchange, const std::string& who) {
  using By = gateway::HttpCache::PurgeBy;
  CO_ASSIGN_OR_RETURN(const auto asked,
                      Parameters(exchange.request, {"url", "prefix", "tag", "all"}));
  if (asked.size() != 1) {
    co_return InvalidArgument("say what: one of url=URL, prefix=URL, tag=TAG and all=true");
  }
  const auto& [what, value] = *asked.begin();
  std::string text = value;
  By by = By::kTag;
  if (what == "url" || what == "prefix") {
    by = what == "url" ? By::kUrl : By::kUrlPrefix;
    CO_ASSIGN_OR_RETURN(text, UrlOf(value, what));
  } else if (what == "all") {
    if (value != "true") co_return InvalidField("all", "'{}' is not 'true'", value);
    by = By::kUrlPrefix;
    text.clear();
  } else if (value.empty() || value.find_first_of(" \t,") != std::string::npos) {
    co_return InvalidField("tag", "'{}' is no tag", value);
  }
  gateway::HttpCache* const cache = parts.cache;
  const auto purge = [&]() -> StatusOr<size_t> { return cache->PurgeMatching(by, text); };
  const StatusOr<size_t> purged = co_await parts.runtime->blocking().Run(purge);
  if (!purged.ok()) co_return purged.status();
  log::Info("gateway", "the cache is purged")
      .With("what", what)
      .With("of", value)
      .With("answers", *purged)
      .With("by", who);
  co_return fmt::format(R"({{"purged":{}}})", *purged);
}

Task<Answer> DrainAll(const GatewayParts& parts, Exchange& exchange, const std::string& who) {
  CO_ASSIGN_OR_RETURN(const auto asked, Parameters(exchange.request, {"grace"}));
  Duration grace{0};
  if (const auto said = asked.find("grace"); said != asked.end()) {
    const auto parsed = ParseDuration(said->second);
    if (!parsed || *parsed < Duration(0) || *parsed > kLongestGrace) {
      co_return InvalidField("grace", "'{}' is no duration of 0 to 10m; write it as 5s",
                             said->second);
    }
    grace = *parsed;
  }
  log::Info("gateway", "the gateway is drained")
      .With("grace", FormatDuration(grace))
      .With("by", who);
  parts.drain(grace);
  co_return fmt::format(R"({{"draining":true,"grace":"{}"}})", FormatDuration(grace));
}

}  // namespace

Status AddGatewayAdminRoutes(http::Router& router, GatewayParts parts) {
  const auto add = [&](Verb verb, std::string_view path, Action act) {
    const auto route = std::make_shared<const Route>(Route{parts, std::move(act)});
    return router.Add(verb, path, [route](Exchange& exchange) { return Serve(route, exchange); });
  };
  STARLING_RETURN_IF_ERROR(add(Verb::kGet, "/gateway/routes", Shows([](const GatewayParts& from) {
                                 return RoutesJson(*from.routes);
                               })));
  STARLING_RETURN_IF_ERROR(
      add(Verb::kGet, "/gateway/upstreams",
          Shows([](const GatewayParts& from) { return UpstreamsJson(*from.upstreams); })));
  STARLING_RETURN_IF_ERROR(
      add(Verb::kGet, "/gateway/certificates", Shows([](const GatewayParts& from) {
            return CertificatesJson(from.certificates(), from.clock->Now());
          })));
  STARLING_RETURN_IF_ERROR(add(Verb::kGet, "/gateway/limits", Shows([](const GatewayParts& from) {
                                 return LimitsJson(*from.limits, *from.routes, kNearest);
                               })));
  STARLING_RETURN_IF_ERROR(add(Verb::kGet, "/gateway/cache", Shows([](const GatewayParts& from) {
                                 return CacheJson(from.cache->Stats());
                               })));
  constexpr std::string_view kEndpoint = "/gateway/upstreams/{name}/endpoints/{address}:";
  for (const bool drained : {true, false}) {
    STARLING_RETURN_IF_ERROR(
        add(Verb::kPost, fmt::format("{}{}", kEndpoint, drained ? "drain" : "undrain"),
            [drained](const GatewayParts& from, Exchange& exchange, const std::string& who) {
              return SetDrained(from, exchange, who, drained);
            }));
  }
  STARLING_RETURN_IF_ERROR(add(Verb::kPost, "/gateway/cache:purge", Purge));
  return add(Verb::kPost, "/gateway:drain", DrainAll);
}

}  // namespace starling::host

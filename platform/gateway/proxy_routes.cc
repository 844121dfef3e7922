#include "platform/gateway/proxy_routes.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <unordered_map>

#include "platform/base/hash.h"
#include "platform/gateway/proxy_route.h"
#include "platform/http/problem.h"

namespace starling::gateway {
namespace {

// Names of spans live as long as the process. There are as many as an operator wrote paths.
std::string_view Interned(std::string name) {
  static std::mutex mutex;
  static auto& names = *new std::set<std::string>();
  const std::lock_guard lock(mutex);
  return *names.insert(std::move(name)).first;
}

// Routes that differ by header fields alone.
using Alternatives = std::vector<std::shared_ptr<const ProxyRoute>>;

// The cache looks at the bodies of what it may answer, and a request that acts once is known by its
// body.
bool MayStream(const Alternatives& alternatives, http::Verb verb) {
  const bool cached = verb == http::Verb::kGet || verb == http::Verb::kHead;
  const bool keyed = IsOfIdempotencyKeys(verb);
  return std::none_of(alternatives.begin(), alternatives.end(), [&](const auto& route) {
    return route->config.buffer_requests || (cached && route->cache != nullptr) ||
           (keyed && route->config.idempotency != RouteIdempotency::kNone);
  });
}

Task<void> AnswerByHeaders(const Alternatives& alternatives, http::Exchange& exchange) {
  for (const auto& route : alternatives) {
    if (!route->Takes(exchange.request)) continue;
    co_await AnswerByRoute(route, exchange);
    co_return;
  }
  exchange.response = http::ProblemResponse(
      NotFound("there is nothing at '{}' for these header fields", exchange.request.path),
      exchange.request.path);
}

// Answers of routes that differ in whom they ask, or in what these are told, are never each
// other's: those of one path that differ by header fields, and one whose configuration was changed.
std::string CachePrefix(const RouteConfig& config) {
  std::string text = config.rewrite;
  const auto append = [&text](std::string_view name, std::string_view value) {
    text.append("\n").append(name).append("=").append(value);
  };
  for (const auto& [name, value] : config.headers) append(name, value);
  for (const auto& [name, weight] : config.to) append(name, std::to_string(weight));
  for (const auto& [name, value] : config.set_headers) append(name, value);
  append("compress", config.compress == RouteConfig::Compress::kAuto ? "auto" : "off");
  return fmt::format("{}#{:016x}", config.path, Hash64(text));
}

// Which of all routes it is, whatever becomes of it: the same after a restart, in every gateway.
std::string KeyOf(const RouteConfig& config) {
  std::string text;
  for (const std::string& host : config.hosts) text.append("\nhost ").append(host);
  for (const std::string& method : config.methods) text.append("\nmethod ").append(method);
  for (const auto& [name, value] : config.headers)
    text.append("\nfield ").append(name).append(": ").append(value);
  if (text.empty()) return config.path;
  return fmt::format("{}#{:016x}", config.path, Hash64(text));
}

rpc::RouteLimits::Options LimitsOf(const RouteConfig& config) {
  return {.key = "route " + KeyOf(config),
          .name = config.path,
          .requests = config.rate_limit.Limit(),
          .per = config.rate_limit.per,
          .max_concurrent = config.max_concurrent};
}

// What routes are made with.
struct Making {
  const Upstreams& upstreams;
  const std::shared_ptr<HttpCache>& cache;
  const rpc::EdgeOptions& edge;
  const AnswerFilter* answers;
  RouteTable& table;
  std::vector<std::string> names;  // of the upstreams

  bool KeepsIdentity(const RouteConfig& config) const {
    return config.cache && answers != nullptr && answers->compresses() &&
           config.compress == RouteConfig::Compress::kAuto;
  }
};

// Whether a route that serves would be made the same again. Of its configuration every field
// counts, also one that is added; of what it was made with, each thing that it keeps.
bool IsStill(const ProxyRoute& route, const RouteConfig& config, const Making& making) {
  if (route.config != config || route.edge != making.edge ||
      route.cache != (config.cache ? making.cache : nullptr) ||
      route.keeps_identity != making.KeepsIdentity(config)) {
    return false;
  }
  auto to = route.to.begin();
  for (const auto& [name, weight] : config.to) {
    if (weight != 0 && (to++)->first != making.upstreams.Find(name)) return false;
  }
  return route.mirror == nullptr ||
         &route.mirror->upstream() == making.upstreams.Find(config.mirror.upstream).get();
}

StatusOr<std::shared_ptr<const ProxyRoute>> MakeRoute(const RouteConfig& config,
                                                      const Making& making) {
  const rpc::EdgeOptions& edge = making.edge;
  auto route = std::make_shared<ProxyRoute>();
  route->config = config;
  route->edge = edge;
  route->key = KeyOf(config);
  if (rpc::RouteLimits::Options limits = LimitsOf(config);
      limits.requests || limits.max_concurrent > 0) {
    route->limits = making.table.LimitsOf(std::move(limits), edge.limits);
  }
  if (config.cache) {
    route->cache = making.cache;
    route->cache_prefix = CachePrefix(config);
    route->keeps_identity = making.KeepsIdentity(config);
  }
  route->policy = {.timeout = config.timeout,
                   .try_timeout = config.try_timeout,
                   .quiet_timeout = config.quiet_timeout,
                   .retries = config.retries,
                   .pass_authorization = config.pass_authorization};
  if (config.websocket) {
    route->tunnels = TunnelCount::Of(config.path);
    edge.telemetry->metrics().AddCallback(
        "starling_gateway_tunnels", "WebSockets that are open", {{"route", config.path}},
        [count = route->tunnels] { return static_cast<double>(count->open()); });
  }
  STARLING_ASSIGN_OR_RETURN(ParsedRoute parsed, ParseRoute(config, making.names));
  route->access = std::move(parsed.access);
  route->rewrite = std::move(parsed.rewrite);
  route->verbs = std::move(parsed.verbs);
  for (const auto& [name, weight] : config.to) {
    if (weight == 0) continue;
    route->to.emplace_back(making.upstreams.Find(name), weight);
    route->total_weight += weight;
    route->h2 |= route->to.back().first->protocol() == Protocol::kH2;
  }
  route->name = Interned(config.path);
  route->gate.priority = config.priority;
  route->gate.shed = &edge.telemetry->metrics().AddCounter(
      "starling_gateway_shed_total", "Requests refused since too many were in flight",
      {{"service", "proxy"}, {"method", config.path}});
  route->metrics = &edge.telemetry->metrics().AddMethod("proxy", config.path);
  if (const MirrorConfig& mirror = config.mirror; !mirror.upstream.empty()) {
    route->mirror = std::make_shared<Mirror>(
        making.upstreams.Find(mirror.upstream),
        Mirror::Options{.sample = mirror.sample, .max_in_flight = mirror.max_in_flight},
        route->policy, config.path, edge.telemetry->metrics());
  }
  return route;
}

}  // namespace

Status AddProxyRoutes(const std::vector<RouteConfig>& routes, const Upstreams& upstreams,
                      const std::shared_ptr<HttpCache>& cache, const rpc::EdgeOptions& edge,
                      http::Router& router, RouteTable* table,
                      const std::shared_ptr<const AnswerFilter>& answers) {
  RouteTable nowhere;
  if (table == nullptr) table = &nowhere;
  const Making making{upstreams, cache, edge, answers.get(), *table, upstreams.Names()};
  const std::shared_ptr<const RouteTable::Routes> serving = table->List();
  std::unordered_map<std::string_view, const std::shared_ptr<const ProxyRoute>*> by_key;
  for (const auto& route : *serving) by_key.emplace(route->key, &route);
  RouteTable::Routes all;
  all.reserve(routes.size());
  // By host and path, by verb: in the order of the list.
  struct Place {
    size_t first;  // route, for errors
    std::map<http::Verb, Alternatives> by_verb;
  };
  std::map<std::string, std::map<std::string, Place>> places;
  for (size_t i = 0; i < routes.size(); ++i) {
    const std::string where = fmt::format("gateway.routes[{}]", i);
    const auto known = by_key.find(KeyOf(routes[i]));
    if (known != by_key.end() && IsStill(**known->second, routes[i], making)) {
      all.push_back(*known->second);
    } else {
      StatusOr<std::shared_ptr<const ProxyRoute>> made = MakeRoute(routes[i], making);
      if (!made.ok()) return Annotate(made.status(), where);
      all.push_back(*std::move(made));
    }
    const std::shared_ptr<const ProxyRoute>& route = all.back();
    std::vector<std::string> hosts = routes[i].hosts;
    if (hosts.empty()) hosts.emplace_back();
    for (const std::string& host : hosts) {
      Place& place = places[host].try_emplace(routes[i].path, Place{i, {}}).first->second;
      for (const http::Verb verb : route->verbs) {
        Alternatives& there = place.by_verb[verb];
        if (!there.empty() && there.back()->config.headers.empty()) {
          return Annotate(AlreadyExists("an earlier route takes all that it would: {} {}{}",
                                        http::VerbText(verb), host, routes[i].path),
                          where);
        }
        there.push_back(route);
      }
    }
  }
  for (auto& [host, paths] : places) {
    http::Router own;
    http::Router& target = host.empty() ? router : own;
    for (auto& [path, place] : paths) {
      for (auto& [verb, alternatives] : place.by_verb) {
        http::RouteOptions options;
        uint64_t most = 0;
        for (const auto& route : alternatives) {
          most = std::max<uint64_t>(most, route->config.max_body.count());
          options.streams_grpc |= route->h2;
        }
        if (most > 0) options.max_body_bytes = most;
        if (MayStream(alternatives, verb)) options.streams_bodies_above = kGathered;
        if (answers != nullptr) {
          // CheckRoutes saw that they say the same of answers.
          auto filter = answers->ForRoute(alternatives[0]->config);
          if (!filter.ok())
            return Annotate(filter.status(), fmt::format("gateway.routes[{}]", place.first));
          options.filter = *std::move(filter);
        }
        http::Handler handler;
        if (alternatives.size() == 1 && alternatives[0]->config.headers.empty()) {
          handler = [route = alternatives[0]](http::Exchange& exchange) {
            return AnswerByRoute(route, exchange);
          };
        } else {
          const auto shared = std::make_shared<const Alternatives>(std::move(alternatives));
          handler = [shared](http::Exchange& exchange) {
            return AnswerByHeaders(*shared, exchange);
          };
        }
        const Status added = target.Add(verb, path, std::move(handler), options);
        if (!added.ok()) return Annotate(added, fmt::format("gateway.routes[{}]", place.first));
      }
    }
    if (host.empty()) continue;
    const Status added = router.AddHost(host, std::move(own));
    if (!added.ok())
      return Annotate(added, fmt::format("gateway.routes[{}]", paths.begin()->second.first));
  }
  table->Set(std::move(all));
  return OkStatus();
}

}  // namespace starling::gateway

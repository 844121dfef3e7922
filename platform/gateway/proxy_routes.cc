#include "platform/gateway/proxy_routes.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "platform/base/hash.h"
#include "platform/base/id.h"
#include "platform/gateway/request_head.h"
#include "platform/gateway/route_rules.h"
#include "platform/gateway/websocket.h"
#include "platform/http/path_template.h"
#include "platform/http/problem.h"

namespace starling::gateway {
namespace {

using HeaderPair = std::pair<std::string_view, std::string_view>;

struct ProxyRoute {
  RouteConfig config;
  ForwardPolicy policy;
  Access access;
  Rewrite rewrite;
  std::vector<http::Verb> verbs;
  std::vector<std::pair<std::shared_ptr<Upstream>, int>> to;  // weights above 0
  int total_weight = 0;
  std::string_view name;  // of its spans and metrics
  rpc::EdgeOptions edge;
  mutable rpc::EdgeGate gate;
  telemetry::MethodMetrics* metrics = nullptr;
  std::shared_ptr<HttpCache> cache;  // nullptr: nothing is kept
  std::string cache_prefix;
  std::shared_ptr<TunnelCount> tunnels;  // nullptr: no WebSocket

  Upstream& Choose() const {
    if (to.size() == 1) return *to[0].first;
    auto drawn = static_cast<int>(FastRandom() % static_cast<uint64_t>(total_weight));
    for (const auto& [upstream, weight] : to) {
      drawn -= weight;
      if (drawn < 0) return *upstream;
    }
    return *to.back().first;
  }
  bool Takes(const http::Request& request) const {
    for (const auto& [name, value] : config.headers) {
      if (request.headers.Find(name) != value) return false;
    }
    return true;
  }
};

// Names of spans live as long as the process. There are as many as an operator wrote paths.
std::string_view Interned(std::string name) {
  static std::mutex mutex;
  static auto& names = *new std::set<std::string>();
  const std::lock_guard lock(mutex);
  return *names.insert(std::move(name)).first;
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

void AppendTarget(const ProxyRoute& route, const http::Exchange& exchange, std::string& target) {
  const http::Request& request = exchange.request;
  if (route.rewrite.pieces.empty()) {
    AppendPath(request.path, target);
  } else {
    for (const Rewrite::Piece& piece : route.rewrite.pieces) {
      target.append(piece.text);
      if (piece.variable)
        AppendPath(SegmentsOf(request.path, *piece.variable, route.rewrite.custom_verb), target);
    }
  }
  if (!request.query.empty()) target.append("?").append(request.query);
}

// What the upstream is told of a request beside what the client said. Owns its texts, since a
// refresh in the background outlives the request.
struct Told {
  std::string target;
  std::string caller;
  std::string user;
  std::string traceparent;
  bool trusted_peer = false;
};

Told ToldOf(const ProxyRoute& route, const http::Exchange& exchange, const rpc::EdgeEntry& entry) {
  const security::Identity& caller = *entry.caller();
  Told told{.user = caller.user(), .traceparent = entry.trace().ToTraceparent()};
  AppendTarget(route, exchange, told.target);
  if (caller.kind != security::Identity::kAnonymous) told.caller = security::IdentityName(caller);
  told.trusted_peer = route.edge.limits != nullptr &&
                      route.edge.limits->IsTrustedProxy(exchange.request.remote_address);
  return told;
}

Task<Status> Forward(const ProxyRoute& route, const http::Request& request,
                     http::Exchange& exchange, const Told& told,
                     absl::FunctionRef<Forwarding::Gather(http::Response&)> on_head,
                     absl::FunctionRef<void()> on_stream, std::string_view upgrade = {}) {
  absl::InlinedVector<HeaderPair, 4> headers{{"X-Starling-Caller", told.caller},
                                             {"X-Starling-User", told.user},
                                             {"traceparent", told.traceparent}};
  for (const auto& [field, value] : route.config.set_headers) headers.emplace_back(field, value);
  const Forwarding how{.policy = route.policy,
                       .target = told.target,
                       .headers = headers,
                       .on_head = on_head,
                       .on_stream = on_stream,
                       .trusted_peer = told.trusted_peer,
                       .upgrade = upgrade};
  co_return co_await route.Choose().Forward(request, exchange, how);
}

// For the cache: a whole answer where it may be kept, else one that went to the exchange.
Task<Fetched> FetchFor(std::shared_ptr<const ProxyRoute> route, Told told, http::Request& request,
                       http::Exchange& exchange) {
  const auto on_head = [&](http::Response& response) -> Forwarding::Gather {
    if (!route->cache->WantsWhole(request, response.status, response.headers)) {
      response.headers.Set("traceparent", told.traceparent);
      return {};
    }
    return {.most = route->cache->max_object_bytes(), .whole = true};
  };
  const auto on_stream = [] {};
  const Status status = co_await Forward(*route, request, exchange, told, on_head, on_stream);
  Fetched fetched{.streamed = exchange.streaming()};
  if (fetched.streamed) co_return fetched;
  if (status.ok()) {
    fetched.response = std::move(exchange.response);
  } else {
    fetched.response = http::ProblemResponse(status, request.path);
  }
  exchange.response.Clear();
  co_return fetched;
}

Task<void> ServeCached(std::shared_ptr<const ProxyRoute> route, http::Exchange& exchange,
                       rpc::EdgeEntry& entry) {
  // One key for all ways to write a path.
  std::string normal;
  AppendPath(exchange.request.path, normal);
  if (!exchange.request.query.empty()) normal.append("?").append(exchange.request.query);
  if (exchange.request.target != normal) exchange.request.target = std::move(normal);
  if (route->cache->ServeFresh(exchange, route->cache_prefix)) co_return;
  Told told = ToldOf(*route, exchange, entry);
  Fetch fetch = [route, told = std::move(told)](http::Request& request, http::Exchange& to) {
    return FetchFor(route, told, request, to);
  };
  co_await route->cache->Serve(exchange, route->cache_prefix, std::move(fetch));
}

Task<Status> AnswerFromUpstream(const ProxyRoute& route, http::Exchange& exchange,
                                rpc::EdgeEntry& entry) {
  const Told told = ToldOf(route, exchange, entry);
  const auto on_head = [&entry](http::Response&) {
    entry.Decorate();
    return Forwarding::Gather();
  };
  const auto on_stream = [&entry] { entry.FreePlace(); };
  co_return co_await Forward(route, exchange.request, exchange, told, on_head, on_stream);
}

// `entry` gives its place back once the tunnel is open, and the tunnel has one of the route's.
Task<Status> AnswerWebSocket(const ProxyRoute& route, http::Exchange& exchange,
                             rpc::EdgeEntry& entry) {
  const http::Request& request = exchange.request;
  const Status good = CheckHandshake(request, exchange.body_streams() || !request.body.empty(),
                                     route.config.origins);
  if (absl::IsFailedPrecondition(good)) {
    exchange.response = http::ProblemResponse(426, good.message(), request.path);
    exchange.response.headers.Set("Sec-WebSocket-Version", "13");
    co_return OkStatus();
  }
  if (!good.ok()) co_return good;
  const TunnelCount::Place place = TunnelCount::Take(route.tunnels, route.config.max_tunnels);
  if (!place) {
    co_return Overloaded(fmt::format("{} WebSockets are open here, the route's limit",
                                     route.config.max_tunnels),
                         std::chrono::seconds(1));
  }
  const Told told = ToldOf(route, exchange, entry);
  const auto on_head = [&entry](http::Response&) {
    entry.Decorate();
    return Forwarding::Gather();
  };
  const auto on_stream = [&entry] { entry.FreePlace(); };
  co_return co_await Forward(route, request, exchange, told, on_head, on_stream, kWebSocket);
}

StatusCode CodeOf(const http::Response& response) {
  return response.status == 101 ? StatusCode::kOk : http::CodeOfHttpStatus(response.status);
}

Task<void> Answer(std::shared_ptr<const ProxyRoute> route, http::Exchange& exchange) {
  rpc::EdgeEntry entry(route->edge, exchange, route->name);
  Status status = entry.LetIn(route->gate, /*streaming=*/false);
  if (status.ok()) status = co_await entry.Identify();
  if (status.ok()) status = CheckAccess(route->access, *entry.caller());
  if (status.ok() && route->tunnels != nullptr && AsksForWebSocket(exchange.request)) {
    status = co_await AnswerWebSocket(*route, exchange, entry);
  } else if (status.ok() && route->cache != nullptr) {
    co_await ServeCached(route, exchange, entry);
    if (!exchange.streaming()) entry.Announce();
  } else if (status.ok()) {
    status = co_await AnswerFromUpstream(*route, exchange, entry);
  }
  route->metrics->Record(
      status.ok() ? CodeOf(exchange.response) : status.code(), entry.Took());
  entry.Leave(status);
}

// Routes that differ by header fields alone.
using Alternatives = std::vector<std::shared_ptr<const ProxyRoute>>;

// The cache looks at the bodies of what it may answer.
bool MayStream(const Alternatives& alternatives, http::Verb verb) {
  const bool cached = verb == http::Verb::kGet || verb == http::Verb::kHead;
  return std::none_of(alternatives.begin(), alternatives.end(), [&](const auto& route) {
    return route->config.buffer_requests || (cached && route->cache != nullptr);
  });
}

Task<void> AnswerByHeaders(const Alternatives& alternatives, http::Exchange& exchange) {
  for (const auto& route : alternatives) {
    if (!route->Takes(exchange.request)) continue;
    co_await Answer(route, exchange);
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
  return fmt::format("{}#{:016x}", config.path, Hash64(text));
}

StatusOr<std::shared_ptr<const ProxyRoute>> MakeRoute(const RouteConfig& config,
                                                      const Upstreams& upstreams,
                                                      const std::shared_ptr<HttpCache>& cache,
                                                      const rpc::EdgeOptions& edge) {
  auto route = std::make_shared<ProxyRoute>();
  route->config = config;
  route->edge = edge;
  if (config.cache) {
    route->cache = cache;
    route->cache_prefix = CachePrefix(config);
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
  STARLING_ASSIGN_OR_RETURN(ParsedRoute parsed, ParseRoute(config, upstreams.Names()));
  route->access = std::move(parsed.access);
  route->rewrite = std::move(parsed.rewrite);
  route->verbs = std::move(parsed.verbs);
  for (const auto& [name, weight] : config.to) {
    if (weight == 0) continue;
    route->to.emplace_back(upstreams.Find(name), weight);
    route->total_weight += weight;
  }
  route->name = Interned(config.path);
  route->gate.priority = resilience::Priority::kNormal;
  route->gate.shed = &edge.telemetry->metrics().AddCounter(
      "starling_gateway_shed_total", "Requests refused since too many were in flight",
      {{"service", "proxy"}, {"method", config.path}});
  route->metrics = &edge.telemetry->metrics().AddMethod("proxy", config.path);
  return route;
}

}  // namespace

Status Upstreams::Set(const std::map<std::string, UpstreamConfig>& configs) {
  std::map<std::string, One> all;
  for (const auto& [name, config] : configs) {
    if (const auto before = all_.find(name);
        before != all_.end() && before->second.config == config) {
      all[name] = before->second;
      continue;
    }
    UpstreamOptions options{.name = name,
                            .connect_timeout = config.connect_timeout,
                            .idle_timeout = config.idle_timeout};
    for (const std::string& address : config.endpoints) options.endpoints.push_back({address});
    if (!config.health.path.empty()) {
      options.health = HealthCheck{.path = config.health.path,
                                   .interval = config.health.interval,
                                   .timeout = config.health.timeout,
                                   .failures = config.health.failures,
                                   .successes = config.health.successes};
    }
    STARLING_ASSIGN_OR_RETURN(auto upstream,
                              Upstream::Make(std::move(options), runtime_, metrics_));
    all[name] = {config, std::move(upstream)};
  }
  all_ = std::move(all);
  return OkStatus();
}

std::shared_ptr<Upstream> Upstreams::Find(const std::string& name) const {
  const auto found = all_.find(name);
  return found == all_.end() ? nullptr : found->second.upstream;
}

std::vector<std::string> Upstreams::Names() const {
  std::vector<std::string> names;
  names.reserve(all_.size());
  for (const auto& [name, one] : all_) names.push_back(name);
  return names;
}

Status AddProxyRoutes(const std::vector<RouteConfig>& routes, const Upstreams& upstreams,
                      const std::shared_ptr<HttpCache>& cache, const rpc::EdgeOptions& edge,
                      http::Router& router) {
  // By host and path, by verb: in the order of the list.
  struct Place {
    size_t first;  // route, for errors
    std::map<http::Verb, Alternatives> by_verb;
  };
  std::map<std::string, std::map<std::string, Place>> places;
  for (size_t i = 0; i < routes.size(); ++i) {
    const std::string where = fmt::format("gateway.routes[{}]", i);
    StatusOr<std::shared_ptr<const ProxyRoute>> route =
        MakeRoute(routes[i], upstreams, cache, edge);
    if (!route.ok()) return Annotate(route.status(), where);
    std::vector<std::string> hosts = routes[i].hosts;
    if (hosts.empty()) hosts.emplace_back();
    for (const std::string& host : hosts) {
      Place& place = places[host].try_emplace(routes[i].path, Place{i, {}}).first->second;
      for (const http::Verb verb : (*route)->verbs) {
        Alternatives& there = place.by_verb[verb];
        if (!there.empty() && there.back()->config.headers.empty()) {
          return Annotate(AlreadyExists("an earlier route takes all that it would: {} {}{}",
                                        http::VerbText(verb), host, routes[i].path),
                          where);
        }
        there.push_back(*route);
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
        for (const auto& route : alternatives)
          most = std::max<uint64_t>(most, route->config.max_body.count());
        if (most > 0) options.max_body_bytes = most;
        if (MayStream(alternatives, verb)) options.streams_bodies_above = kGathered;
        http::Handler handler;
        if (alternatives.size() == 1 && alternatives[0]->config.headers.empty()) {
          handler = [route = alternatives[0]](http::Exchange& exchange) {
            return Answer(route, exchange);
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
  return OkStatus();
}

}  // namespace starling::gateway

#include "platform/gateway/proxy_routes.h"

#include <absl/container/inlined_vector.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "platform/base/hash.h"
#include "platform/base/id.h"
#include "platform/gateway/cache/rules/target.h"
#include "platform/gateway/grpc.h"
#include "platform/gateway/grpc_web.h"
#include "platform/gateway/idempotent_proxy.h"
#include "platform/gateway/mirror.h"
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
  bool h2 = false;  // its upstreams speak HTTP/2: calls of gRPC may come
  // What is kept is not compressed, so that one answer is for all: upstreams are not asked to.
  bool keeps_identity = false;
  std::shared_ptr<Mirror> mirror;            // nullptr: none
  std::string key;                           // the route, as all gateways say it
  std::shared_ptr<rpc::RouteLimits> limits;  // nullptr: none of its own
  std::shared_ptr<TunnelCount> tunnels;      // nullptr: no WebSocket

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
  AppendTarget(route.rewrite, exchange.request, told.target);
  if (caller.kind != security::Identity::kAnonymous) told.caller = security::IdentityName(caller);
  told.trusted_peer = route.edge.limits != nullptr &&
                      route.edge.limits->IsTrustedProxy(exchange.request.remote_address);
  return told;
}

Task<Status> Forward(const ProxyRoute& route, const http::Request& request,
                     http::Exchange& exchange, const Told& told,
                     absl::FunctionRef<Forwarding::Gather(http::Response&)> on_head,
                     absl::FunctionRef<void()> on_stream, GrpcKind grpc = GrpcKind::kNone,
                     std::string_view upgrade = {}) {
  absl::InlinedVector<HeaderPair, 4> headers{{"X-Starling-Caller", told.caller},
                                             {"X-Starling-User", told.user},
                                             {"traceparent", told.traceparent}};
  for (const auto& [field, value] : route.config.set_headers) headers.emplace_back(field, value);
  Forwarding how{.policy = route.policy,
                 .target = told.target,
                 .headers = headers,
                 .on_head = on_head,
                 .on_stream = on_stream,
                 .trusted_peer = told.trusted_peer,
                 .grpc = grpc != GrpcKind::kNone,
                 .upgrade = upgrade};
  // What the caller gives the call, as far as the route goes.
  std::string timeout;
  const auto asked = how.grpc ? request.headers.Find("grpc-timeout") : std::nullopt;
  if (asked) {
    const std::optional<Duration> given = ParseGrpcTimeout(*asked);
    if (!given) co_return InvalidArgument("grpc-timeout '{}' is none", *asked);
    const Duration limit = std::min(*given, route.policy.timeout);
    how.call_deadline = request.received + limit;
    timeout = GrpcTimeout(limit);
    headers.emplace_back("grpc-timeout", timeout);
    how.headers = headers;
  }
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
  if (route->keeps_identity) exchange.request.headers.Remove("accept-encoding");
  if (route->cache->ServeFresh(exchange, route->cache_prefix)) co_return;
  Told told = ToldOf(*route, exchange, entry);
  Fetch fetch = [route, told = std::move(told)](http::Request& request, http::Exchange& to) {
    return FetchFor(route, told, request, to);
  };
  co_await route->cache->Serve(exchange, route->cache_prefix, std::move(fetch));
}

struct Outcome {
  Status status;    // OK: it is answered
  StatusCode code;  // for metrics
};

void CopyToMirror(const ProxyRoute& route, const http::Exchange& exchange,
                  const rpc::EdgeEntry& entry, const Executor& executor) {
  Told told = ToldOf(route, exchange, entry);
  std::vector<std::pair<std::string, std::string>> headers{
      {"X-Starling-Caller", std::move(told.caller)},
      {"X-Starling-User", std::move(told.user)},
      {"traceparent", std::move(told.traceparent)}};
  headers.insert(headers.end(), route.config.set_headers.begin(), route.config.set_headers.end());
  route.mirror->Copy(executor, exchange.request,
                     {.target = std::move(told.target),
                      .headers = std::move(headers),
                      .trusted_peer = told.trusted_peer});
}

Task<Outcome> AnswerFromUpstream(const ProxyRoute& route, http::Exchange& exchange,
                                 rpc::EdgeEntry& entry, GrpcKind grpc) {
  const Told told = ToldOf(route, exchange, entry);
  const auto on_head = [&entry](http::Response&) {
    entry.Decorate();
    return Forwarding::Gather();
  };
  const auto on_stream = [&entry] { entry.FreePlace(); };
  if (grpc == GrpcKind::kWeb || grpc == GrpcKind::kWebText) {
    GrpcWebExchange call(exchange, grpc);
    Status status = call.TakeRequest();
    if (status.ok())
      status = co_await Forward(route, call.request, call, told, on_head, on_stream, grpc);
    if (status.ok() || exchange.streaming()) co_await call.Finish();
    const StatusCode code = status.ok() ? GrpcCodeOf(call.response) : status.code();
    co_return Outcome{std::move(status), code};
  }
  Status status =
      co_await Forward(route, exchange.request, exchange, told, on_head, on_stream, grpc);
  StatusCode code = status.code();
  if (status.ok()) {
    code = grpc == GrpcKind::kNone ? http::CodeOfHttpStatus(exchange.response.status)
                                   : GrpcCodeOf(exchange.response);
  }
  co_return Outcome{std::move(status), code};
}

// OPTIONS that is to go no further is answered here (RFC 9110, 7.6.2).
bool AnswerLastHop(const ProxyRoute& route, http::Exchange& exchange) {
  if (exchange.request.verb != http::Verb::kOptions ||
      exchange.request.headers.Find("max-forwards") != "0") {
    return false;
  }
  std::string allow;
  for (const http::Verb verb : route.verbs)
    allow.append(allow.empty() ? "" : ", ").append(http::VerbText(verb));
  exchange.response.status = 204;
  exchange.response.headers.Set("Allow", allow);
  return true;
}

// What a change makes old in the cache (RFC 9111, 4.4).
void Outdate(const ProxyRoute& route, const http::Request& request, int status) {
  if (route.cache == nullptr || status < 200 || status >= 400) return;
  std::string target;
  AppendPath(request.path, target);
  if (!request.query.empty()) target.append("?").append(request.query);
  route.cache->Purge(
      CacheKey(route.cache_prefix, request.headers.Find("host").value_or(""), target));
}

// Whose keys these are: of who has no credential, its address.
std::string OnceScope(const ProxyRoute& route, const http::Request& request,
                      const security::Identity& caller) {
  std::string who = security::IdentityName(caller);
  if (caller.kind == security::Identity::kAnonymous) {
    who = "address:" + ToHex(route.edge.limits == nullptr
                                 ? rpc::CustomerOf(request.remote_address)
                                 : route.edge.limits->CustomerOfRequest(request));
  }
  return fmt::format("{} proxy {}", who, route.key);
}

Task<Status> AnswerOnce(const ProxyRoute& route, http::Exchange& exchange, rpc::EdgeEntry& entry) {
  if (route.edge.idempotency == nullptr)
    co_return FailedPrecondition("this process keeps no idempotency keys");
  Once once(*route.edge.idempotency, OnceScope(route, exchange.request, *entry.caller()));
  CO_ASSIGN_OR_RETURN(
      const Once::Begun begun,
      co_await once.Begin(exchange, route.config.idempotency == RouteIdempotency::kRequired
                                        ? Once::kMustHave
                                        : Once::kMayHave));
  if (begun == Once::kReplayed) {
    entry.Announce();
    co_return OkStatus();
  }
  if (begun == Once::kNoKey) {
    Outcome outcome = co_await AnswerFromUpstream(route, exchange, entry, GrpcKind::kNone);
    Outdate(route, exchange.request, exchange.response.status);
    co_return std::move(outcome.status);
  }
  const Told told = ToldOf(route, exchange, entry);
  const auto on_head = [](http::Response&) {
    return Forwarding::Gather{.most = Once::kMostKept, .whole = true};
  };
  const auto on_stream = [] {};
  Once::Kept kept(exchange, [&entry] {
    entry.Decorate();
    entry.FreePlace();
  });
  const Status status = co_await Forward(route, exchange.request, kept, told, on_head, on_stream);
  const bool streamed = exchange.streaming();
  if (status.ok() && !streamed) {
    exchange.response = std::move(kept.response);
    entry.Decorate();
  }
  co_await once.Finish(status, exchange.response, streamed);
  if (status.ok()) Outdate(route, exchange.request, exchange.response.status);
  co_return status;
}

// `entry` gives its place back once the tunnel is open, and the tunnel has one of the route's.
Task<Status> AnswerWebSocket(const ProxyRoute& route, http::Exchange& exchange,
                             rpc::EdgeEntry& entry) {
  const http::Request& request = exchange.request;
  const Status good = CheckHandshake(request, exchange.body_streams() || !request.body.empty(),
                                     route.config.origins);
  if (absl::IsFailedPrecondition(good)) {
    exchange.response = http::ProblemResponse(426, std::string(good.message()), request.path);
    exchange.response.headers.Set("Sec-WebSocket-Version", "13");
    co_return OkStatus();
  }
  if (!good.ok()) co_return good;
  const TunnelCount::Place place = TunnelCount::Take(route.tunnels, route.config.max_tunnels);
  if (!place) {
    co_return Overloaded(
        fmt::format("{} WebSockets are open here, the route's limit", route.config.max_tunnels),
        std::chrono::seconds(1));
  }
  const Told told = ToldOf(route, exchange, entry);
  const auto on_head = [&entry](http::Response&) {
    entry.Decorate();
    return Forwarding::Gather();
  };
  const auto on_stream = [&entry] { entry.FreePlace(); };
  co_return co_await Forward(route, request, exchange, told, on_head, on_stream, GrpcKind::kNone,
                             kWebSocket);
}

StatusCode CodeOf(const http::Response& response) {
  return response.status == 101 ? StatusCode::kOk : http::CodeOfHttpStatus(response.status);
}

Task<void> Answer(std::shared_ptr<const ProxyRoute> route, http::Exchange& exchange) {
  rpc::EdgeEntry entry(route->edge, exchange, route->name);
  rpc::RouteLimits::Place place;
  Status status = entry.LetIn(route->gate, /*streaming=*/false);
  if (status.ok()) status = co_await entry.Identify();
  if (status.ok()) status = CheckAccess(route->access, *entry.caller());
  if (status.ok() && AnswerLastHop(*route, exchange)) {
    entry.Leave(status);
    co_return;
  }
  if (status.ok() && route->limits != nullptr) {
    rpc::GatewayLimits::Verdict verdict =
        co_await route->limits->Admit(exchange.request, *entry.caller(), place);
    status = verdict.status();
    entry.verdict().Add(std::move(verdict));
  }
  const bool tunnels =
      status.ok() && route->tunnels != nullptr && AsksForWebSocket(exchange.request);
  if (status.ok() && !tunnels && route->mirror != nullptr && !exchange.body_streams() &&
      route->mirror->Wants()) {
    const Executor executor = co_await CurrentExecutor();
    CopyToMirror(*route, exchange, entry, executor);
  }
  const GrpcKind grpc = route->h2 ? GrpcKindOf(exchange.request) : GrpcKind::kNone;
  StatusCode code = StatusCode::kOk;
  if (tunnels) {
    status = co_await AnswerWebSocket(*route, exchange, entry);
    code = CodeOf(exchange.response);
  } else if (status.ok() && grpc == GrpcKind::kNone &&
             route->config.idempotency != RouteIdempotency::kNone &&
             IsOfIdempotencyKeys(exchange.request.verb)) {
    status = co_await AnswerOnce(*route, exchange, entry);
    code = http::CodeOfHttpStatus(exchange.response.status);
  } else if (status.ok() && route->cache != nullptr && grpc == GrpcKind::kNone) {
    co_await ServeCached(route, exchange, entry);
    code = http::CodeOfHttpStatus(exchange.response.status);
    if (!exchange.streaming()) entry.Announce();
  } else if (status.ok()) {
    Outcome outcome = co_await AnswerFromUpstream(*route, exchange, entry, grpc);
    status = std::move(outcome.status);
    code = outcome.code;
  }
  if (!status.ok()) code = status.code();
  route->metrics->Record(code, entry.Took());
  entry.Leave(status);
  if (grpc != GrpcKind::kNone && !status.ok() && !exchange.streaming())
    AnswerAsGrpc(status, exchange.request, exchange.response);
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

StatusOr<std::shared_ptr<const ProxyRoute>> MakeRoute(
    const RouteConfig& config, const Upstreams& upstreams, const std::shared_ptr<HttpCache>& cache,
    const rpc::EdgeOptions& edge, const AnswerFilter* answers, RouteTable& table) {
  auto route = std::make_shared<ProxyRoute>();
  route->config = config;
  route->edge = edge;
  route->key = KeyOf(config);
  if (rpc::RouteLimits::Options limits = LimitsOf(config);
      limits.requests || limits.max_concurrent > 0) {
    route->limits = table.LimitsOf(std::move(limits), edge.limits);
  }
  if (config.cache) {
    route->cache = cache;
    route->cache_prefix = CachePrefix(config);
    route->keeps_identity = answers != nullptr && answers->compresses() &&
                            config.compress == RouteConfig::Compress::kAuto;
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
        upstreams.Find(mirror.upstream),
        Mirror::Options{.sample = mirror.sample, .max_in_flight = mirror.max_in_flight},
        route->policy, config.path, edge.telemetry->metrics());
  }
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
                            .protocol = config.protocol == "h2" ? Protocol::kH2 : Protocol::kHttp1,
                            .connect_timeout = config.connect_timeout,
                            .idle_timeout = config.idle_timeout,
                            .keepalive = config.keepalive};
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
    if (const std::shared_ptr<Upstream> before = Find(name)) {
      for (const EndpointState& endpoint : before->Endpoints()) {
        // One that is not among them any more is nobody's.
        if (endpoint.drained) (void)upstream->SetDrained(endpoint.address, true);
      }
    }
    all[name] = {config, std::move(upstream)};
  }
  const std::lock_guard lock(mutex_);
  all_.swap(all);
  return OkStatus();
}

std::shared_ptr<Upstream> Upstreams::Find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = all_.find(name);
  return found == all_.end() ? nullptr : found->second.upstream;
}

std::vector<std::string> Upstreams::Names() const {
  std::vector<std::string> names;
  const std::lock_guard lock(mutex_);
  names.reserve(all_.size());
  for (const auto& [name, one] : all_) names.push_back(name);
  return names;
}

std::vector<std::shared_ptr<Upstream>> Upstreams::List() const {
  std::vector<std::shared_ptr<Upstream>> upstreams;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, one] : all_) upstreams.push_back(one.upstream);
  return upstreams;
}

Status AddProxyRoutes(const std::vector<RouteConfig>& routes, const Upstreams& upstreams,
                      const std::shared_ptr<HttpCache>& cache, const rpc::EdgeOptions& edge,
                      http::Router& router, RouteTable* table,
                      const std::shared_ptr<const AnswerFilter>& answers) {
  RouteTable nowhere;
  if (table == nullptr) table = &nowhere;
  std::vector<RouteTable::Route> told;
  // By host and path, by verb: in the order of the list.
  struct Place {
    size_t first;  // route, for errors
    std::map<http::Verb, Alternatives> by_verb;
  };
  std::map<std::string, std::map<std::string, Place>> places;
  for (size_t i = 0; i < routes.size(); ++i) {
    const std::string where = fmt::format("gateway.routes[{}]", i);
    StatusOr<std::shared_ptr<const ProxyRoute>> route =
        MakeRoute(routes[i], upstreams, cache, edge, answers.get(), *table);
    if (!route.ok()) return Annotate(route.status(), where);
    told.push_back({.config = routes[i],
                    .limits = (*route)->limits,
                    .metrics = (*route)->metrics,
                    .shed = (*route)->gate.shed});
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
  table->Set(std::move(told));
  return OkStatus();
}

}  // namespace starling::gateway

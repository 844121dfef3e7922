// How a route answers a request.
#include <absl/container/inlined_vector.h>

#include "platform/gateway/cache/rules/target.h"
#include "platform/gateway/grpc.h"
#include "platform/gateway/grpc_web.h"
#include "platform/gateway/idempotent_proxy.h"
#include "platform/gateway/proxy_route.h"
#include "platform/gateway/request_head.h"
#include "platform/http/problem.h"
#include "platform/rpc/idempotency_key.h"

namespace starling::gateway {
namespace {

using HeaderPair = std::pair<std::string_view, std::string_view>;

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
std::string OnceScope(const ProxyRoute& route, const rpc::EdgeEntry& entry) {
  const security::Identity& caller = *entry.caller();
  const std::string who = caller.kind == security::Identity::kAnonymous
                              ? "address:" + entry.Customer()
                              : security::IdentityName(caller);
  return fmt::format("{} proxy {}", who, route.key);
}

Task<Status> AnswerOnce(const ProxyRoute& route, http::Exchange& exchange, rpc::EdgeEntry& entry) {
  if (route.edge.idempotency == nullptr)
    co_return FailedPrecondition("this process keeps no idempotency keys");
  Once once(*route.edge.idempotency, OnceScope(route, entry));
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
  if (status.ok() && !streamed) exchange.response = std::move(kept.response);
  co_await once.Finish(status, exchange.response, streamed);
  // Of this request alone: not kept for the next.
  if (status.ok() && !streamed) entry.Announce();
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

}  // namespace

Task<void> AnswerByRoute(std::shared_ptr<const ProxyRoute> route, http::Exchange& exchange) {
  rpc::EdgeEntry entry(route->edge, exchange, route->name);
  rpc::RouteLimits::Place place;
  Status status = entry.LetIn(route->gate, /*streaming=*/false);
  if (status.ok() && !entry.IdentifyNow(status)) status = co_await entry.Identify();
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
  if (!status.ok() && route->config.idempotency != RouteIdempotency::kNone) {
    const std::string& documentation = route->config.documentation;
    rpc::LinkHelp(status, documentation.empty() ? rpc::kIdempotencyDraft : documentation,
                  exchange.response.headers);
  }
  if (grpc != GrpcKind::kNone && !status.ok() && !exchange.streaming())
    AnswerAsGrpc(status, exchange.request, exchange.response);
}

}  // namespace starling::gateway

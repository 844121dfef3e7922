#include "platform/host/gateway_json.h"

#include <fmt/format.h>

#include "platform/gateway/proxy_route.h"
#include "platform/telemetry/text.h"

namespace starling::host {
namespace {

std::string Json(std::string_view text) {
  std::string out;
  telemetry::AppendJsonString(text, out);
  return out;
}
std::string Json(const std::vector<std::string>& list) {
  std::vector<std::string> items;
  items.reserve(list.size());
  for (const std::string& item : list) items.push_back(Json(item));
  return fmt::format("[{}]", fmt::join(items, ","));
}

// {"name":[...]}
std::string Document(std::string_view name, const std::vector<std::string>& rows) {
  return fmt::format(R"({{"{}":[{}]}})", name, fmt::join(rows, ","));
}

double Milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string_view NameOf(resilience::Priority priority) {
  constexpr std::string_view kNames[] = {"sheddable", "normal", "critical"};
  return kNames[static_cast<size_t>(priority)];
}
std::string_view NameOf(gateway::RouteIdempotency idempotency) {
  constexpr std::string_view kNames[] = {"none", "optional", "required"};
  return kNames[static_cast<size_t>(idempotency)];
}
std::string_view NameOf(rpc::GatewayLimits::Per per) {
  constexpr std::string_view kNames[] = {"caller", "address", "route"};
  return kNames[static_cast<size_t>(per)];
}

std::string LimitJson(std::string_view policy, const rpc::RateLimiter::Limit& limit,
                      std::string_view per) {
  return fmt::format(R"({{"policy":{},"per":"{}","requests_per_second":{:.6g},"burst":{}}})",
                     Json(policy), per, limit.per_second, limit.burst);
}

std::string RouteJson(const gateway::ProxyRoute& route) {
  const gateway::RouteConfig& config = route.config;
  std::vector<std::string> to;
  to.reserve(config.to.size());
  for (const auto& [upstream, weight] : config.to)
    to.push_back(fmt::format(R"({{"upstream":{},"weight":{}}})", Json(upstream), weight));
  std::vector<std::string> fields;
  fields.reserve(config.headers.size());
  for (const auto& [name, value] : config.headers) fields.push_back(name);
  std::string limits = "null";
  if (const auto limit = config.rate_limit.Limit())
    limits = LimitJson(config.path, *limit, NameOf(config.rate_limit.per));
  return fmt::format(
      R"({{"path":{},"hosts":{},"methods":{},"by_fields":{},"access":{},"to":[{}],"cache":{},)"
      R"("priority":"{}","idempotency":"{}","rate_limit":{},"max_concurrent":{},"running":{},)"
      R"("requests":{},"errors":{},"shed":{}}})",
      Json(config.path), Json(config.hosts), Json(config.methods), Json(fields),
      Json(config.access), fmt::join(to, ","), config.cache, NameOf(config.priority),
      NameOf(config.idempotency), limits, config.max_concurrent,
      route.limits == nullptr ? 0 : route.limits->running(), route.metrics->duration().Sum().count,
      route.metrics->Errors(), route.gate.shed->Value());
}

std::string EndpointJson(const gateway::EndpointState& state) {
  // What matters most to who looks: one word.
  const std::string_view word = state.drained    ? "drained"
                                : !state.healthy ? "unhealthy"
                                : state.ejected  ? "ejected"
                                                 : "serving";
  return fmt::format(
      R"({{"address":{},"state":"{}","healthy":{},"drained":{},"ejected":{},"ejected_for_ms":{:.0f},)"
      R"("ejections":{},"in_flight":{},"idle":{},"latency_ms":{:.3f}}})",
      Json(state.address), word, state.healthy, state.drained, state.ejected,
      Milliseconds(state.back_in), state.ejections, state.in_flight, state.idle,
      Milliseconds(state.latency));
}

}  // namespace

std::string RoutesJson(const gateway::RouteTable& routes) {
  std::vector<std::string> rows;
  const auto now = routes.List();
  rows.reserve(now->size());
  for (const auto& route : *now) rows.push_back(RouteJson(*route));
  return Document("routes", rows);
}

std::string UpstreamsJson(const gateway::Upstreams& upstreams) {
  std::vector<std::string> rows;
  for (const auto& upstream : upstreams.List()) {
    std::vector<std::string> endpoints;
    for (const gateway::EndpointState& state : upstream->Endpoints())
      endpoints.push_back(EndpointJson(state));
    rows.push_back(fmt::format(R"({{"name":{},"endpoints":[{}]}})", Json(upstream->name()),
                               fmt::join(endpoints, ",")));
  }
  return Document("upstreams", rows);
}

double DaysLeft(const http::TlsCertificate& certificate, TimePoint now) {
  return std::chrono::duration<double>(certificate.not_after - now).count() / (24 * 3600);
}

std::string CertificatesJson(const std::vector<http::TlsCertificate>& certificates, TimePoint now) {
  std::vector<std::string> rows;
  rows.reserve(certificates.size());
  for (const http::TlsCertificate& certificate : certificates) {
    rows.push_back(fmt::format(
        R"({{"names":{},"issuer":{},"not_after":"{}","days_left":{:.2f},"file":{}}})",
        Json(certificate.names), Json(certificate.issuer), FormatRfc3339(certificate.not_after),
        DaysLeft(certificate, now), Json(certificate.file)));
  }
  return Document("certificates", rows);
}

std::string LimitsJson(const rpc::GatewayLimits& limits, const gateway::RouteTable& routes,
                       size_t most) {
  std::vector<std::string> policies, nearest;
  for (const auto& policy : limits.Policies()) {
    const bool failures = policy.name == "failed-credentials";
    policies.push_back(LimitJson(policy.name, policy.limit, failures ? "address" : "caller"));
  }
  const auto now = routes.List();
  for (const auto& route : *now) {
    const gateway::RouteConfig& config = route->config;
    const auto limit = config.rate_limit.Limit();
    if (!limit) continue;
    policies.push_back(LimitJson(config.path, *limit, NameOf(config.rate_limit.per)));
  }
  for (const rpc::NearLimits::Caller& caller : limits.Nearest(most)) {
    nearest.push_back(fmt::format(
        R"({{"caller":{},"policy":{},"remaining":{},"burst":{},"refused":{}}})",
        Json(caller.caller), Json(caller.policy), caller.remaining, caller.burst, caller.refused));
  }
  return fmt::format(R"({{"store":"{}","degraded":{},"policies":[{}],"nearest":[{}]}})",
                     limits.shared() ? "redis" : "local", limits.degraded(),
                     fmt::join(policies, ","), fmt::join(nearest, ","));
}

std::string CacheJson(const gateway::HttpCacheStats& stats) {
  const uint64_t asked = stats.hits + stats.misses + stats.stale + stats.revalidated;
  return fmt::format(
      R"({{"entries":{},"bytes":{},"hit_rate":{:.4f},"hits":{},"misses":{},"stale":{},)"
      R"("revalidated":{},"collapsed":{},"stored":{},"not_stored":{},"invalidated":{},)"
      R"("evicted":{}}})",
      stats.objects, stats.bytes,
      asked == 0 ? 0.0 : static_cast<double>(stats.hits) / static_cast<double>(asked), stats.hits,
      stats.misses, stats.stale, stats.revalidated, stats.collapsed, stats.stored, stats.not_stored,
      stats.invalidated, stats.evicted);
}

}  // namespace starling::host

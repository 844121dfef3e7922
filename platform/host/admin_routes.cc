#include "platform/host/admin_routes.h"

#include "platform/rpc/openapi.h"
#include "platform/telemetry/otlp.h"

namespace starling::host {
namespace {

using http::Exchange;
using http::Verb;

Task<void> Alive(Exchange& exchange) {
  exchange.response.SetBody("application/json", R"({"status":"alive"})");
  co_return;
}

Task<void> Ready(const Readiness& readiness, Exchange& exchange) {
  bool ready = readiness.ready();
  std::string parts;
  for (const auto& [name, status] : readiness.parts()) {
    ready = ready && status.ok();
    parts += fmt::format(R"({}"{}":"{}")", parts.empty() ? "" : ",", name,
                         status.ok() ? "ready" : absl::StatusCodeToString(status.code()));
  }
  exchange.response.status = ready ? 200 : 503;
  exchange.response.SetBody(
      "application/json",
      fmt::format(R"({{"status":"{}","services":{{{}}}}})", ready ? "ready" : "not ready", parts));
  co_return;
}

Status AddHealth(http::Router& router, const Readiness& readiness) {
  STARLING_RETURN_IF_ERROR(router.Add(Verb::kGet, "/healthz", Alive));
  return router.Add(Verb::kGet, "/readyz",
                    [&readiness](Exchange& exchange) { return Ready(readiness, exchange); });
}

// Answers with what `text` gives, anew each time.
http::Handler Text(std::string_view type, std::function<std::string()> text) {
  return [type = std::string(type), text = std::move(text)](Exchange& exchange) -> Task<void> {
    exchange.response.SetBody(type, text());
    return [](Exchange&) -> Task<void> { co_return; }(exchange);
  };
}

}  // namespace

Status AddPublicRoutes(http::Router& router, const Readiness& readiness,
                       const rpc::Registry& services, std::string_view version) {
  STARLING_RETURN_IF_ERROR(AddHealth(router, readiness));
  std::vector<const rpc::ServiceDescriptor*> descriptors;
  for (const rpc::Binding& binding : services.bindings()) descriptors.push_back(binding.descriptor);
  return router.Add(Verb::kGet, "/openapi.json",
                    Text("application/json", [document = rpc::OpenApiDocument(
                                                  descriptors, version)] { return document; }));
}

Status AddAdminRoutes(http::Router& router, const Readiness& readiness,
                      telemetry::Telemetry& telemetry, const config::Registry& config,
                      std::function<std::string()> digest) {
  STARLING_RETURN_IF_ERROR(AddHealth(router, readiness));
  STARLING_RETURN_IF_ERROR(router.Add(Verb::kGet, "/metrics",
                                      Text("text/plain; version=0.0.4; charset=utf-8",
                                           [&] { return telemetry.metrics().Expose(); })));
  STARLING_RETURN_IF_ERROR(router.Add(
      Verb::kGet, "/config", Text("text/yaml; charset=utf-8", [&] { return config.Show(); })));
  STARLING_RETURN_IF_ERROR(
      router.Add(Verb::kGet, "/digest", Text("application/json", std::move(digest))));
  return router.Add(Verb::kGet, "/debug/spans", Text("application/json", [&] {
                      return telemetry::OtlpJson(telemetry.tracer().Recent(), "starling", "");
                    }));
}

void AddServerMetrics(telemetry::Metrics& metrics, std::vector<const http::Server*> servers) {
  const auto add = [&](std::string_view name, std::string_view help,
                       uint64_t http::ServerStats::*field) {
    metrics.AddCallback(name, help, {}, [servers, field] {
      uint64_t sum = 0;
      for (const http::Server* server : servers) sum += server->Stats().*field;
      return static_cast<double>(sum);
    });
  };
  add("starling_http_connections", "Connections open now", &http::ServerStats::active_connections);
  add("starling_http_in_flight", "Requests being answered now", &http::ServerStats::in_flight);
  add("starling_http_requests_total", "Requests answered", &http::ServerStats::requests);
  add("starling_http_accepted_total", "Connections accepted", &http::ServerStats::accepted);
  add("starling_http_rejected_connections_total", "Connections refused at the bound",
      &http::ServerStats::rejected_connections);
  add("starling_http_rejected_requests_total", "Requests refused at the bound",
      &http::ServerStats::rejected_requests);
  add("starling_http_malformed_total", "Requests that were no HTTP",
      &http::ServerStats::malformed_requests);
  add("starling_http_timeouts_total", "Clients that were too slow", &http::ServerStats::timeouts);
  add("starling_tls_handshakes_total", "TLS handshakes that ended well",
      &http::ServerStats::tls_handshakes);
  add("starling_tls_resumed_total", "TLS sessions resumed", &http::ServerStats::tls_resumed);
  add("starling_tls_failures_total", "TLS handshakes that failed",
      &http::ServerStats::tls_failures);
  add("starling_http2_connections_total", "Connections that spoke HTTP/2",
      &http::ServerStats::http2_connections);
  add("starling_http2_protocol_errors_total", "HTTP/2 connections ended for a broken protocol",
      &http::ServerStats::http2_protocol_errors);
  add("starling_http2_floods_total", "HTTP/2 connections ended for a flood",
      &http::ServerStats::http2_floods);
}

}  // namespace starling::host

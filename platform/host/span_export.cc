#include "platform/host/span_export.h"

#include "platform/http/problem.h"

namespace starling::host {

SpanExport::SpanExport(telemetry::Telemetry& telemetry, Runtime& runtime, std::string url,
                       std::string version)
    : runtime_(runtime),
      url_(std::move(url)),
      client_(runtime, http::Client::Options{}),
      exporter_(telemetry.ExportTo({.service_name = "starling", .version = std::move(version)},
                                   [this](std::string body) { return Send(std::move(body)); })) {
  Spawn(runtime_.NextExecutor(), exporter_.Run());
}

void SpanExport::Stop(Duration limit) { runtime_.Block(exporter_.Stop(limit)); }

Task<Status> SpanExport::Send(std::string body) {
  http::ClientRequest request{
      .verb = http::Verb::kPost, .url = url_, .headers = {}, .body = std::move(body)};
  request.headers.Set("content-type", "application/json");
  const StatusOr<http::ClientResponse> response = co_await client_.Send(std::move(request));
  if (!response.ok()) co_return response.status();
  co_return http::StatusFromHttp(response->status, response->headers, response->body);
}

}  // namespace starling::host

// Spans of a process on their way to a collector, in the JSON of OTLP over HTTP.
//
//   SpanExport spans(telemetry, runtime, "http://127.0.0.1:4318/v1/traces", version);
//   spans.Stop(std::chrono::seconds(2));
#pragma once

#include <memory>
#include <string>

#include "platform/async/runtime.h"
#include "platform/http/client.h"
#include "platform/telemetry/telemetry.h"

namespace starling::host {

class SpanExport {
 public:
  // Exports from now on. `telemetry` and `runtime` must outlive it; Stop it before it ends.
  SpanExport(telemetry::Telemetry& telemetry, Runtime& runtime, std::string url,
             std::string version);

  // Sends what is queued, for at most `limit`; waits for it.
  void Stop(Duration limit);

 private:
  Task<Status> Send(std::string body);

  Runtime& runtime_;
  const std::string url_;
  http::Client client_;
  telemetry::OtlpExporter& exporter_;
};

}  // namespace starling::host

// What a process says of itself: metrics and traces. Logs are process-wide (log.h).
//
//   Telemetry telemetry({.sampling_ratio = 0.01});
//   OtlpExporter& exporter = telemetry.ExportTo({.service_name = "starling"}, post);
//   Spawn(executor, exporter.Run());
//   response.body = telemetry.metrics().Expose();
//
// Its own losses are metrics: starling_telemetry_spans_dropped_total,
// starling_telemetry_spans_exported_total, starling_telemetry_spans_lost_total,
// starling_telemetry_log_lines_dropped_total.
#pragma once

#include <memory>

#include "platform/telemetry/metrics.h"
#include "platform/telemetry/otlp.h"
#include "platform/telemetry/span.h"

namespace starling::telemetry {

// Thread-safe but for ExportTo, which is for the start; outlives every service of the process.
class Telemetry {
 public:
  explicit Telemetry(Tracer::Options tracing = {});
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  Metrics& metrics() { return metrics_; }
  Tracer& tracer() { return tracer_; }
  // Once. The exporter lives as long as this; run it, and stop it before the threads end.
  OtlpExporter& ExportTo(OtlpExporter::Options options, OtlpExporter::Send send);

 private:
  Metrics metrics_;
  Tracer tracer_;
  std::unique_ptr<OtlpExporter> exporter_;
};

}  // namespace starling::telemetry

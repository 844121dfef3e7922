#include "platform/telemetry/telemetry.h"

#include "platform/telemetry/log.h"

namespace starling::telemetry {

Telemetry::Telemetry(Tracer::Options tracing) : tracer_(tracing) {
  metrics_.AddCallback("starling_telemetry_spans_dropped_total",
                       "Finished spans that found the queue full", {},
                       [this] { return static_cast<double>(tracer_.dropped()); });
  metrics_.AddCallback("starling_telemetry_log_lines_dropped_total",
                       "Log lines that were not written", {},
                       [] { return static_cast<double>(log::DroppedLines()); });
}

OtlpExporter& Telemetry::ExportTo(OtlpExporter::Options options, OtlpExporter::Send send) {
  exporter_ = std::make_unique<OtlpExporter>(tracer_, std::move(options), std::move(send));
  metrics_.AddCallback("starling_telemetry_spans_exported_total", "Spans that the collector took",
                       {}, [this] { return static_cast<double>(exporter_->sent()); });
  metrics_.AddCallback("starling_telemetry_spans_lost_total", "Spans that could not be sent", {},
                       [this] { return static_cast<double>(exporter_->lost()); });
  return *exporter_;
}

}  // namespace starling::telemetry

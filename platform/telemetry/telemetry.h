// What a process says of itself: metrics and traces. Logs are process-wide (log.h).
#pragma once

#include "platform/telemetry/metrics.h"
#include "platform/telemetry/span.h"

namespace starling::telemetry {

// Thread-safe; outlives every service of the process.
class Telemetry {
 public:
  explicit Telemetry(Tracer::Options tracing = {}) : tracer_(tracing) {}
  Metrics& metrics() { return metrics_; }
  Tracer& tracer() { return tracer_; }

 private:
  Metrics metrics_;
  Tracer tracer_;
};

}  // namespace starling::telemetry

// Sends finished spans to an OpenTelemetry collector: OTLP 1.0 over HTTP in its JSON form, POST /v1/traces.
//
//   OtlpExporter exporter(tracer, {.service_name = "starling"}, [&](std::string body) { return Post(std::move(body)); });
//   Spawn(executor, exporter.Run());
//   co_await exporter.Stop(std::chrono::seconds(2));   // sends what is left
//
// One batch (at most 512 spans) in flight; a failed one is tried three times with growing, jittered pauses, then dropped
// and counted. What waits is bounded by the tracer's queue. The transport is given, since HTTP stands above telemetry.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "platform/async/task.h"
#include "platform/telemetry/span.h"

namespace starling::telemetry {

class OtlpExporter {
 public:
  struct Options {
    std::string service_name = "starling";
    std::string version;
    Duration interval = std::chrono::seconds(1);
    Duration retry_pause = std::chrono::milliseconds(200);
  };
  using Send = std::function<Task<Status>(std::string json)>;

  OtlpExporter(Tracer& tracer, Options options, Send send);
  ~OtlpExporter();
  // Exports until Stop. Run it once.
  Task<void> Run();
  // Ends Run and sends what is queued, one try a batch, for at most `limit`.
  Task<void> Stop(Duration limit);
  uint64_t sent() const { return sent_; }
  uint64_t lost() const { return lost_; }

 private:
  Task<bool> SendBatch(int tries);

  Tracer& tracer_;
  const Options options_;
  const Send send_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> sent_{0};
  std::atomic<uint64_t> lost_{0};
};

// The body of one export request.
std::string OtlpJson(std::span<const std::shared_ptr<const SpanRecord>> spans, std::string_view service_name,
                     std::string_view version);

}  // namespace starling::telemetry

// Sends finished spans to an OpenTelemetry collector: OTLP 1.0 over HTTP in its JSON form, POST
// /v1/traces.
//
//   OtlpExporter exporter(tracer, {.service_name = "starling"}, post);  //
//   Task<Status>(std::string) Spawn(executor, exporter.Run()); co_await
//   exporter.Stop(std::chrono::seconds(2));  // sends what is left
//
// One batch (at most 512 spans) in flight. One that fails by the network's or the collector's fault
// is tried up to three times in all, with growing, jittered pauses (at least what RetryAfter asks,
// at most 5 s) and from a budget: a retry takes one of 10 tokens, a batch that was sent gives a
// tenth back, so a dead collector is not hammered. Then, or when the collector refuses it for good
// (INVALID_ARGUMENT, UNAUTHENTICATED, ...), the batch is dropped and counted in lost(). What waits
// is bounded by the tracer's queue. The transport is given, since HTTP stands above telemetry; it
// should have a time limit of its own. Run and Stop may be on different io threads. The tracer must
// outlive the exporter; a send that Stop gave up waiting for may still be running, and touches
// neither.
#pragma once

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
  OtlpExporter(const OtlpExporter&) = delete;
  OtlpExporter& operator=(const OtlpExporter&) = delete;
  // Exports until Stop. Run it once.
  Task<void> Run();
  // Ends Run and sends what is queued, one try a batch, for at most `limit`; what is left then
  // counts as lost.
  Task<void> Stop(Duration limit);
  uint64_t sent() const;  // spans
  uint64_t lost() const;  // spans

 private:
  struct State;
  static Task<void> RunState(std::shared_ptr<State> state);
  static Task<void> StopState(std::shared_ptr<State> state, Duration limit);
  static Task<void> Drain(std::shared_ptr<State> state);
  static Task<bool> SendBatch(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

// The body of one export request (opentelemetry-proto's JSON mapping: ids in hex, 64-bit numbers as
// strings).
std::string OtlpJson(std::span<const std::shared_ptr<const SpanRecord>> spans,
                     std::string_view service_name, std::string_view version);

}  // namespace starling::telemetry

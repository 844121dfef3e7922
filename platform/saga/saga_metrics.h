// What an engine tells of itself:
//   starling_saga_runs_started_total{service,saga}
//   starling_saga_runs_ended_total{service,saga,outcome}      outcome: completed, compensated
//   starling_saga_run_seconds{service,saga}                   from start to end
//   starling_saga_attempts_total{service,saga,step,result}    result: ok, refused, failed; the step
//                                                             of a compensation ends with "/c"
//   starling_saga_step_seconds{service,saga,step}             of one attempt
//   starling_saga_runs_open{service,saga}
//   starling_saga_runs_stuck{service,saga}                    the alarm: tried often, cannot turn
//   back starling_saga_runs_unknown{service}                       open, of a version that is not
//   known here
// Thread-safe; an event costs about 1 us.
#pragma once

#include <string>
#include <string_view>

#include "platform/saga/run.h"
#include "platform/telemetry/metrics.h"

namespace starling::saga {

class SagaMetrics {
 public:
  SagaMetrics(telemetry::Metrics& metrics, std::string service)
      : metrics_(metrics), service_(std::move(service)) {}

  void Started(std::string_view saga);
  void Ended(const Run& run);
  void Attempted(std::string_view saga, const StepRecord& record, const Status& outcome,
                 Duration took);
  void Open(std::string_view saga, int64_t open, int64_t stuck);
  void Unknown(int64_t runs);

 private:
  telemetry::Metrics& metrics_;
  const std::string service_;
};

}  // namespace starling::saga

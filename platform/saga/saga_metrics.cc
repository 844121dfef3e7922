#include "platform/saga/saga_metrics.h"

#include "platform/rpc/idempotency.h"

namespace starling::saga {

void SagaMetrics::Started(std::string_view saga) {
  metrics_
      .AddCounter("starling_saga_runs_started_total", "Runs of sagas that were started",
                  {{"service", service_}, {"saga", std::string(saga)}})
      .Add();
}

void SagaMetrics::Ended(const Run& run) {
  const telemetry::Labels labels{{"service", service_}, {"saga", run.saga}};
  metrics_
      .AddCounter(
          "starling_saga_runs_ended_total", "Runs of sagas that have ended",
          {{"service", service_}, {"saga", run.saga}, {"outcome", std::string(Name(run.phase))}})
      .Add();
  metrics_.AddHistogram("starling_saga_run_seconds", "From a run's start to its end", labels)
      .Observe(run.ended_at - run.started_at);
}

void SagaMetrics::Attempted(std::string_view saga, const StepRecord& record, const Status& outcome,
                            Duration took) {
  const std::string step = record.name + (record.compensation ? "/c" : "");
  const std::string result = outcome.ok() ? "ok" : rpc::IsFinal(outcome) ? "refused" : "failed";
  metrics_
      .AddCounter(
          "starling_saga_attempts_total", "Attempts of steps that have ended",
          {{"service", service_}, {"saga", std::string(saga)}, {"step", step}, {"result", result}})
      .Add();
  metrics_
      .AddHistogram("starling_saga_step_seconds", "How long an attempt of a step took",
                    {{"service", service_}, {"saga", std::string(saga)}, {"step", step}})
      .Observe(took);
}

void SagaMetrics::Open(std::string_view saga, int64_t open, int64_t stuck) {
  const telemetry::Labels labels{{"service", service_}, {"saga", std::string(saga)}};
  metrics_.AddGauge("starling_saga_runs_open", "Runs of sagas that have not ended", labels)
      .Set(static_cast<double>(open));
  metrics_
      .AddGauge("starling_saga_runs_stuck",
                "Runs of sagas whose step was tried often and that cannot turn back", labels)
      .Set(static_cast<double>(stuck));
}

void SagaMetrics::Unknown(int64_t runs) {
  metrics_
      .AddGauge("starling_saga_runs_unknown",
                "Open runs of sagas or versions that this process does not know",
                {{"service", service_}})
      .Set(static_cast<double>(runs));
}

}  // namespace starling::saga

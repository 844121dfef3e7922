// What service_channel.cc and service_channel_hedge.cc share; internal to them.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "platform/rpc/service_channel.h"

namespace starling::rpc {
namespace service_channel_internal {

inline Instant Now() { return std::chrono::steady_clock::now(); }

// The endpoint's fault, or that of the way to it; what its service decided is not.
inline bool Broken(const Status& status) {
  return status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kUnknown ||
         status.code() == StatusCode::kDeadlineExceeded;
}

// It refused the call since it has too much to do: it is well.
inline bool Overloaded(const Status& status) {
  return status.code() == StatusCode::kUnavailable && Reason(status) == reason::kOverloaded;
}

inline void AddEvent(telemetry::Span* span, std::string_view name) {
  if (span != nullptr) span->AddEvent(name);
}

}  // namespace service_channel_internal

// One or two tries that count as one attempt.
struct ServiceChannel::Try {
  Duration timeout{0};
  std::vector<std::string> tried;  // addresses
  bool sent = false;               // the request may have been seen
  bool refused_by_breaker = false;
  telemetry::Span* span = nullptr;  // of the call, while that waits for the try
};

// How a try went, beside its status.
struct ServiceChannel::Outcome {
  const MethodDescriptor& method;
  const CallContext& context;
  resilience::CircuitBreaker::Permit permit;
  Instant start;
  Duration given;  // from then to the deadline
  Duration try_timeout{0};
};

struct ServiceChannel::Counters {
  Counters(telemetry::Metrics& metrics, const std::string& service)
      : retries(Add(metrics, service, "retries", "Calls that were tried again")),
        retries_refused(Add(metrics, service, "retries_refused",
                            "Retries and hedges that the retry budget refused")),
        hedges(Add(metrics, service, "hedges", "Calls that were asked of a second endpoint")),
        hedges_won(Add(metrics, service, "hedges_won", "Hedges that answered first")),
        breaker_opened(
            Add(metrics, service, "breaker_opened", "Times that the circuit breaker opened")),
        breaker_refused(
            Add(metrics, service, "breaker_refused", "Calls that an open circuit breaker refused")),
        breaker_closed(
            Add(metrics, service, "breaker_closed", "Times that the circuit breaker closed again")),
        breaker_probes(Add(metrics, service, "breaker_probes",
                           "Calls that tried whether a service is well again")),
        bulkhead_refused(Add(metrics, service, "bulkhead_refused",
                             "Calls that were refused since too many were in flight")),
        unreachable(Add(metrics, service, "unreachable", "Calls that found nobody connected")),
        deadline_cut(
            Add(metrics, service, "deadline_cut", "Tries that did not end before their deadline")),
        overloaded(Add(metrics, service, "overloaded",
                       "Tries that were refused since the other side has too much to do")),
        ejections(Add(metrics, service, "ejections",
                      "Times that an endpoint was left out for a while")) {}

  static telemetry::Counter& Add(telemetry::Metrics& metrics, const std::string& service,
                                 std::string_view name, std::string_view help) {
    return metrics.AddCounter(fmt::format("starling_client_{}_total", name), help,
                              {{"service", service}});
  }
  telemetry::Counter &retries, &retries_refused, &hedges, &hedges_won, &breaker_opened,
      &breaker_refused, &breaker_closed, &breaker_probes, &bulkhead_refused, &unreachable,
      &deadline_cut, &overloaded, &ejections;
};

}  // namespace starling::rpc

// What travels with a call, in process or not: until when, for whom, as part of which trace.
//
//   CallContext context = CallContext::ForService("features", std::chrono::seconds(2));   // work
//   nobody asked for StatusOr<Product> product = co_await catalog.GetProduct(context, request); if
//   (context.Remaining() < std::chrono::milliseconds(5)) ...
//
// A service passes the context that it was given to the calls it makes: the deadline only shrinks,
// the caller stays the caller, the trace goes on. One context belongs to one call; it is not
// thread-safe.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "platform/async/cancellation.h"
#include "platform/base/clock.h"
#include "platform/resilience/priority.h"
#include "platform/security/identity.h"
#include "platform/telemetry/span.h"
#include "platform/telemetry/trace_context.h"

namespace starling::rpc {

class CallContext {
 public:
  // A call from outside, by `caller` (never null; security::Anonymous() for nobody).
  CallContext(std::shared_ptr<const security::Identity> caller, Instant deadline)
      : deadline(deadline), caller(std::move(caller)) {}

  // A call that a service makes for itself, as a consumer of events does. `service` must live as
  // long as the context.
  static CallContext ForService(std::string_view service, Duration timeout);

  Duration Remaining() const {
    return std::max(Duration(0), Duration(deadline - std::chrono::steady_clock::now()));
  }
  bool Cancelled() const { return cancellation.IsCancelled(); }
  // An event of the span of the call that is served with this context, as telemetry::Span has it;
  // of a copy, which may outlive the call, nothing.
  void AddEvent(std::string_view name) {
    if (span_.span != nullptr) span_.span->AddEvent(name);
  }
  void ShowEventsIn(telemetry::Span& span) { span_.span = &span; }

  Instant deadline;
  std::shared_ptr<const security::Identity> caller;
  telemetry::TraceContext trace;
  CancellationToken cancellation;
  // Chosen by the outermost caller for a call that changes something; not passed on to the calls
  // within.
  std::string idempotency_key;
  // The service that makes this call, "" when it comes from outside. Services trust each other.
  std::string_view via_service;
  // What is refused first in an overload; none: as the method's contract or configuration says.
  std::optional<resilience::Priority> priority;
  // Since when the call is here, when somebody before the binding has let it in already and holds
  // its place (grpc_server.cc).
  std::optional<Instant> let_in_at;
  // Set by the call: the methods, it or ones that it called, whose answer is the last good one or
  // the default (fallback.h), "catalog.GetProduct" and more by commas.
  std::string degraded;
  void AddDegraded(std::string_view methods) {
    if (methods.empty()) return;
    if (!degraded.empty()) degraded += ',';
    degraded += methods;
  }

 private:
  struct NotCopied {
    NotCopied() = default;
    NotCopied(const NotCopied&) {}
    NotCopied& operator=(const NotCopied&) { return *this; }
    telemetry::Span* span = nullptr;
  };
  NotCopied span_;
};

}  // namespace starling::rpc

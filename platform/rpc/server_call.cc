#include "platform/rpc/server_call.h"

#include "platform/base/nearest.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {

ServiceRuntime::ServiceRuntime(const ServiceDescriptor& descriptor, telemetry::Telemetry& telemetry,
                               IdempotencyStore* idempotency, Options options)
    : descriptor_(descriptor), methods_(descriptor.methods.size()) {
  for (size_t i = 0; i < methods_.size(); ++i) {
    const MethodDescriptor& method = descriptor.methods[i];
    MethodRuntime& runtime = methods_[i];
    runtime.descriptor = &method;
    runtime.service = descriptor.name;
    runtime.deadline_ns = method.deadline.count();
    runtime.max_in_flight = method.max_in_flight > 0 ? method.max_in_flight : options.max_in_flight;
    runtime.metrics = &telemetry.metrics().AddMethod(descriptor.name, method.name);
    runtime.shed = &telemetry.metrics().AddCounter(
        "starling_rpc_shed_total", "Calls refused since too many of the method were in flight",
        {{"service", std::string(descriptor.name)}, {"method", std::string(method.name)}});
    runtime.cut = &telemetry.metrics().AddCounter(
        "starling_rpc_deadline_cut_total", "Calls that did not begin or answer in time",
        {{"service", std::string(descriptor.name)}, {"method", std::string(method.name)}});
    runtime.tracer = &telemetry.tracer();
    runtime.idempotency = idempotency;
  }
}

ServiceRuntime::~ServiceRuntime() = default;

Status ServiceRuntime::SetDeadline(std::string_view name, Duration deadline) {
  std::vector<std::string> names;
  for (MethodRuntime& method : methods_) {
    if (method.descriptor->name == name) {
      method.deadline_ns = deadline.count();
      return OkStatus();
    }
    names.emplace_back(method.descriptor->name);
  }
  return NotFound("service {} has no method '{}'{}", descriptor_.name, name,
                  DidYouMean(name, names));
}

Status CheckAccess(const MethodDescriptor& method, const CallContext& context,
                   std::string_view owner) {
  const AccessRule& rule = method.access;
  if (rule.anyone || !context.via_service.empty()) return OkStatus();
  const security::Identity& caller = *context.caller;
  if (caller.kind == security::Identity::kService) return OkStatus();
  const std::string& user = caller.user();
  if (rule.user && !user.empty()) return OkStatus();
  if (!rule.owner.empty() && !owner.empty() && owner == user) return OkStatus();
  if (!rule.scope.empty() && caller.scopes.Holds(rule.scope)) return OkStatus();
  if (caller.kind == security::Identity::kAnonymous) {
    return Unauthenticated("{} needs credentials; send `Authorization: Bearer TOKEN`", method.name);
  }
  // To other users the resource does not exist: nobody learns who is a user.
  if (!rule.owner.empty() && !user.empty())
    return NotFound("{} '{}' was not found", rule.owner, owner);
  if (!rule.scope.empty()) {
    return PermissionDenied("{} needs the scope {}, which {} does not hold", method.name,
                            rule.scope, security::IdentityName(caller));
  }
  return PermissionDenied("{} is not for {}", method.name, security::IdentityName(caller));
}

ServerCall::ServerCall(MethodRuntime& method, const CallContext& caller, std::string_view owner)
    : method_(method),
      start_(std::chrono::steady_clock::now()),
      context_(caller.caller, caller.deadline),
      idempotency_key_(caller.idempotency_key),
      span_(method.tracer->StartAt(method.descriptor->full_name, telemetry::Span::kServer,
                                   caller.trace, start_)) {
  context_.deadline = std::min(
      caller.deadline, start_ + Duration(method.deadline_ns.load(std::memory_order_relaxed)));
  context_.trace = span_.context();
  context_.cancellation = caller.cancellation;
  context_.via_service = method.service;
  context_.ShowEventsIn(span_);
  admission_ = CheckAccess(*method.descriptor, caller, owner);
  if (!admission_.ok()) return;
  if (context_.deadline <= start_) {
    admission_ = CutAtDeadline();
  } else if (context_.Cancelled()) {
    admission_ = Cancelled("{}: the caller is gone", method.descriptor->name);
  } else {
    counted_ = true;
    if (method_.in_flight.fetch_add(1, std::memory_order_relaxed) >=
        method_.max_in_flight.load(std::memory_order_relaxed)) {
      admission_ = Overloaded(fmt::format("{} has {} calls in flight, its limit",
                                          method.descriptor->name, method_.max_in_flight.load()),
                              std::chrono::seconds(1));
      method_.shed->Add();
      span_.AddEvent("shed");
    }
  }
}

ServerCall::~ServerCall() {
  if (!recorded_)
    Record(Status(StatusCode::kCancelled, "the call was dropped"),
           std::chrono::steady_clock::now());
}

Status ServerCall::refusal() {
  Record(admission_, std::chrono::steady_clock::now());
  return admission_;
}

Status ServerCall::CutAtDeadline() {
  method_.cut->Add();
  span_.AddEvent("deadline cut");
  return DeadlineExceeded("{} did not answer in time", method_.descriptor->name);
}

void ServerCall::Record(const Status& status, Instant end) {
  recorded_ = true;
  if (counted_) method_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  method_.metrics->Record(status.code(), end - start_);
  span_.EndAt(status, end);
}

}  // namespace starling::rpc

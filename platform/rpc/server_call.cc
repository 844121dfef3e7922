#include "platform/rpc/server_call.h"

#include "platform/base/nearest.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {

ServiceRuntime::ServiceRuntime(const ServiceDescriptor& descriptor, telemetry::Telemetry& telemetry,
                               IdempotencyStore* idempotency, Options options)
    : descriptor_(descriptor),
      limiter_(std::make_shared<resilience::ConcurrencyLimiter>(options.concurrency)),
      methods_(descriptor.methods.size()) {
  const std::string service(descriptor.name);
  telemetry::Metrics& metrics = telemetry.metrics();
  metrics.AddCallback("starling_concurrency_limit", "Calls that may run at once",
                      {{"service", service}},
                      [limiter = limiter_] { return static_cast<double>(limiter->limit()); });
  metrics.AddCallback("starling_concurrency_in_flight", "Calls that run, streams apart",
                      {{"service", service}},
                      [limiter = limiter_] { return static_cast<double>(limiter->in_flight()); });
  for (size_t i = 0; i < methods_.size(); ++i) {
    const MethodDescriptor& method = descriptor.methods[i];
    const std::string name(method.name);
    MethodRuntime& runtime = methods_[i];
    runtime.descriptor = &method;
    runtime.service = descriptor.name;
    runtime.deadline_ns = method.deadline.count();
    runtime.priority = method.priority;
    runtime.limiter = limiter_.get();
    runtime.max_in_flight = method.max_in_flight;
    runtime.metrics = &metrics.AddMethod(descriptor.name, method.name);
    runtime.shed = &metrics.AddCounter("starling_rpc_shed_total",
                                       "Calls refused since too many were in flight",
                                       {{"service", service}, {"method", name}});
    runtime.cut = &metrics.AddCounter("starling_rpc_deadline_cut_total",
                                      "Calls that did not begin or answer in time",
                                      {{"service", service}, {"method", name}});
    runtime.all_metrics = &metrics;
    runtime.tracer = &telemetry.tracer();
    runtime.idempotency = idempotency;
  }
}

ServiceRuntime::~ServiceRuntime() = default;

StatusOr<MethodRuntime*> ServiceRuntime::Find(std::string_view name) {
  std::vector<std::string> names;
  for (MethodRuntime& method : methods_) {
    if (method.descriptor->name == name) return &method;
    names.emplace_back(method.descriptor->name);
  }
  return NotFound("service {} has no method '{}'{}", descriptor_.name, name,
                  DidYouMean(name, names));
}

Status ServiceRuntime::SetDeadline(std::string_view name, Duration deadline) {
  STARLING_ASSIGN_OR_RETURN(MethodRuntime* const method, Find(name));
  method->deadline_ns = deadline.count();
  return OkStatus();
}

Status ServiceRuntime::SetPriority(std::string_view name,
                                   std::optional<resilience::Priority> priority) {
  STARLING_ASSIGN_OR_RETURN(MethodRuntime* const method, Find(name));
  method->priority = priority.value_or(method->descriptor->priority);
  return OkStatus();
}

Status ServiceRuntime::SetFallback(std::string_view name, FallbackPolicy policy,
                                   LastGoodAnswers& answers) {
  STARLING_ASSIGN_OR_RETURN(MethodRuntime* const method, Find(name));
  if (policy.kind != Fallback::kNone) STARLING_RETURN_IF_ERROR(CheckFallback(*method->descriptor));
  method->answers = &answers;
  method->fallback_age_ns = policy.age.count();
  method->fallback = policy.kind;
  return OkStatus();
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

Status MethodRuntime::Shed(telemetry::Span& span, resilience::Priority call) {
  shed->Add();
  span.AddEvent("shed");
  constexpr std::string_view kNames[] = {"sheddable", "normal", "critical"};
  return Overloaded(fmt::format("{} has {} calls in flight, too many for one more of priority {}",
                                service, limiter->in_flight(), kNames[static_cast<size_t>(call)]),
                    std::chrono::seconds(1));
}

ServerCall::ServerCall(MethodRuntime& method, CallContext& caller, std::string_view owner)
    : method_(method),
      caller_(caller),
      start_(caller.let_in_at ? *caller.let_in_at : std::chrono::steady_clock::now()),
      context_(caller.caller, caller.deadline),
      idempotency_key_(caller.idempotency_key),
      span_(method.tracer->StartAt(method.descriptor->full_name, telemetry::Span::kServer,
                                   caller.trace, start_)) {
  context_.deadline = std::min(
      caller.deadline, start_ + Duration(method.deadline_ns.load(std::memory_order_relaxed)));
  context_.trace = span_.context();
  context_.cancellation = caller.cancellation;
  context_.via_service = method.service;
  context_.priority =
      caller.priority ? caller.priority : method.priority.load(std::memory_order_relaxed);
  context_.ShowEventsIn(span_);
  admission_ = CheckAccess(*method.descriptor, caller, owner);
  if (!admission_.ok()) return;
  if (context_.deadline <= start_) {
    admission_ = CutAtDeadline();
  } else if (context_.Cancelled()) {
    admission_ = Cancelled("{}: the caller is gone", method.descriptor->name);
  } else {
    TakePlace();
  }
}

void ServerCall::TakePlace() {
  const bool streams = method_.descriptor->server_streaming;
  if (!caller_.let_in_at) {
    place_ = method_.limiter->Admit(*context_.priority);
    if (!place_) {
      admission_ = method_.Shed(span_, *context_.priority);
      return;
    }
    if (streams) place_ = {};
  }
  timed_ = !streams;
  if (method_.max_in_flight == 0) return;
  counted_ = true;
  if (method_.in_flight.fetch_add(1, std::memory_order_relaxed) >= method_.max_in_flight) {
    admission_ = Overloaded(fmt::format("{} has {} calls in flight, its limit",
                                        method_.descriptor->name, method_.max_in_flight),
                            std::chrono::seconds(1));
    timed_ = false;
    method_.shed->Add();
    span_.AddEvent("shed");
  }
}

ServerCall::~ServerCall() {
  if (recorded_) return;
  timed_ = false;
  context_.degraded.clear();  // the caller may be gone
  Record(Status(StatusCode::kCancelled, "the call was dropped"), std::chrono::steady_clock::now());
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

void ServerCall::Keep(const std::string& request, std::string answer) {
  LastGoodAnswers* const answers = method_.answers.load(std::memory_order_relaxed);
  if (method_.fallback.load(std::memory_order_relaxed) != Fallback::kLastGood ||
      answers == nullptr || !context_.degraded.empty()) {
    return;
  }
  answers->Keep(FallbackKey(*method_.descriptor, caller_, request), std::move(answer), start_);
}

std::optional<std::string> ServerCall::FindFallback(const std::string& request) {
  const Fallback kind = method_.fallback.load(std::memory_order_relaxed);
  LastGoodAnswers* const answers = method_.answers.load(std::memory_order_relaxed);
  std::optional<std::string> bytes = "";
  if (kind == Fallback::kLastGood) {
    bytes = answers == nullptr ? std::nullopt
                               : answers->Find(FallbackKey(*method_.descriptor, caller_, request),
                                               Duration(method_.fallback_age_ns.load()), start_);
  }
  if (bytes) {
    TellFallback(*method_.all_metrics, span_, caller_, method_.service, method_.descriptor->name,
                 kind);
  }
  return bytes;
}

void ServerCall::Record(const Status& status, Instant end) {
  recorded_ = true;
  if (timed_) method_.limiter->Observe(end - start_, method_.usual);
  if (!context_.degraded.empty()) caller_.AddDegraded(context_.degraded);
  if (counted_) method_.in_flight.fetch_sub(1, std::memory_order_relaxed);
  method_.metrics->Record(status.code(), end - start_);
  span_.EndAt(status, end);
}

}  // namespace starling::rpc

// What holds for every call of every service, whichever way it came: access rule, bounds, deadline,
// span, metrics, fallback.
//
//   ServerCall call(runtime_.method(4), context, request.user_id());
//   if (!call.admitted()) co_return call.refusal();
//   StatusOr<Product> response = co_await implementation_->GetProduct(call.context(), request);
//   call.Finish(response);              // Finish(response, request) of a method that only reads
//   co_return response;
//
// The generator writes those lines into each in-process binding; the gRPC server and the HTTP edge
// call that binding, so the rules are applied once. The whole costs about 150 ns. One object a
// call; not thread-safe.
//
// How many calls of a service run at once is up to its limiter (resilience/concurrency_limiter.h):
// what is above is refused as OVERLOADED with a delay, the least important first. A call has the
// priority of the call that it is part of, else its method's. A stream is refused so too, but takes
// no place: it lasts as long as its reader likes. A method may have a bound of its own besides.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "platform/resilience/concurrency_limiter.h"
#include "platform/rpc/call_context.h"
#include "platform/rpc/descriptor.h"
#include "platform/rpc/fallback.h"
#include "platform/telemetry/metrics.h"
#include "platform/telemetry/span.h"

namespace starling::telemetry {
class Telemetry;
}

namespace starling::rpc {

class IdempotencyStore;

// A method in this process: what changes while it runs. Thread-safe.
struct MethodRuntime {
  const MethodDescriptor* descriptor = nullptr;
  std::string_view service;  // "catalog"
  std::atomic<int64_t> deadline_ns{0};
  std::atomic<resilience::Priority> priority{resilience::Priority::kNormal};
  resilience::ConcurrencyLimiter* limiter = nullptr;  // of the service
  resilience::ConcurrencyLimiter::Kind usual;
  int max_in_flight = 0;  // the method's own bound; 0: none
  std::atomic<int> in_flight{0};
  telemetry::MethodMetrics* metrics = nullptr;
  telemetry::Counter* shed = nullptr;  // refused at a bound
  telemetry::Counter* cut = nullptr;   // ended by the deadline
  telemetry::Metrics* all_metrics = nullptr;
  telemetry::Tracer* tracer = nullptr;
  IdempotencyStore* idempotency = nullptr;  // nullptr: idempotency keys are refused
  std::atomic<Fallback> fallback{Fallback::kNone};
  std::atomic<int64_t> fallback_age_ns{0};
  std::atomic<LastGoodAnswers*> answers{nullptr};  // nullptr: none are kept

  // The refusal of a call at the service's limit: counted, and an event of its span.
  Status Shed(telemetry::Span& span, resilience::Priority call);
};

// A service in this process. The methods' order is the contract's.
class ServiceRuntime {
 public:
  struct Options {
    resilience::ConcurrencyLimiter::Options concurrency{.adaptive = false};
  };
  ServiceRuntime(const ServiceDescriptor& descriptor, telemetry::Telemetry& telemetry,
                 IdempotencyStore* idempotency, Options options);
  ~ServiceRuntime();

  MethodRuntime& method(int index) { return methods_[index]; }
  const ServiceDescriptor& descriptor() const { return descriptor_; }

  // These change policies while it serves. NOT_FOUND names the methods there are.
  Status SetDeadline(std::string_view method, Duration deadline);
  // nullopt: as the contract says.
  Status SetPriority(std::string_view method, std::optional<resilience::Priority> priority);
  // `answers` outlives this; INVALID_ARGUMENT where there can be no fallback.
  Status SetFallback(std::string_view method, FallbackPolicy policy, LastGoodAnswers& answers);
  void SetConcurrency(const resilience::ConcurrencyLimiter::Options& options) {
    limiter_->Set(options);
  }
  const resilience::ConcurrencyLimiter& limiter() const { return *limiter_; }

 private:
  StatusOr<MethodRuntime*> Find(std::string_view method);

  const ServiceDescriptor& descriptor_;
  // Shared with the metrics, which may outlive this.
  const std::shared_ptr<resilience::ConcurrencyLimiter> limiter_;
  std::vector<MethodRuntime> methods_;
};

// Whether `caller` may call. `owner` is the value of the request's owner field, "" when the rule
// names none.
Status CheckAccess(const MethodDescriptor& method, const CallContext& context,
                   std::string_view owner);

class ServerCall {
 public:
  ServerCall(MethodRuntime& method, CallContext& caller, std::string_view owner);
  // A call that is dropped without Finish (its coroutine was destroyed) counts as CANCELLED.
  ~ServerCall();
  ServerCall(const ServerCall&) = delete;
  ServerCall& operator=(const ServerCall&) = delete;

  bool admitted() const { return admission_.ok(); }
  // Records the refusal and gives it.
  Status refusal();
  CallContext& context() { return context_; }
  MethodRuntime& method() const { return method_; }
  bool has_idempotency_key() const { return !idempotency_key_.empty(); }
  const std::string& idempotency_key() const { return idempotency_key_; }

  // Records the outcome. An answer that comes too late becomes an error: the caller has given up.
  // By reference, since to move a message costs as much as everything else here.
  template <typename T>
  void Finish(StatusOr<T>& result) {
    const Instant end = std::chrono::steady_clock::now();
    if (end > context_.deadline && result.ok()) result = CutAtDeadline();
    Record(result.status(), end);
  }
  void Finish(const Status& status) { Record(status, std::chrono::steady_clock::now()); }

  // The same for a method that only reads, which may have a fallback. Metrics and span have the
  // status of the call itself.
  template <typename T, typename Request>
  void Finish(StatusOr<T>& result, const Request& request) {
    if (method_.fallback.load(std::memory_order_relaxed) == Fallback::kNone) [[likely]]
      return Finish(result);
    const Instant end = std::chrono::steady_clock::now();
    if (end > context_.deadline && result.ok()) result = CutAtDeadline();
    const Status status = result.status();
    if (status.ok()) {
      Keep(request.SerializeAsString(), result->SerializeAsString());
    } else if (end <= context_.deadline) {
      FallBack(status, request, result);
    }
    Record(status, end);
  }
  template <typename T, typename Request>
  StatusOr<T> Refuse(const Request& request) {
    StatusOr<T> result = admission_;
    if (method_.fallback.load(std::memory_order_relaxed) != Fallback::kNone)
      FallBack(admission_, request, result);
    Record(admission_, std::chrono::steady_clock::now());
    return result;
  }

 private:
  template <typename T, typename Request>
  void FallBack(const Status& status, const Request& request, StatusOr<T>& result) {
    if (!FallsBack(status)) return;
    const std::optional<std::string> bytes = FindFallback(request.SerializeAsString());
    if (!bytes) return;
    result = T();
    (void)result->ParseFromString(*bytes);  // our own bytes
  }
  void Keep(const std::string& request, std::string answer);
  // The bytes to answer with, told of; nullopt when there are none.
  std::optional<std::string> FindFallback(const std::string& request);
  void TakePlace();
  Status CutAtDeadline();
  void Record(const Status& status, Instant end);

  MethodRuntime& method_;
  CallContext& caller_;
  const Instant start_;
  CallContext context_;
  std::string idempotency_key_;
  telemetry::Span span_;
  Status admission_;
  resilience::ConcurrencyLimiter::Admission place_;
  bool counted_ = false;  // by the method's own bound
  bool timed_ = false;    // the limiter hears how long it took
  bool recorded_ = false;
};

}  // namespace starling::rpc

// What holds for every call of every service, whichever way it came: access rule, bound, deadline,
// span, metrics.
//
//   ServerCall call(runtime_.method(4), context, request.user_id());
//   if (!call.admitted()) co_return call.refusal();
//   StatusOr<Product> response = co_await implementation_->GetProduct(call.context(), request);
//   call.Finish(response);
//   co_return response;
//
// The generator writes those lines into each in-process binding; the gRPC server and the HTTP edge
// call that binding, so the rules are applied once. The whole costs about 150 ns. One object a
// call; not thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <string_view>
#include <vector>

#include "platform/rpc/call_context.h"
#include "platform/rpc/descriptor.h"
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
  std::atomic<int> max_in_flight{0};
  std::atomic<int> in_flight{0};
  telemetry::MethodMetrics* metrics = nullptr;
  telemetry::Counter* shed = nullptr;  // refused at max_in_flight
  telemetry::Counter* cut = nullptr;   // ended by the deadline
  telemetry::Tracer* tracer = nullptr;
  IdempotencyStore* idempotency = nullptr;  // nullptr: idempotency keys are refused
};

// A service in this process. The methods' order is the contract's.
class ServiceRuntime {
 public:
  struct Options {
    int max_in_flight = 10'000;  // a method, where its contract does not say
  };
  ServiceRuntime(const ServiceDescriptor& descriptor, telemetry::Telemetry& telemetry,
                 IdempotencyStore* idempotency, Options options);
  ~ServiceRuntime();

  MethodRuntime& method(int index) { return methods_[index]; }
  const ServiceDescriptor& descriptor() const { return descriptor_; }

  // Changes a method's policy while it serves; NOT_FOUND names the methods there are.
  Status SetDeadline(std::string_view method, Duration deadline);

 private:
  const ServiceDescriptor& descriptor_;
  std::vector<MethodRuntime> methods_;
};

// Whether `caller` may call. `owner` is the value of the request's owner field, "" when the rule
// names none.
Status CheckAccess(const MethodDescriptor& method, const CallContext& context,
                   std::string_view owner);

class ServerCall {
 public:
  ServerCall(MethodRuntime& method, const CallContext& caller, std::string_view owner);
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

 private:
  Status CutAtDeadline();
  void Record(const Status& status, Instant end);

  MethodRuntime& method_;
  const Instant start_;
  CallContext context_;
  std::string idempotency_key_;
  telemetry::Span span_;
  Status admission_;
  bool counted_ = false;
  bool recorded_ = false;
};

}  // namespace starling::rpc

// Saga: a business process over several services, as steps that each can be undone.
//
//   saga::Definition order{.name = "place_order", .steps = {
//       {.name = "reserve", .action = reserve, .compensation = release},
//       {.name = "pay", .action = pay, .compensation = refund, .pivot = true},
//       {.name = "ship", .action = ship}}};
//
//   Task<Status> Reserve(saga::StepContext& context, saga::State& state) {
//     CO_ASSIGN_OR_RETURN(const Order order, state.As<Order>());
//     rpc::CallContext call = context.Call();              // with deadline, key and trace
//     const ReserveRequest request = RequestOf(order, context.key());
//     StatusOr<Reservation> reserved = co_await stock->Reserve(call, request);
//     co_return reserved.status();
//   }
//
// Steps run in order. When one fails, the compensations of those before it run in reverse order,
// and its own too when nobody knows whether it acted. Once the pivot has succeeded there is no way
// back: what follows is tried until it succeeds.
//
// What an attempt's status means:
//   OK                     done; the state as the step left it is kept
//   a refusal, as rpc::IsFinal says (INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, ...)
//                          nothing was done and nothing will be: before the pivot, and at it, the
//                          saga turns back; else the step is tried again with a new key
//   anything else          nobody knows: tried again with the same key. Before the pivot at most
//                          `max_attempts` times, then the saga turns back. The pivot itself is
//                          tried until its outcome is known.
// A compensation is tried until it succeeds. One that has nothing to undo succeeds, and makes that
// an action of the same saga that comes late does nothing (docs/sagas.md has an example).
//
// An attempt that an ended process cut counts as one whose outcome nobody knows: so an action may
// run more than once, with the same key. Its requests must then be the same too: made from the
// state and the key alone, without clock or chance.
//
// Source: Garcia-Molina, Salem: Sagas (SIGMOD 1987); pivot and retriable steps: Richardson,
// Microservices Patterns (2018), 4.3.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/task.h"
#include "platform/base/status.h"
#include "platform/rpc/call_context.h"

namespace starling::saga {

// What a saga knows, as bytes that are durable after each step; at most kMaxStateBytes.
struct State {
  std::string bytes;

  // As a protobuf message.
  template <typename Message>
  StatusOr<Message> As() const {
    Message message;
    if (!message.ParseFromString(bytes)) {
      return DataLoss("the state of the saga is no {}", Message::descriptor()->full_name());
    }
    return message;
  }
  template <typename Message>
  void Set(const Message& message) {
    message.SerializeToString(&bytes);
  }
};
inline constexpr size_t kMaxStateBytes = 256 << 10;

// One attempt of a step. Good as long as the attempt runs.
class StepContext {
 public:
  // What a call of this attempt is made with: deadline, idempotency key, trace, cancellation. One
  // changing call a step: two of the same method would share the key.
  rpc::CallContext Call() const;

  // "place_order/42/pay", "place_order/42/pay/c" for the compensation; "~1" behind it after one
  // refusal. The same for every attempt whose predecessor's outcome nobody knows.
  const std::string& key() const { return key_; }
  const std::string& run_id() const { return run_id_; }
  bool compensation() const { return compensation_; }
  int attempt() const { return attempt_; }  // from 1
  Instant deadline() const { return deadline_; }
  const CancellationToken& cancellation() const { return cancellation_; }
  const telemetry::TraceContext& trace() const { return trace_; }

 private:
  friend class Attempt;
  std::string service_, run_id_, key_;
  bool compensation_ = false;
  int attempt_ = 1;
  Instant deadline_;
  CancellationToken cancellation_;
  telemetry::TraceContext trace_;
};

// Works on copies of its own: at the step's timeout the attempt is cancelled and left to end by
// itself. What it captures must live as long as the process' threads, as a service does.
using Action = std::function<Task<Status>(StepContext&, State&)>;

// The pause before attempt n + 1 is first_pause * 2^(n - 1), at most max_pause, times a random
// factor between 0.5 and 1.
struct RetryPolicy {
  int max_attempts = 5;
  Duration first_pause = std::chrono::milliseconds(100);
  Duration max_pause = std::chrono::minutes(1);
};

struct Step {
  std::string name;                             // a-z, 0-9, '_' and '-', at most 48
  Action action;                                // needed
  Action compensation = {};                     // none: there is nothing to undo
  Duration timeout = std::chrono::seconds(10);  // of one attempt
  RetryPolicy retry = {};
  bool pivot = false;  // at most one step
};

struct Definition {
  std::string name;  // as a step's
  // A run keeps the version that it was started with: change the version when steps are added,
  // removed or renamed, and keep the old one in the program until its runs have ended.
  int version = 1;
  std::vector<Step> steps = {};  // 1 to 64
  // Of a whole run, after which it turns back when it still can; 0: none.
  Duration timeout = Duration(0);
};

// INTERNAL says what is wrong: it is the program's own mistake.
Status Validate(const Definition& definition);
// The pivot's index; the number of steps when there is none.
int PivotOf(const Definition& definition);
// A run's id: 1 to 128 printable ASCII characters without spaces and '/'. INVALID_ARGUMENT.
Status CheckRunId(std::string_view id);

}  // namespace starling::saga

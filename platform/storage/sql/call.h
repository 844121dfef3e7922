// One queued Read or Write between Database and its adapter: the function, and where its result
// goes.
#pragma once

#include <future>
#include <optional>
#include <type_traits>
#include <utility>

#include "platform/base/status.h"

namespace starling::sql {

// An adapter calls Run, again only for a transaction that clashed with another and was rolled back,
// then Finish exactly once.
template <typename Scope>
class Call {
 public:
  virtual ~Call() = default;
  // Runs the caller's function and keeps its result. An error says that the scope must be rolled
  // back.
  virtual Status Run(Scope& scope) = 0;
  // OK delivers the kept result, an error is delivered in its place.
  virtual void Finish(Status status) = 0;
};

namespace internal {

inline const Status& StatusOf(const Status& status) { return status; }
template <typename T>
const Status& StatusOf(const StatusOr<T>& result) {
  return result.status();
}

// Deliver is called with the result: a Completion or a PromiseDelivery.
template <typename Scope, typename F, typename Deliver>
class FunctionCall final : public Call<Scope> {
 public:
  using Result = std::invoke_result_t<F&, Scope&>;
  FunctionCall(F& function, Deliver deliver) : function_(function), deliver_(std::move(deliver)) {}
  Status Run(Scope& scope) override {
    result_.emplace(function_(scope));
    return StatusOf(*result_);
  }
  void Finish(Status status) override {
    if (status.ok()) {
      deliver_(*std::move(result_));
    } else {
      result_.reset();
      deliver_(Result(std::move(status)));
    }
  }

 private:
  F& function_;  // in the caller's frame, which waits for the delivery
  Deliver deliver_;
  std::optional<Result> result_;
};

// Owns the promise: the one who waits may be gone before set_value returns.
template <typename Result>
struct PromiseDelivery {
  std::promise<Result> promise;
  void operator()(Result result) { promise.set_value(std::move(result)); }
};

}  // namespace internal
}  // namespace starling::sql

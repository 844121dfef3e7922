// One attempt of a step: the action on copies of its own, until it ends or its time is over.
//
//   auto attempt = std::make_shared<Attempt>(definition, service, run, trace, executor);
//   const Status outcome = co_await attempt->Wait();     // DEADLINE_EXCEEDED at the step's timeout
//   if (outcome.ok()) run.state = attempt->state();
//
// At the timeout the action's cancellation is asked for and it is left to end by itself: what it
// works on is the attempt's, which lives as long. Made, awaited and read on one io thread; Cut may
// come from any.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "platform/saga/machine.h"

namespace starling::saga {

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  // Of the step that `run` has begun.
  Attempt(std::shared_ptr<const Definition> definition, std::string service, const Run& run,
          const telemetry::TraceContext& trace, const Executor& executor);

  Task<Status> Wait();
  State& state() { return state_; }
  // Asks the action to end, and stops waiting for it after `grace`.
  void Cut(Duration grace);

 private:
  static Task<void> Act(std::shared_ptr<Attempt> self);

  const std::shared_ptr<const Definition> definition_;
  const Executor executor_;
  const Action* action_;
  StepContext context_;
  State state_;
  CancellationSource cancellation_;
  boost::asio::steady_timer timer_;
  Status outcome_;
  bool done_ = false;
  bool given_up_ = false;
};

}  // namespace starling::saga

// What a run does next: the pure part, without clock, thread or storage.
//
//   Machine machine(definition, run, {});
//   machine.Resume(now);                              // as it came from the storage
//   if (machine.Decide(now) == Next::kCall) machine.Begin(now);       // ... store it, then call
//   machine.Finish(outcome, now);                     // ... and again from Decide
//
//   forward ----step done, next step ...----> completed
//      | a refusal, attempts used up, cancelled, overdue: not behind the pivot
//      v
//   compensating --compensation done, the one before ...--> compensated
#pragma once

#include <cstdint>

#include "platform/base/id.h"
#include "platform/saga/run.h"

namespace starling::saga {

enum class Next { kCall, kWait, kEnd };

class Machine {
 public:
  struct Options {
    int stuck_after = 20;  // attempts of a step that cannot turn back
    uint64_t (*random)() = FastRandom;
  };
  // Works on `run`; both must live as long.
  Machine(const Definition& definition, Run& run, Options options)
      : definition_(definition), run_(run), options_(options), pivot_(PivotOf(definition)) {}

  // An attempt that has begun and never ended, of a process that is gone, ends as UNAVAILABLE.
  void Resume(TimePoint now);
  // Turns back when it must. kWait: run.due_at says until when.
  Next Decide(TimePoint now);
  // Begins the attempt at run.step.
  void Begin(TimePoint now);
  // The outcome of the attempt.
  void Finish(const Status& outcome, TimePoint now);
  // The attempt was cut because this process stops: it does not count, and is due at once.
  void Interrupt(TimePoint now);

  const Step& step() const { return definition_.steps[run_.step]; }
  bool compensating() const { return run_.phase == Phase::kCompensating; }
  // Whether a cancellation can still turn it back.
  bool CanTurnBack() const;

 private:
  StepRecord& Current();
  void Succeed(StepRecord& record, TimePoint now);
  void Fail(StepRecord& record, const Status& outcome, TimePoint now);
  void TurnBack(const Status& why, TimePoint now);
  // Goes to the last step before `before` that has something to undo.
  void CompensateBefore(int before, TimePoint now);
  void End(Phase phase, TimePoint now);
  bool NeedsCompensation(int step) const;
  Duration Pause(int attempts) const;

  const Definition& definition_;
  Run& run_;
  const Options options_;
  const int pivot_;
};

// The idempotency key of the attempt.
std::string KeyOf(const Run& run, const StepRecord& record);

}  // namespace starling::saga

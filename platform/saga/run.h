// One run of a saga, as it is stored and shown.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/status.h"
#include "platform/saga/saga.h"

namespace starling::saga {

// The numbers are stored.
enum class Phase { kForward = 0, kCompensating = 1, kCompleted = 2, kCompensated = 3 };
enum class StepPhase {
  kRunning = 0,  // an attempt has begun, and its end is not written
  kWaiting = 1,  // for the next attempt
  kDone = 2,
  kFailed = 3,  // the saga turned back here
};

std::string_view Name(Phase phase);      // "forward", "compensating", "completed", "compensated"
std::string_view Name(StepPhase phase);  // "running", "waiting", "done", "failed"
std::optional<Phase> ParsePhase(std::string_view name);
inline bool Ended(Phase phase) { return phase >= Phase::kCompleted; }

// What is known of one step's action, or of its compensation.
struct StepRecord {
  int step = 0;  // index into the definition's steps
  bool compensation = false;
  std::string name;
  StepPhase phase = StepPhase::kRunning;
  int attempts = 0;
  int refusals = 0;        // attempts that were refused: each gives the next one a new key
  bool uncertain = false;  // some attempt's outcome nobody knows
  TimePoint started_at;    // of the first attempt
  TimePoint ended_at;      // of the last attempt that ended; the epoch when none did
  Status last;             // its outcome
};

struct Run {
  std::string id;
  std::string saga;
  int version = 1;
  Phase phase = Phase::kForward;
  int step = 0;  // where it is
  State state;
  std::string trace;  // the W3C traceparent of who started it, or ""
  Status failure;     // why it turned back; OK when it did not
  bool cancelled = false;
  bool stuck = false;  // tried often, and cannot turn back
  TimePoint started_at, updated_at;
  TimePoint ended_at;                  // the epoch while it is open
  TimePoint due_at;                    // of the next attempt
  std::vector<StepRecord> steps = {};  // in the order of their first attempts

  // The record of an action or a compensation; nullptr before its first attempt.
  const StepRecord* Find(int step, bool compensation) const;
  StepRecord* Find(int step, bool compensation);
};

}  // namespace starling::saga

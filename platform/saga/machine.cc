#include "platform/saga/machine.h"

#include <algorithm>

#include "platform/rpc/idempotency.h"

namespace starling::saga {
namespace {

constexpr size_t kMaxMessage = 500;

// Bounded, and cut between characters.
Status Shortened(const Status& status) {
  const absl::string_view message = status.message();
  if (message.size() <= kMaxMessage) return Status(status.code(), message);
  size_t size = kMaxMessage;
  while (size > 0 && (static_cast<unsigned char>(message[size]) & 0xc0) == 0x80) --size;
  return Status(status.code(), message.substr(0, size));
}

constexpr std::string_view kPhases[] = {"forward", "compensating", "completed", "compensated"};
constexpr std::string_view kStepPhases[] = {"running", "waiting", "done", "failed"};

}  // namespace

std::string_view Name(Phase phase) { return kPhases[static_cast<size_t>(phase)]; }
std::string_view Name(StepPhase phase) { return kStepPhases[static_cast<size_t>(phase)]; }

std::optional<Phase> ParsePhase(std::string_view name) {
  for (size_t i = 0; i < std::size(kPhases); ++i) {
    if (kPhases[i] == name) return static_cast<Phase>(i);
  }
  return std::nullopt;
}

const StepRecord* Run::Find(int step, bool compensation) const {
  const auto at = std::find_if(steps.begin(), steps.end(), [&](const StepRecord& record) {
    return record.step == step && record.compensation == compensation;
  });
  return at == steps.end() ? nullptr : &*at;
}

StepRecord* Run::Find(int step, bool compensation) {
  return const_cast<StepRecord*>(static_cast<const Run*>(this)->Find(step, compensation));
}

std::string KeyOf(const Run& run, const StepRecord& record) {
  std::string key =
      fmt::format("{}/{}/{}{}", run.saga, run.id, record.name, record.compensation ? "/c" : "");
  // What was refused did nothing, so a new key is safe; with the old one the participant would
  // repeat its refusal for as long as it remembers it.
  if (record.refusals > 0) key += fmt::format("~{}", record.refusals);
  return key;
}

StepRecord& Machine::Current() {
  if (StepRecord* record = run_.Find(run_.step, compensating())) return *record;
  run_.steps.push_back({.step = run_.step, .compensation = compensating(), .name = step().name});
  return run_.steps.back();
}

void Machine::Resume(TimePoint now) {
  StepRecord* record = Ended(run_.phase) ? nullptr : run_.Find(run_.step, compensating());
  if (record == nullptr || record->phase != StepPhase::kRunning) return;
  Fail(*record, Unavailable("the process that ran this attempt is gone"), now);
  if (!Ended(run_.phase)) run_.due_at = now;  // it has waited long enough
}

bool Machine::CanTurnBack() const {
  if (run_.phase != Phase::kForward || run_.step > pivot_) return false;
  // A pivot that may have acted is asked until it says.
  const StepRecord* record = run_.Find(run_.step, false);
  return run_.step < pivot_ || record == nullptr || !record->uncertain;
}

Next Machine::Decide(TimePoint now) {
  if (CanTurnBack()) {
    if (run_.cancelled) {
      TurnBack(Cancelled("the run was cancelled"), now);
    } else if (definition_.timeout > Duration(0)) {
      const TimePoint limit = run_.started_at + definition_.timeout;
      if (now >= limit) {
        TurnBack(
            DeadlineExceeded("the run did not end within {}", FormatDuration(definition_.timeout)),
            now);
      } else {
        run_.due_at = std::min(run_.due_at, limit);
      }
    }
  }
  if (Ended(run_.phase)) return Next::kEnd;
  return run_.due_at > now ? Next::kWait : Next::kCall;
}

void Machine::Begin(TimePoint now) {
  StepRecord& record = Current();
  if (record.attempts == 0) record.started_at = now;
  record.phase = StepPhase::kRunning;
  ++record.attempts;
  run_.updated_at = now;
}

void Machine::Finish(const Status& outcome, TimePoint now) {
  StepRecord& record = Current();
  if (outcome.ok()) {
    Succeed(record, now);
  } else {
    Fail(record, outcome, now);
  }
}

void Machine::Interrupt(TimePoint now) {
  StepRecord& record = Current();
  record.phase = StepPhase::kWaiting;
  record.uncertain = true;
  --record.attempts;
  run_.due_at = now;
  run_.updated_at = now;
}

void Machine::Succeed(StepRecord& record, TimePoint now) {
  record.phase = StepPhase::kDone;
  record.last = OkStatus();
  record.ended_at = now;
  run_.stuck = false;
  run_.updated_at = now;
  run_.due_at = now;
  if (compensating()) {
    CompensateBefore(run_.step, now);
  } else if (++run_.step == static_cast<int>(definition_.steps.size())) {
    --run_.step;
    End(Phase::kCompleted, now);
  }
}

void Machine::Fail(StepRecord& record, const Status& outcome, TimePoint now) {
  const bool refused = rpc::IsFinal(outcome);
  if (refused) {
    ++record.refusals;
  } else {
    record.uncertain = true;
  }
  record.last = Shortened(outcome);
  record.ended_at = now;
  record.phase = StepPhase::kWaiting;
  run_.updated_at = now;
  const bool used_up = record.attempts >= step().retry.max_attempts;
  const bool turns = !compensating() && (run_.step < pivot_    ? refused || used_up
                                         : run_.step == pivot_ ? refused
                                                               : false);
  if (turns) {
    TurnBack(outcome, now);
    return;
  }
  run_.due_at = now + Pause(record.attempts);
  const bool for_ever = compensating() || run_.step >= pivot_;
  run_.stuck = for_ever && record.attempts >= options_.stuck_after;
}

void Machine::TurnBack(const Status& why, TimePoint now) {
  if (StepRecord* record = run_.Find(run_.step, false)) record->phase = StepPhase::kFailed;
  run_.failure = Annotate(Shortened(why), step().name);
  run_.phase = Phase::kCompensating;
  run_.updated_at = now;
  CompensateBefore(run_.step + 1, now);
}

bool Machine::NeedsCompensation(int index) const {
  const StepRecord* record = run_.Find(index, false);
  return record != nullptr && definition_.steps[index].compensation &&
         (record->phase == StepPhase::kDone || record->uncertain);
}

void Machine::CompensateBefore(int before, TimePoint now) {
  for (int index = before - 1; index >= 0; --index) {
    if (!NeedsCompensation(index)) continue;
    run_.step = index;
    run_.due_at = now;
    return;
  }
  End(Phase::kCompensated, now);
}

void Machine::End(Phase phase, TimePoint now) {
  run_.phase = phase;
  run_.ended_at = now;
  run_.updated_at = now;
  run_.stuck = false;
}

Duration Machine::Pause(int attempts) const {
  const RetryPolicy& retry = step().retry;
  Duration pause = retry.first_pause;
  for (int i = 1; i < attempts && pause < retry.max_pause; ++i) pause *= 2;
  pause = std::min(pause, retry.max_pause);
  // 53 random bits, as a double in [0, 1).
  const double fraction =
      static_cast<double>(options_.random() >> 11) / static_cast<double>(1ULL << 53);
  return Duration(static_cast<int64_t>(static_cast<double>(pause.count()) * (0.5 + fraction / 2)));
}

}  // namespace starling::saga

#include "platform/saga/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/rpc/idempotency.h"

namespace starling::saga {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kNoPivot = -1;

Task<Status> Nothing(StepContext&, State&) { co_return OkStatus(); }

// Steps a, b, c, ..., each with a compensation.
Definition Steps(int count, int pivot = kNoPivot) {
  Definition definition{.name = "s"};
  for (int i = 0; i < count; ++i) {
    definition.steps.push_back({.name = std::string(1, static_cast<char>('a' + i)),
                                .action = Nothing,
                                .compensation = Nothing,
                                .retry = {.max_attempts = 3, .first_pause = milliseconds(100)},
                                .pivot = i == pivot});
  }
  return definition;
}

// Plays a run: what is called, with which outcome, as time goes by.
class Play {
 public:
  explicit Play(Definition definition, int stuck_after = 20)
      : definition_(std::move(definition)),
        machine_(definition_, run_,
                 {.stuck_after = stuck_after, .random = [] { return ~uint64_t{0}; }}) {
    run_.id = "1";
    run_.saga = definition_.name;
    run_.started_at = run_.due_at = now_;
  }

  // Waits until the next attempt is due and begins it: its key, or "end".
  std::string Next() {
    switch (machine_.Decide(now_)) {
      case saga::Next::kEnd:
        return "end";
      case saga::Next::kWait:
        now_ = run_.due_at;
        return Next();
      case saga::Next::kCall:
        break;
    }
    machine_.Begin(now_);
    return KeyOf(run_, *run_.Find(run_.step, machine_.compensating()));
  }
  // The same and ends it so.
  std::string Next(const Status& outcome) {
    std::string key = Next();
    if (key != "end") machine_.Finish(outcome, now_);
    return key;
  }
  // All that follows, when all succeeds.
  std::vector<std::string> Rest() {
    std::vector<std::string> keys;
    for (std::string key = Next(OkStatus()); key != "end"; key = Next(OkStatus())) {
      keys.push_back(key);
    }
    return keys;
  }
  void Pass(Duration by) { now_ += by; }

  Definition definition_;
  Run run_;
  TimePoint now_ = TimePoint(seconds(1'000));
  Machine machine_;
};

Status Refused() { return FailedPrecondition("no"); }
Status Lost() { return Unavailable("lost"); }

TEST(SagaMachine, RunsTheStepsInOrder) {
  Play play(Steps(3));
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/a", "s/1/b", "s/1/c"));
  EXPECT_EQ(play.run_.phase, Phase::kCompleted);
}

TEST(SagaMachine, ARefusalUndoesTheStepsBeforeInReverseOrderAndNotItself) {
  Play play(Steps(3));
  play.Next(OkStatus());
  play.Next(OkStatus());
  EXPECT_EQ(play.Next(Refused()), "s/1/c");
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/b/c", "s/1/a/c"));
  EXPECT_EQ(play.run_.phase, Phase::kCompensated);
  EXPECT_THAT(ToString(play.run_.failure), HasSubstr("FAILED_PRECONDITION: c: no"));
}

TEST(SagaMachine, AStepThatMayHaveActedIsUndoneToo) {
  Play play(Steps(2));
  play.Next(OkStatus());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(play.Next(Lost()), "s/1/b");
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/b/c", "s/1/a/c"));
}

TEST(SagaMachine, ARefusalAfterAnAttemptThatMayHaveActedIsUndoneToo) {
  Play play(Steps(1));
  play.Next(Lost());
  play.Next(Refused());
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/a/c"));
}

TEST(SagaMachine, StepsWithoutCompensationHaveNothingToUndo) {
  Definition definition = Steps(3);
  definition.steps[1].compensation = nullptr;
  Play play(std::move(definition));
  play.Next(OkStatus());
  play.Next(OkStatus());
  play.Next(Refused());
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/a/c"));
}

TEST(SagaMachine, ARefusedFirstStepLeavesNothingToUndo) {
  Play play(Steps(2));
  play.Next(Refused());
  EXPECT_EQ(play.Next(), "end");
  EXPECT_EQ(play.run_.phase, Phase::kCompensated);
}

TEST(SagaMachine, ACompensationIsTriedForEverWithANewKeyAfterARefusal) {
  Play play(Steps(2), 4);
  play.Next(OkStatus());
  play.Next(Refused());
  EXPECT_EQ(play.Next(Lost()), "s/1/a/c");
  EXPECT_EQ(play.Next(Lost()), "s/1/a/c");
  EXPECT_EQ(play.Next(Refused()), "s/1/a/c");
  EXPECT_FALSE(play.run_.stuck);
  EXPECT_EQ(play.Next(Refused()), "s/1/a/c~1");
  EXPECT_TRUE(play.run_.stuck);
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/a/c~2"));
  EXPECT_FALSE(play.run_.stuck);
  EXPECT_EQ(play.run_.phase, Phase::kCompensated);
}

TEST(SagaMachine, BehindThePivotItOnlyGoesForward) {
  Play play(Steps(2, 0), 5);
  play.Next(OkStatus());
  play.run_.cancelled = true;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(play.Next(Lost()), "s/1/b");
  EXPECT_FALSE(play.run_.stuck);
  EXPECT_EQ(play.Next(Refused()), "s/1/b");
  EXPECT_TRUE(play.run_.stuck);
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/b~1"));
  EXPECT_EQ(play.run_.phase, Phase::kCompleted);
}

TEST(SagaMachine, ThePivotIsTriedUntilItsOutcomeIsKnown) {
  Play play(Steps(2, 1));
  play.Next(OkStatus());
  for (int i = 0; i < 7; ++i) EXPECT_EQ(play.Next(Lost()), "s/1/b");
  play.run_.cancelled = true;  // may be paid already
  EXPECT_FALSE(play.machine_.CanTurnBack());
  EXPECT_EQ(play.Next(Refused()), "s/1/b");
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/b/c", "s/1/a/c"));
}

TEST(SagaMachine, ACancelledRunTurnsBackBeforeThePivotBegins) {
  Play play(Steps(2, 1));
  play.Next(OkStatus());
  play.run_.cancelled = true;
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/a/c"));
  EXPECT_EQ(play.run_.failure.code(), StatusCode::kCancelled);
}

TEST(SagaMachine, ARunThatTakesTooLongTurnsBackAtItsTimeoutAlsoInAPause) {
  Definition definition = Steps(2);
  definition.timeout = milliseconds(150);
  definition.steps[0].retry = {
      .max_attempts = 99, .first_pause = seconds(60), .max_pause = seconds(60)};
  Play play(std::move(definition));
  const TimePoint start = play.now_;
  play.Next(Lost());
  EXPECT_EQ(play.Next(), "s/1/a/c");
  EXPECT_EQ(play.now_, start + milliseconds(150));
  EXPECT_EQ(play.run_.failure.code(), StatusCode::kDeadlineExceeded);
}

TEST(SagaMachine, AnAttemptOfAProcessThatIsGoneCountsAndIsRepeatedAtOnceWithItsKey) {
  Play play(Steps(2));
  play.Next();
  play.machine_.Resume(play.now_);
  const TimePoint before = play.now_;
  EXPECT_EQ(play.Next(), "s/1/a");
  EXPECT_EQ(play.now_, before);
  play.machine_.Resume(play.now_);
  EXPECT_EQ(play.Next(), "s/1/a");
  play.machine_.Resume(play.now_);  // the third of three
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/a/c"));
}

TEST(SagaMachine, ResumeLeavesARunThatWaitsAsItIs) {
  Play play(Steps(1));
  play.Next(Lost());
  const TimePoint due = play.run_.due_at;
  play.machine_.Resume(play.now_);
  EXPECT_EQ(play.run_.due_at, due);
  EXPECT_EQ(play.run_.steps[0].attempts, 1);
}

TEST(SagaMachine, AnInterruptedAttemptDoesNotCountButMayHaveActed) {
  Play play(Steps(1));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(play.Next(), "s/1/a");
    play.machine_.Interrupt(play.now_);
  }
  EXPECT_EQ(play.run_.steps[0].attempts, 0);
  play.Next(Refused());
  EXPECT_THAT(play.Rest(), ElementsAre("s/1/a/c"));
}

TEST(SagaMachine, PausesDoubleUpToALimitAndAreDrawnBetweenHalfAndAll) {
  for (const bool longest : {true, false}) {
    Definition definition = Steps(1);
    definition.steps[0].retry = {
        .max_attempts = 99, .first_pause = milliseconds(100), .max_pause = milliseconds(350)};
    saga::Run run{.id = "1", .saga = "s"};
    Machine machine(definition, run, {.random = longest ? +[] { return ~uint64_t{0}; } : +[] {
                      return uint64_t{0};
                    }});
    std::vector<int64_t> pauses;
    const TimePoint now{};
    for (int i = 0; i < 4; ++i) {
      machine.Begin(now);
      machine.Finish(Lost(), now);
      pauses.push_back((run.due_at - now + Duration(500'000)) / milliseconds(1));
    }
    EXPECT_THAT(pauses, longest ? ElementsAre(100, 200, 350, 350) : ElementsAre(50, 100, 175, 175));
  }
}

TEST(SagaMachine, LongMessagesAreCutBetweenCharacters) {
  Play play(Steps(1));
  std::string message(499, 'x');
  for (int i = 0; i < 9; ++i) message += "\u00e9";
  play.Next(Unavailable("{}", message));
  EXPECT_EQ(play.run_.steps[0].last.message(), std::string(499, 'x'));
}

TEST(SagaDefinition, SaysWhatIsWrongWithIt) {
  const auto with = [](auto change) {
    Definition definition = Steps(2);
    change(definition);
    return ToString(Validate(definition));
  };
  EXPECT_EQ(with([](Definition&) {}), "OK");
  EXPECT_THAT(with([](Definition& d) { d.name = "Order!"; }), HasSubstr("a name has"));
  EXPECT_THAT(with([](Definition& d) { d.version = 0; }), HasSubstr("versions count from 1"));
  EXPECT_THAT(with([](Definition& d) { d.steps.clear(); }), HasSubstr("1 to 64 steps"));
  EXPECT_THAT(with([](Definition& d) { d.steps[1].name = "a"; }), HasSubstr("two steps are 'a'"));
  EXPECT_THAT(with([](Definition& d) { d.steps[1].action = nullptr; }), HasSubstr("no action"));
  EXPECT_THAT(with([](Definition& d) { d.steps[0].timeout = Duration(0); }), HasSubstr("timeout"));
  EXPECT_THAT(with([](Definition& d) { d.steps[0].retry.max_attempts = 0; }), HasSubstr("above 0"));
  EXPECT_THAT(with([](Definition& d) { d.steps[0].pivot = d.steps[1].pivot = true; }),
              HasSubstr("2 steps are pivots"));
}

TEST(SagaDefinition, RunIdsArePrintableAndBounded) {
  EXPECT_TRUE(CheckRunId("order-42:x").ok());
  for (const std::string& id : {std::string(), std::string(129, 'x'), std::string("a b"),
                                std::string("a/b"), std::string("\xc3\xa9")}) {
    EXPECT_EQ(CheckRunId(id).code(), StatusCode::kInvalidArgument) << id;
  }
}

TEST(SagaDefinition, TheLongestKeyIsOneThatParticipantsTake) {
  Definition definition = Steps(1);
  definition.name = definition.steps[0].name = std::string(48, 'x');
  ASSERT_TRUE(Validate(definition).ok());
  const saga::Run run{.id = std::string(128, 'y'), .saga = definition.name};
  const StepRecord record{
      .compensation = true, .name = definition.steps[0].name, .refusals = 2'000'000'000};
  EXPECT_TRUE(rpc::CheckIdempotencyKey(KeyOf(run, record)).ok());
}

}  // namespace
}  // namespace starling::saga

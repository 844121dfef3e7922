#include "platform/saga/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/saga/test_database.h"

namespace starling::saga {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr Duration kSoon = std::chrono::seconds(30);  // for what happens at once

class SagaEngineTest : public testing::Test {
 protected:
  SagaEngineTest() { database_ = OpenDatabase(); }
  ~SagaEngineTest() override {
    engine_.reset();
    runtime_.Stop();
    database_.reset();
  }

  std::unique_ptr<sql::Database> OpenDatabase() const { return place_.Open(); }
  std::unique_ptr<Engine> OpenEngine(sql::Database& database, Engine::Options options = {}) {
    options.poll = milliseconds(2);
    return *Engine::Open("orders", database, runtime_, telemetry_, clock_, std::move(options));
  }
  void Open(Definition definition, Engine::Options options = {}) {
    engine_ = OpenEngine(*database_, std::move(options));
    ASSERT_TRUE(engine_->Add(std::move(definition)).ok());
  }
  Status Start(const std::string& id, const std::string& input = "",
               const Status& outcome = OkStatus()) {
    return database_->WriteSync([&](sql::Transaction& transaction) -> Status {
      STARLING_RETURN_IF_ERROR(engine_->Start(transaction, "s", id, {input}));
      return outcome;
    });
  }
  saga::Run Wait(const std::string& id) { return *runtime_.Block(engine_->Wait(id, kSoon)); }
  saga::Run Get(const std::string& id) { return *runtime_.Block(engine_->Get(id)); }
  // Until `so` says yes, while time stands still but for what `step` does.
  template <typename F>
  static bool Until(F so) {
    for (int i = 0; i < 15'000; ++i) {
      if (so()) return true;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return false;
  }

  // What the steps saw, as "a", "b", "a/c", ...
  void Note(const StepContext& context, std::string_view what) {
    const std::lock_guard lock(mutex_);
    calls_.emplace_back(what);
    keys_.push_back(context.key());
  }
  std::vector<std::string> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  std::vector<std::string> keys() {
    const std::lock_guard lock(mutex_);
    return keys_;
  }
  // A step that notes its calls and gives what `outcome` says.
  Step Noted(const std::string& name, std::function<Status(StepContext&)> outcome = {}) {
    Step step{.name = name};
    step.action = [this, name, outcome](StepContext& context, State& state) -> Task<Status> {
      Note(context, name);
      state.bytes += name;
      co_return outcome ? outcome(context) : OkStatus();
    };
    step.compensation = [this, name](StepContext& context, State&) -> Task<Status> {
      Note(context, name + "/c");
      co_return OkStatus();
    };
    return step;
  }
  // A step that ends only when its frame is destroyed, and heeds no cancellation.
  Step Hanging(const std::string& name, Duration timeout) {
    Step step = Noted(name);
    step.timeout = timeout;
    step.action = [this, name](StepContext& context, State&) -> Task<Status> {
      Note(context, name);
      co_return co_await Suspend<Status>([this](Completion<Status> completion) {
        const std::lock_guard lock(mutex_);
        hanging_.push_back(std::move(completion));
      });
    };
    return step;
  }

  const TestDatabase place_;
  FakeClock clock_{*ParseRfc3339("2026-01-02T03:04:05Z")};
  telemetry::Telemetry telemetry_;
  std::mutex mutex_;
  std::vector<std::string> calls_, keys_;
  std::vector<Completion<Status>> hanging_;
  Runtime runtime_{{.io_threads = 2}};
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(SagaEngineTest, ARunGoesThroughItsStepsAndKeepsTheirState) {
  Open({.name = "s", .steps = {Noted("a"), Noted("b"), Noted("c")}});
  engine_->Work();
  ASSERT_TRUE(Start("1", "in:").ok());
  const saga::Run run = Wait("1");
  EXPECT_EQ(run.phase, Phase::kCompleted);
  EXPECT_EQ(run.state.bytes, "in:abc");
  EXPECT_THAT(keys(), ElementsAre("s/1/a", "s/1/b", "s/1/c"));
  ASSERT_THAT(run.steps, SizeIs(3));
  EXPECT_EQ(run.steps[2].name, "c");
  EXPECT_EQ(run.steps[2].phase, StepPhase::kDone);
  EXPECT_EQ(run.steps[2].attempts, 1);
}

TEST_F(SagaEngineTest, AFailedRunIsUndoneInReverseOrderAndSaysWhy) {
  Open({.name = "s", .steps = {Noted("a"), Noted("b"), Noted("c", [](StepContext&) {
                                 return FailedPrecondition("no money");
                               })}});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  const saga::Run run = Wait("1");
  EXPECT_EQ(run.phase, Phase::kCompensated);
  EXPECT_THAT(calls(), ElementsAre("a", "b", "c", "b/c", "a/c"));
  EXPECT_EQ(run.state.bytes, "ab") << "what a failed step wrote is not kept";
  EXPECT_THAT(ToString(run.failure), HasSubstr("c: no money"));
  EXPECT_EQ(run.steps.back().name, "a") << "compensations are shown in their order";
}

TEST_F(SagaEngineTest, ACallOfAStepCarriesItsKeyDeadlineTraceAndService) {
  telemetry::TraceContext trace = telemetry::TraceContext::NewRoot();
  std::optional<rpc::CallContext> call;
  Open({.name = "s", .steps = {Noted("a", [&](StepContext& context) {
                       call = context.Call();
                       return OkStatus();
                     })}});
  engine_->Work();
  ASSERT_TRUE(database_
                  ->WriteSync([&](sql::Transaction& transaction) {
                    return engine_->Start(transaction, "s", "1", {}, trace);
                  })
                  .ok());
  Wait("1");
  EXPECT_EQ(call->idempotency_key, "s/1/a");
  EXPECT_EQ(call->trace.TraceIdHex(), trace.TraceIdHex());
  EXPECT_GT(call->Remaining(), Duration(0));
  EXPECT_LE(call->Remaining(), seconds(10));
  EXPECT_TRUE(call->cancellation.CanBeCancelled());
}

TEST_F(SagaEngineTest, ARunOfATransactionThatFailedNeverWas) {
  Open({.name = "s", .steps = {Noted("a")}});
  engine_->Work();
  EXPECT_FALSE(Start("no", "", Aborted("no")).ok());
  ASSERT_TRUE(Start("yes").ok());
  Wait("yes");
  EXPECT_EQ(runtime_.Block(engine_->Get("no")).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(keys(), ElementsAre("s/yes/a"));
}

TEST_F(SagaEngineTest, AnIdIsTakenOnceAndMustBeOne) {
  Open({.name = "s", .steps = {Noted("a")}});
  ASSERT_TRUE(Start("1").ok());
  EXPECT_EQ(Start("1").code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Start("a/b").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Start("big", std::string(kMaxStateBytes + 1, 'x')).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(database_
                ->WriteSync([&](sql::Transaction& transaction) {
                  return engine_->Start(transaction, "other", "2", {});
                })
                .code(),
            StatusCode::kNotFound);
}

TEST_F(SagaEngineTest, AnAttemptThatFailedIsRepeatedAfterItsPauseWithItsKey) {
  std::atomic<int> tries{0};
  Open({.name = "s", .steps = {Noted("a", [&](StepContext& context) {
                       ++tries;
                       return context.attempt() < 3 ? Unavailable("away") : OkStatus();
                     })}});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  ASSERT_TRUE(Until([&] { return Get("1").due_at > clock_.Now(); }));
  EXPECT_EQ(tries, 1) << "the pause is not over";
  EXPECT_THAT(ToString(Get("1").steps[0].last), HasSubstr("UNAVAILABLE: away"));
  ASSERT_TRUE(Until([&] {
    clock_.Advance(milliseconds(50));
    return Ended(Get("1").phase);
  }));
  EXPECT_EQ(Get("1").phase, Phase::kCompleted);
  EXPECT_THAT(keys(), ElementsAre("s/1/a", "s/1/a", "s/1/a"));
}

TEST_F(SagaEngineTest, AStepThatHangsIsGivenUpAtItsTimeoutAndUndone) {
  Step hanging = Hanging("b", milliseconds(20));
  hanging.retry.max_attempts = 1;
  Open({.name = "s", .steps = {Noted("a"), hanging}});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  const saga::Run run = Wait("1");
  EXPECT_EQ(run.failure.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(calls(), ElementsAre("a", "b", "b/c", "a/c"));
}

TEST_F(SagaEngineTest, StopGivesUpAHangingAttemptWhichTheNextEngineRepeats) {
  Open({.name = "s", .steps = {Hanging("a", hours(1)), Noted("b")}});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  ASSERT_TRUE(Until([&] { return calls().size() == 1; }));
  engine_->Stop();
  EXPECT_EQ(Get("1").steps[0].attempts, 0) << "a stop is no failure";

  Open({.name = "s", .steps = {Noted("a"), Noted("b")}});
  engine_->Work();  // no lease has to run out: time stands still
  EXPECT_EQ(Wait("1").phase, Phase::kCompleted);
  EXPECT_THAT(keys(), ElementsAre("s/1/a", "s/1/a", "s/1/b"));
}

TEST_F(SagaEngineTest, ACancelledRunTurnsBackWhenItsAttemptHasEnded) {
  std::atomic<bool> go{false};
  Open({.name = "s", .steps = {Noted("a", [&](StepContext&) {
                       return go ? OkStatus() : Unavailable("away");
                     })}});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  ASSERT_TRUE(Until([&] { return Get("1").due_at > clock_.Now(); }));
  ASSERT_TRUE(runtime_.Block(engine_->Cancel("1")).ok());
  const saga::Run run = Wait("1");  // it did not wait for the pause's end
  EXPECT_EQ(run.phase, Phase::kCompensated);
  EXPECT_EQ(run.failure.code(), StatusCode::kCancelled);
  EXPECT_THAT(calls(), ElementsAre("a", "a/c"));
  EXPECT_EQ(runtime_.Block(engine_->Cancel("1")).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(runtime_.Block(engine_->Cancel("2")).code(), StatusCode::kNotFound);
}

TEST_F(SagaEngineTest, BehindThePivotNothingIsCancelled) {
  Step pivot = Noted("a");
  pivot.pivot = true;
  Open({.name = "s", .steps = {pivot, Noted("b", [](StepContext&) { return Unavailable("-"); })}});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  ASSERT_TRUE(Until([&] { return Get("1").step == 1; }));
  const Status status = runtime_.Block(engine_->Cancel("1"));
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(ToString(status), HasSubstr("behind its pivot"));
}

TEST_F(SagaEngineTest, AtMostMaxRunningAttemptsRunAtOnce) {
  Open({.name = "s", .steps = {Hanging("a", hours(1))}}, {.max_running = 3});
  engine_->Work();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Start(std::to_string(i)).ok());
  const auto hanging = [&] {
    const std::lock_guard lock(mutex_);
    return hanging_.size();
  };
  for (int ended = 0; ended < 10; ++ended) {
    const size_t expected = std::min(3, 10 - ended);
    ASSERT_TRUE(Until([&] { return hanging() == expected; })) << ended << " " << hanging();
    // A poll or two later there are no more of them.
    std::this_thread::sleep_for(milliseconds(6));
    ASSERT_EQ(hanging(), expected);
    Completion<Status> one;
    {
      const std::lock_guard lock(mutex_);
      one = std::move(hanging_.back());
      hanging_.pop_back();
    }
    one(OkStatus());
  }
}

TEST_F(SagaEngineTest, TwoEnginesOnOneDatabaseRunEachRunOnce) {
  Definition definition{.name = "s", .steps = {Noted("a"), Noted("b")}};
  Open(definition, {.max_running = 4});
  const auto database = OpenDatabase();
  const auto other = OpenEngine(*database, {.max_running = 4});
  ASSERT_TRUE(other->Add(definition).ok());
  engine_->Work();
  other->Work();
  std::vector<std::string> expected;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(Start(std::to_string(i)).ok());
    expected.push_back(fmt::format("s/{}/a", i));
    expected.push_back(fmt::format("s/{}/b", i));
  }
  for (int i = 0; i < 60; ++i) EXPECT_EQ(Wait(std::to_string(i)).phase, Phase::kCompleted);
  other->Stop();
  EXPECT_THAT(keys(), testing::UnorderedElementsAreArray(expected));
}

TEST_F(SagaEngineTest, ALeaseIsRenewedWhileAnAttemptRuns) {
  Open({.name = "s", .steps = {Hanging("a", hours(1))}}, {.lease = milliseconds(9)});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  ASSERT_TRUE(Until([&] { return calls().size() == 1; }));
  clock_.Advance(milliseconds(8));
  EXPECT_TRUE(Until([&] {  // so another could not have it two milliseconds from now
    return *database_->ReadSync([&](sql::Connection& connection) {
      return connection.QueryOne("SELECT lease_until FROM saga_runs",
                                 [](const sql::Row& row) { return row.Int(0); });
    }) == (clock_.Now() + milliseconds(9)).time_since_epoch().count();
  }));
}

TEST_F(SagaEngineTest, TheStoreRefusesWhoLostTheLease) {
  Open({.name = "s", .steps = {Noted("a")}});
  ASSERT_TRUE(Start("1").ok());
  const TimePoint now = clock_.Now();
  const auto claim = [&](std::string_view owner, TimePoint at) {
    return database_->WriteSync([&](sql::Transaction& transaction) {
      return store::Claim(transaction, "1", owner, at, at + seconds(10));
    });
  };
  const auto save = [&](saga::Run run, std::string_view owner) {
    return database_->WriteSync([&](sql::Transaction& transaction) {
      return store::Save(transaction, run, owner, now + seconds(20));
    });
  };
  const auto first = *claim("one", now);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(claim("two", now + seconds(9))->has_value()) << "one holds it";
  EXPECT_TRUE(save(*first, "one").ok());
  EXPECT_FALSE(claim("two", now + seconds(19))->has_value()) << "one keeps it";
  EXPECT_TRUE(claim("two", now + seconds(20))->has_value());
  EXPECT_EQ(save(*first, "one").code(), StatusCode::kAborted);
}

TEST_F(SagaEngineTest, RunsThatEndedAreForgottenByAgeAndByNumber) {
  Open({.name = "s", .steps = {Noted("a")}});
  engine_->Work();
  for (const char* id : {"1", "2", "3", "4"}) {
    ASSERT_TRUE(Start(id).ok());
    Wait(id);
    clock_.Advance(hours(1));
  }
  const auto prune = [&](Duration age, int64_t most) {
    return *database_->WriteSync([&](sql::Transaction& transaction) {
      return store::Prune(transaction, clock_.Now() - age, most, 100);
    });
  };
  const auto ids = [&] {
    const auto runs = *runtime_.Block(engine_->List({}));
    std::vector<std::string> ids;
    for (const saga::Run& run : runs) ids.push_back(run.id);
    return ids;
  };
  EXPECT_EQ(prune(hours(5), 4), 0);
  EXPECT_EQ(prune(hours(4), 4), 1);
  EXPECT_THAT(ids(), ElementsAre("4", "3", "2"));
  EXPECT_EQ(prune(hours(5), 2), 1);
  EXPECT_THAT(ids(), ElementsAre("4", "3"));
  EXPECT_EQ(*database_->ReadSync([](sql::Connection& connection) {
    return connection.QueryOne("SELECT COUNT(*) FROM saga_steps",
                               [](const sql::Row& row) { return row.Int(0); });
  }),
            2);
}

TEST_F(SagaEngineTest, StartIsRefusedWhenTooManyRunsAreOpen) {
  Open({.name = "s", .steps = {Noted("a")}}, {.max_open = 2});
  ASSERT_TRUE(Start("1").ok());
  ASSERT_TRUE(Start("2").ok());
  EXPECT_EQ(Reason(Start("3")), reason::kOverloaded);
  engine_->Work();
  Wait("1");
  Wait("2");
  EXPECT_TRUE(Until([&] { return Start("3").ok(); }));
}

TEST_F(SagaEngineTest, ARunKeepsItsVersionAndWaitsForAProcessThatKnowsIt) {
  Open({.name = "s", .version = 1, .steps = {Noted("a")}});
  ASSERT_TRUE(Start("1").ok());
  Open({.name = "s", .version = 2, .steps = {Noted("b")}});
  engine_->Work();
  ASSERT_TRUE(Start("2").ok());
  Wait("2");
  EXPECT_TRUE(Until([&] {
    return telemetry_.metrics().Expose().find("starling_saga_runs_unknown{service=\"orders\"} 1") !=
           std::string::npos;
  }));
  EXPECT_EQ(Get("1").phase, Phase::kForward);

  engine_.reset();
  Open({.name = "s", .version = 1, .steps = {Noted("a")}});
  ASSERT_TRUE(engine_->Add({.name = "s", .version = 2, .steps = {Noted("b")}}).ok());
  EXPECT_EQ(engine_->Add({.name = "s", .version = 2, .steps = {Noted("b")}}).code(),
            StatusCode::kInternal);
  engine_->Work();
  EXPECT_EQ(Wait("1").phase, Phase::kCompleted);
  EXPECT_THAT(calls(), ElementsAre("b", "a"));
}

TEST_F(SagaEngineTest, ACompensationThatNeverSucceedsIsAnAlarm) {
  Step a = Noted("a");
  a.compensation = [](StepContext&, State&) -> Task<Status> { co_return Unavailable("away"); };
  Open({.name = "s", .steps = {a, Noted("b", [](StepContext&) { return NotFound("no"); })}},
       {.stuck_after = 3});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  ASSERT_TRUE(Until([&] {
    clock_.Advance(seconds(1));
    return Get("1").stuck;
  }));
  store::Filter filter;
  filter.stuck = true;
  EXPECT_THAT(*runtime_.Block(engine_->List(filter)), SizeIs(1));
  engine_.reset();
  Open({.name = "s", .steps = {a, Noted("b")}}, {.stuck_after = 3});
  engine_->Work();
  EXPECT_TRUE(Until([&] {
    return telemetry_.metrics().Expose().find(
               "starling_saga_runs_stuck{service=\"orders\",saga=\"s\"} 1") != std::string::npos;
  }));
}

TEST_F(SagaEngineTest, MetricsCountRunsAndAttemptsByTheirOutcome) {
  Open(
      {.name = "s", .steps = {Noted("a"), Noted("b", [](StepContext&) { return NotFound("-"); })}});
  engine_->Work();
  ASSERT_TRUE(Start("1").ok());
  Wait("1");
  std::string text;
  EXPECT_TRUE(Until([&] {
    text = telemetry_.metrics().Expose();
    return text.find("outcome=\"compensated\"} 1") != std::string::npos;
  }));
  for (const char* line :
       {"starling_saga_runs_started_total{service=\"orders\",saga=\"s\"} 1",
        "attempts_total{service=\"orders\",saga=\"s\",step=\"a\",result=\"ok\"} 1",
        "attempts_total{service=\"orders\",saga=\"s\",step=\"b\",result=\"refused\"} 1",
        "attempts_total{service=\"orders\",saga=\"s\",step=\"a/c\",result=\"ok\"} 1"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
}

}  // namespace
}  // namespace starling::saga

// What the store of idempotency keys promises to services' routes and to proxied ones.
#include "platform/rpc/idempotency.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "platform/base/id.h"
#include "platform/http/problem.h"
#include "platform/rpc/idempotency_claims.h"
#include "platform/rpc/sql_idempotency_store.h"

namespace starling::rpc {
namespace {

using Answer = IdempotencyStore::Answer;

class IdempotencyTest : public testing::Test {
 protected:
  IdempotencyTest() { Open(); }
  ~IdempotencyTest() override {
    store_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open() {
    store_.reset();
    database_.reset();
    std::filesystem::create_directories(folder_);
    database_ = sql::Database::Open({.path = folder_ / "keys.sqlite"}, {}).value();
    store_ = OpenSqlIdempotencyStore(*database_, clock_, {}).value();
  }
  // As another process would have it that shares the database.
  std::unique_ptr<IdempotencyStore> Sharing() {
    return OpenSqlIdempotencyStore(*database_, clock_, {.claims = true}).value();
  }
  StatusOr<std::optional<Answer>> Begin(const std::string& scope, const std::string& key,
                                        std::string_view request) {
    return RunSync(store_->Begin(scope, key, Fingerprint(request)));
  }
  void Finish(const std::string& scope, const std::string& key, const Answer& answer) {
    const Status finished = RunSync(store_->Finish(scope, key, answer));
    EXPECT_TRUE(finished.ok()) << finished;
  }
  // Whether who sends it now is to act.
  bool Acts(const std::string& scope, const std::string& key, std::string_view request) {
    const auto begun = Begin(scope, key, request);
    return begun.ok() && !begun->has_value();
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("idempotency-" + NewId());
  FakeClock clock_{ParseRfc3339("2026-01-02T03:04:05Z").value()};
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<IdempotencyStore> store_;
};

TEST_F(IdempotencyTest, TheFirstActsAndTheOthersGetItsAnswer) {
  EXPECT_TRUE(Acts("ada", "k", "1"));
  Finish("ada", "k", {.response = "made"});
  const auto again = Begin("ada", "k", "1");
  ASSERT_TRUE(again.ok() && again->has_value());
  EXPECT_TRUE((*again)->status.ok());
  EXPECT_EQ((*again)->response, "made");
}

TEST_F(IdempotencyTest, ARefusalIsAnAnswerToo) {
  EXPECT_TRUE(Acts("ada", "k", "1"));
  Finish("ada", "k", {.status = WithReason(Aborted("changed"), reason::kEtagMismatch)});
  const auto again = Begin("ada", "k", "1");
  ASSERT_TRUE(again.ok() && again->has_value());
  EXPECT_EQ(http::HttpStatus((*again)->status), 412);
}

TEST_F(IdempotencyTest, WhatMayBeOtherwiseLaterFreesTheKey) {
  for (const Status& status : {Unavailable("gone"), DeadlineExceeded("late"), Internal("bug"),
                               ResourceExhausted("often"), Unauthenticated("who")}) {
    EXPECT_TRUE(Acts("ada", "k", "1")) << status;
    Finish("ada", "k", {.status = status});
  }
  EXPECT_TRUE(Acts("ada", "k", "1"));
}

TEST_F(IdempotencyTest, WhileTheFirstRunsTheSecondIs409AndAnotherRequest422) {
  EXPECT_TRUE(Acts("ada", "k", "1"));
  const Status second = Begin("ada", "k", "1").status();
  EXPECT_EQ(Reason(second), reason::kIdempotencyKeyInFlight);
  EXPECT_EQ(http::HttpStatus(second), 409);
  EXPECT_EQ(http::HttpStatus(Begin("ada", "k", "2").status()), 422);
  Finish("ada", "k", {.response = "made"});
  const Status other = Begin("ada", "k", "2").status();
  EXPECT_EQ(Reason(other), reason::kIdempotencyKeyReused);
  EXPECT_EQ(http::HttpStatus(other), 422);
}

TEST_F(IdempotencyTest, EachScopeHasItsOwnKeys) {
  EXPECT_TRUE(Acts("ada", "k", "1"));
  Finish("ada", "k", {.response = "made"});
  EXPECT_TRUE(Acts("bob", "k", "1"));
  EXPECT_TRUE(Acts("ada", "k2", "1"));
}

TEST_F(IdempotencyTest, AKeyIsKeptOverARestartAndEndsAfterADay) {
  EXPECT_TRUE(Acts("ada", "k", "1"));
  Finish("ada", "k", {.response = "made"});
  Open();
  EXPECT_FALSE(Acts("ada", "k", "1"));
  clock_.Advance(std::chrono::hours(23));
  EXPECT_FALSE(Acts("ada", "k", "1"));
  clock_.Advance(std::chrono::hours(2));
  EXPECT_TRUE(Acts("ada", "k", "2")) << "even with another request";
}

TEST_F(IdempotencyTest, AProcessThatDiesInBetweenLeavesTheKeyFree) {
  EXPECT_TRUE(Acts("ada", "k", "1"));
  Open();
  EXPECT_TRUE(Acts("ada", "k", "1"));
}

TEST_F(IdempotencyTest, WhatRunsInAnotherProcessIs409Too) {
  const auto one = Sharing();
  const auto other = Sharing();
  ASSERT_FALSE(RunSync(one->Begin("ada", "k", Fingerprint("1"))).value().has_value());
  EXPECT_EQ(Reason(RunSync(other->Begin("ada", "k", Fingerprint("1"))).status()),
            reason::kIdempotencyKeyInFlight);
  EXPECT_EQ(Reason(RunSync(other->Begin("ada", "k", Fingerprint("2"))).status()),
            reason::kIdempotencyKeyReused);
  EXPECT_TRUE(RunSync(one->Finish("ada", "k", {.response = "made"})).ok());
  const auto again = RunSync(other->Begin("ada", "k", Fingerprint("1")));
  ASSERT_TRUE(again.ok() && again->has_value());
  EXPECT_EQ((*again)->response, "made");
}

TEST_F(IdempotencyTest, AKeyThatAnotherProcessFreedIsFree) {
  const auto one = Sharing();
  const auto other = Sharing();
  ASSERT_FALSE(RunSync(one->Begin("ada", "k", Fingerprint("1"))).value().has_value());
  EXPECT_TRUE(RunSync(one->Finish("ada", "k", {.status = Unavailable("gone")})).ok());
  EXPECT_FALSE(RunSync(other->Begin("ada", "k", Fingerprint("2"))).value().has_value());
}

TEST_F(IdempotencyTest, AProcessThatDiedClaimsNothingAfterAWhile) {
  const auto one = Sharing();
  ASSERT_FALSE(RunSync(one->Begin("ada", "k", Fingerprint("1"))).value().has_value());
  clock_.Advance(IdempotencyClaims::kAlive - std::chrono::seconds(1));
  EXPECT_FALSE(RunSync(Sharing()->Begin("ada", "k", Fingerprint("1"))).ok());
  clock_.Advance(std::chrono::seconds(2));
  const auto other = Sharing();
  EXPECT_FALSE(RunSync(other->Begin("ada", "k", Fingerprint("1"))).value().has_value());
  // It was not dead, but has lost its claim: that it ends takes nothing from the other.
  EXPECT_TRUE(RunSync(one->Finish("ada", "k", {.status = Unavailable("late")})).ok());
  EXPECT_EQ(Reason(RunSync(Sharing()->Begin("ada", "k", Fingerprint("1"))).status()),
            reason::kIdempotencyKeyInFlight);
}

}  // namespace
}  // namespace starling::rpc

// Idempotency keys of several processes on one PostgreSQL.
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

#include "platform/rpc/idempotency_claims.h"
#include "platform/rpc/sql_idempotency_store.h"
#include "platform/storage/sql/postgres/test_server.h"

namespace starling::rpc {
namespace {

// Two of them, as two processes have them.
class SharedIdempotencyTest : public testing::Test {
 protected:
  struct Process {
    std::unique_ptr<sql::Database> database;
    std::unique_ptr<IdempotencyStore> store;
  };
  Process Open() {
    Process process;
    process.database = sql::Database::Open({.url = url_, .schema = "keys"}, {}).value();
    process.store = OpenSqlIdempotencyStore(*process.database, SystemClock(), {}).value();
    return process;
  }

  const std::string url_ = sql::TestServer::Get().MakeDatabase();
  const Process one_ = Open();
  const Process other_ = Open();
};

TEST_F(SharedIdempotencyTest, OfManyAtOnceOneActs) {
  constexpr int kKeys = 30;
  constexpr int kThreads = 8;
  for (int number = 0; number < kKeys; ++number) {
    const std::string key = "k" + std::to_string(number);
    std::atomic<int> acted{0}, replayed{0}, in_flight{0}, wrong{0};
    std::latch begin(kThreads);
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, &store = *(i % 2 == 0 ? one_ : other_).store] {
        begin.arrive_and_wait();
        const auto begun = RunSync(store.Begin("ada", key, Fingerprint("1")));
        if (!begun.ok()) {
          (Reason(begun.status()) == reason::kIdempotencyKeyInFlight ? in_flight : wrong) += 1;
        } else if (begun->has_value()) {
          ((*begun)->response == "made" ? replayed : wrong) += 1;
        } else {
          ++acted;
          if (!RunSync(store.Finish("ada", key, {.response = "made"})).ok()) ++wrong;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(acted, 1) << key;
    EXPECT_EQ(acted + replayed + in_flight, kThreads) << key;
    EXPECT_EQ(wrong, 0) << key;
  }
}

TEST_F(SharedIdempotencyTest, WhatRunsInOneIsRefusedByTheOther) {
  ASSERT_FALSE(RunSync(one_.store->Begin("ada", "k", Fingerprint("1"))).value().has_value());
  EXPECT_EQ(Reason(RunSync(other_.store->Begin("ada", "k", Fingerprint("1"))).status()),
            reason::kIdempotencyKeyInFlight);
  EXPECT_EQ(Reason(RunSync(other_.store->Begin("ada", "k", Fingerprint("2"))).status()),
            reason::kIdempotencyKeyReused);
  EXPECT_TRUE(RunSync(one_.store->Finish("ada", "k", {.status = Unavailable("gone")})).ok());
  EXPECT_FALSE(RunSync(other_.store->Begin("ada", "k", Fingerprint("2"))).value().has_value());
}

}  // namespace
}  // namespace starling::rpc

// A service whose work blocks, offered more than it can do: what is answered in time, of what
// importance, with the adaptive limit and without. Prints a table. Real time and threads; what is
// asserted is so loose that only a limit which does not work misses it.
#include <gtest/gtest.h>

#include <latch>

#include "platform/async/runtime.h"
#include "platform/rpc/server_call.h"
#include "platform/telemetry/telemetry.h"

namespace starling::rpc {
namespace {

using resilience::Priority;
using std::chrono::milliseconds;

constexpr Duration kWork = milliseconds(5);
constexpr int kThreads = 4;
constexpr double kCapacity = 800;  // calls a second: kThreads / kWork
constexpr Duration kAtRest = milliseconds(1'000);
constexpr Duration kPhase = milliseconds(4'000);
constexpr Duration kWarmUp = milliseconds(2'000);  // of it, not counted

constexpr MethodDescriptor kMethods[] = {{.name = "Get",
                                          .full_name = "test.Shop/Get",
                                          .access = {.anyone = true},
                                          .idempotency = Idempotency::kNoSideEffects,
                                          .deadline = milliseconds(500)}};
constexpr ServiceDescriptor kShop{.name = "shop", .full_name = "test.Shop", .methods = kMethods};

// Of one priority.
struct Seen {
  int offered = 0, good = 0, refused = 0;
  std::vector<double> milliseconds;  // of good answers
  double p99() {
    if (milliseconds.empty()) return 0;
    std::sort(milliseconds.begin(), milliseconds.end());
    return milliseconds[milliseconds.size() * 99 / 100];
  }
};

class OverloadTest : public ::testing::Test {
 protected:
  struct Result {
    Seen normal, sheddable;
    double goodput() const {
      return (normal.good + sheddable.good) /
             std::chrono::duration<double>(kPhase - kWarmUp).count();
    }
  };

  Task<void> Call(Priority priority, Seen* seen, std::atomic<int>& running) {
    const Instant start = std::chrono::steady_clock::now();
    CallContext context = CallContext::ForService("test", std::chrono::seconds(5));
    context.priority = priority;
    Status status;
    {
      ServerCall call(shop_->method(0), context, "");
      if (call.admitted()) {
        StatusOr<int> worked = co_await pool_->Run([]() -> StatusOr<int> {
          std::this_thread::sleep_for(kWork);
          return 1;
        });
        call.Finish(worked);
        status = worked.status();
      } else {
        status = call.refusal();
      }
    }
    if (seen != nullptr) {
      ++seen->offered;
      if (status.ok()) {
        ++seen->good;
        seen->milliseconds.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                .count());
      } else if (Reason(status) == reason::kOverloaded) {
        ++seen->refused;
      }
    }
    running.fetch_sub(1);
  }

  // Calls come as they come, whether those before have been answered or not.
  Task<Status> Offer(Duration phase, double normal, double sheddable, Result& result) {
    const Executor here = co_await CurrentExecutor();
    std::atomic<int> running{0};
    const Instant start = std::chrono::steady_clock::now();
    double sent[2] = {0, 0};
    while (true) {
      const Duration since = std::chrono::steady_clock::now() - start;
      if (since >= phase) break;
      const double seconds = std::chrono::duration<double>(since).count();
      for (const bool low : {false, true}) {
        Seen& seen = low ? result.sheddable : result.normal;
        for (; sent[low] < seconds * (low ? sheddable : normal); ++sent[low]) {
          running.fetch_add(1);
          Spawn(here, Call(low ? Priority::kSheddable : Priority::kNormal,
                           since >= kWarmUp ? &seen : nullptr, running));
        }
      }
      co_await SleepFor(milliseconds(1));
    }
    while (running.load() > 0) co_await SleepFor(milliseconds(5));
    co_return OkStatus();
  }

  Result Run(std::string_view what, bool adaptive, double normal, double sheddable) {
    // As configured by default, but for `harmless`: 5 ms of work are far from the 100 ms of there.
    shop_ = std::make_unique<ServiceRuntime>(
        kShop, telemetry_, nullptr,
        ServiceRuntime::Options{
            .concurrency = {
                .adaptive = adaptive, .initial = 1'000, .least = 8, .harmless = milliseconds(10)}});
    pool_ = std::make_unique<BlockingPool>(
        BlockingPool::Options{.name = "work", .threads = kThreads, .queue_limit = 100'000});
    Result result, rest;
    // At rest first, so that it is known what calls take.
    EXPECT_TRUE(runtime_.Block(Offer(kAtRest, 0.25 * kCapacity, 0, rest)).ok());
    EXPECT_TRUE(
        runtime_.Block(Offer(kPhase, normal * kCapacity, sheddable * kCapacity, result)).ok());
    fmt::print("{:<34} {:>9.0f} {:>7} of {:>5} {:>8.1f} {:>7} of {:>5} {:>8.1f} {:>6}\n", what,
               result.goodput(), result.normal.good, result.normal.offered, result.normal.p99(),
               result.sheddable.good, result.sheddable.offered, result.sheddable.p99(),
               shop_->limiter().limit());
    pool_.reset();
    return result;
  }

  Runtime runtime_{{.io_threads = 1}};
  telemetry::Telemetry telemetry_;
  std::unique_ptr<ServiceRuntime> shop_;
  std::unique_ptr<BlockingPool> pool_;
};

TEST_F(OverloadTest, WhatMattersIsAnsweredAndNothingCollapses) {
  fmt::print("{:<34} {:>9} {:>16} {:>8} {:>16} {:>8} {:>6}\n", "offered", "goodput/s", "normal",
             "p99 ms", "sheddable", "p99 ms", "limit");
  Result usual = Run("normal 0.5 x capacity", true, 0.5, 0);
  const Result peak = Run("normal 0.5, sheddable 0.5", true, 0.5, 0.5);
  Result over = Run("normal 0.5, sheddable 2.5", true, 0.5, 2.5);
  const Result all_normal = Run("normal 3", true, 3, 0);
  const Result without = Run("normal 0.5, sheddable 2.5, no limit", false, 0.5, 2.5);

  const double best = std::max({usual.goodput(), peak.goodput(), over.goodput()});
  EXPECT_GT(over.goodput(), 0.5 * best) << "it collapses";
  EXPECT_GT(all_normal.goodput(), 0.5 * best) << "it collapses";
  EXPECT_GT(over.normal.good, 0.8 * over.normal.offered) << "normal calls are answered";
  EXPECT_GT(over.sheddable.refused, 0.3 * over.sheddable.offered) << "sheddable ones are refused";
  EXPECT_LT(over.normal.refused * over.sheddable.offered,
            over.sheddable.refused * over.normal.offered)
      << "first";
  // What the limit is for: without it, hardly anything is answered in time.
  EXPECT_LT(without.goodput(), 0.5 * best);
}

}  // namespace
}  // namespace starling::rpc

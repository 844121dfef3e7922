// The Kafka adapter on a real broker: the port's promises, and what it does when the broker dies.
#include "platform/messaging/kafka/kafka_event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "platform/messaging/conformance/event_log_conformance.h"
#include "platform/messaging/inbox.h"
#include "platform/testing/engine.h"

namespace starling::messaging {
namespace {

// One broker for all of the tests; topics keep them apart.
testing::Engine& Broker() {
  static const std::unique_ptr<testing::Engine> engine = [] {
    auto started = testing::Engine::Start("kafka");
    if (!started.ok()) {
      ADD_FAILURE() << started.status();
      std::abort();
    }
    return *std::move(started);
  }();
  return *engine;
}

class OnBroker final : public Location {
 public:
  StatusOr<std::unique_ptr<EventLog>> Open(LogBounds bounds, Runtime& runtime,
                                           telemetry::Telemetry& telemetry) override {
    return OpenKafkaEventLog({.brokers = Broker().url(),
                              .partitions = 4,
                              .max_lag = bounds.max_lag,
                              .max_delay = bounds.max_delay},
                             runtime, telemetry);
  }
};

INSTANTIATE_TEST_SUITE_P(
    Kafka, EventLogConformance,
    ::testing::Values(Adapter{.name = "kafka",
                              .make_location = [] { return std::make_unique<OnBroker>(); },
                              .shares_groups = true,
                              .feeds_views = true}),
    [](const ::testing::TestParamInfo<Adapter>& info) { return info.param.name; });

int Rounds() {
  const char* rounds = std::getenv("BROKER_ROUNDS");  // NOLINT(concurrency-mt-unsafe)
  return rounds == nullptr ? 1 : std::atoi(rounds);
}

// Applies each event once: the inbox and the effect are one transaction.
class Effects {
 public:
  Effects()
      : database_(sql::Database::Open({.path = folder_ / "effects.sqlite"}, {}).value()),
        inbox_(Inbox::Open(*database_).value()) {}
  ~Effects() {
    database_ = nullptr;
    std::filesystem::remove_all(folder_);
  }
  EventLog::Handler Handler() {
    return [this](std::span<const Delivered> events) -> Task<Status> {
      std::map<std::string, int> fresh;
      Status status = co_await database_->Write([&](sql::Transaction& transaction) -> Status {
        fresh.clear();
        for (const Delivered& event : events) {
          STARLING_ASSIGN_OR_RETURN(const bool first,
                                    inbox_->FirstTime(transaction, event.event.id));
          if (first) ++fresh[event.event.id];
        }
        return OkStatus();
      });
      CO_RETURN_IF_ERROR(status);
      const std::lock_guard lock(mutex_);
      for (const auto& [id, times] : fresh) times_[id] += times;
      co_return OkStatus();
    };
  }
  std::map<std::string, int> times() {
    const std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  const std::filesystem::path folder_ = [] {
    auto folder = std::filesystem::path(::testing::TempDir()) / NewId();
    std::filesystem::create_directories(folder);
    return folder;
  }();
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<Inbox> inbox_;
  std::mutex mutex_;
  std::map<std::string, int> times_;
};

// Appends from several writers until told to end, and keeps what was acknowledged.
struct Load {
  std::mutex mutex;
  std::set<std::string> acknowledged;
  std::map<StatusCode, int> refused;
  std::atomic<bool> ending{false};
  std::atomic<int> running{0};

  ~Load() { End(); }
  void End() {
    ending = true;
    while (running > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  size_t count() {
    const std::lock_guard lock(mutex);
    return acknowledged.size();
  }
  Task<void> Write(EventLog& log, std::string topic) {
    while (!ending) {
      const std::string id = NewId();
      const StatusOr<Position> done = co_await log.Append(topic, MakeEvent(id, id.substr(30)));
      {
        const std::lock_guard lock(mutex);
        if (done.ok()) acknowledged.insert(id);
        if (!done.ok()) ++refused[done.status().code()];
      }
      co_await SleepFor(std::chrono::milliseconds(2));
    }
    --running;
  }
};

bool Eventually(const std::function<bool()>& holds) {
  const Instant until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

TEST(KafkaEventLog, EveryAcknowledgedEventHasItsEffectOnceThoughTheBrokerIsKilled) {
  Runtime runtime({.io_threads = 2});
  telemetry::Telemetry telemetry;
  auto log = OpenKafkaEventLog(
      {.brokers = Broker().url(), .partitions = 4, .append_timeout = std::chrono::seconds(2)},
      runtime, telemetry);
  ASSERT_TRUE(log.ok()) << log.status();
  const std::string topic = "t-" + NewId();
  Effects effects;
  auto subscription = (*log)->Subscribe(topic, "g", {}, effects.Handler());
  ASSERT_TRUE(subscription.ok()) << subscription.status();
  Load load;
  for (int writer = 0; writer < 8; ++writer) {
    ++load.running;
    Spawn(runtime.NextExecutor(), load.Write(**log, topic));
  }
  for (int round = 0; round < Rounds(); ++round) {
    const size_t before = load.count();
    ASSERT_TRUE(Eventually([&] { return load.count() > before + 200; }));
    ASSERT_TRUE(Broker().Kill().ok());
    // Nobody hangs: each writer is refused, and with nothing but UNAVAILABLE.
    ASSERT_TRUE(Eventually([&] {
      const std::lock_guard lock(load.mutex);
      return load.refused[StatusCode::kUnavailable] >= 8 * (round + 1);
    }));
    ASSERT_TRUE(Broker().StartAgain().ok());
    const Instant back = std::chrono::steady_clock::now();
    const size_t delivered = effects.times().size();
    ASSERT_TRUE(Eventually([&] { return effects.times().size() > delivered; }));
    fmt::print("round {}: events flow again {:.1f} s after the broker is back\n", round + 1,
               std::chrono::duration<double>(std::chrono::steady_clock::now() - back).count());
  }
  load.End();
  EXPECT_EQ(load.refused.size(), 1u);
  const auto all_arrived = [&] {
    const auto times = effects.times();
    return std::all_of(load.acknowledged.begin(), load.acknowledged.end(),
                       [&](const std::string& id) { return times.contains(id); });
  };
  EXPECT_TRUE(Eventually(all_arrived));
  for (const auto& [id, times] : effects.times()) EXPECT_EQ(times, 1) << id;
  fmt::print("{} events acknowledged\n", load.acknowledged.size());
}

TEST(KafkaEventLog, NoBrokerIsAnErrorThatNamesIt) {
  Runtime runtime({.io_threads = 1});
  telemetry::Telemetry telemetry;
  const auto log = OpenKafkaEventLog(
      {.brokers = "127.0.0.1:1", .append_timeout = std::chrono::milliseconds(300)}, runtime,
      telemetry);
  EXPECT_EQ(log.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(log.status().message(), ::testing::HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace starling::messaging

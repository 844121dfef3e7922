// What every adapter of the event log must do, as tests. An adapter's test binary compiles
// conformance/*.cc and says which adapter runs:
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, EventLogConformance, testing::Values(Adapter{...}));
//
// Each test has topics of its own, so that one server serves a whole suite.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/base/id.h"
#include "platform/messaging/event_log.h"
#include "platform/telemetry/telemetry.h"

namespace starling::messaging {

// The bounds that a test sets.
struct LogBounds {
  uint64_t max_lag = 1'000'000;
  Duration max_delay = std::chrono::milliseconds(100);
};

// Where one test's log is; what was appended outlives the EventLog that Open gave.
class Location {
 public:
  virtual ~Location() = default;
  virtual StatusOr<std::unique_ptr<EventLog>> Open(LogBounds bounds, Runtime& runtime,
                                                   telemetry::Telemetry& telemetry) = 0;
};

// An adapter, and what it says in its header that it can.
struct Adapter {
  std::string name;
  std::function<std::unique_ptr<Location>()> make_location;
  bool reads = true;           // has Read
  bool replays = true;         // a new group begins at the first event that is kept
  bool shares_groups = false;  // a group may have members in several processes
  bool feeds_views = false;    // FeedsViews
};

inline void PrintTo(const Adapter& adapter, std::ostream* out) { *out << adapter.name; }

inline Event MakeEvent(std::string id, std::string key = "", std::string data = "") {
  Event event{.id = std::move(id), .source = "/test", .type = "starling.test.v1"};
  event.partitionkey = std::move(key);
  event.data = std::move(data);
  return event;
}

// Collects what a group is given, and lets the test wait for so much of it.
class Collector {
 public:
  EventLog::Handler Handler() {
    return [this](std::span<const Delivered> events) -> Task<Status> {
      const std::lock_guard lock(mutex_);
      for (const Delivered& event : events) seen_.push_back(event);
      changed_.notify_all();
      co_return OkStatus();
    };
  }
  // What came, once it is `count` events or 30 s have passed.
  std::vector<Delivered> WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return seen_.size() >= count; });
    return seen_;
  }
  std::vector<Delivered> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Delivered> seen_;
};

class EventLogConformance : public ::testing::TestWithParam<Adapter> {
 protected:
  std::unique_ptr<EventLog> Open(LogBounds bounds = {}) {
    auto log = location_->Open(bounds, runtime_, telemetry_);
    EXPECT_TRUE(log.ok()) << log.status();
    if (!log.ok()) std::abort();
    return *std::move(log);
  }
  Status Append(EventLog& log, Event event) {
    return runtime_.Block(log.Append(topic_, std::move(event))).status();
  }
  Status AppendAll(EventLog& log, std::vector<Event> events) {
    return runtime_.Block(log.AppendBatch(topic_, std::move(events))).status();
  }
  std::unique_ptr<Subscription> Subscribe(EventLog& log, std::string_view group,
                                          ConsumerOptions options, EventLog::Handler handler) {
    return SubscribeTo(log, topic_, group, options, std::move(handler));
  }
  static std::unique_ptr<Subscription> SubscribeTo(EventLog& log, std::string_view topic,
                                                   std::string_view group, ConsumerOptions options,
                                                   EventLog::Handler handler) {
    auto subscription = log.Subscribe(topic, group, options, std::move(handler));
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    if (!subscription.ok()) std::abort();
    return *std::move(subscription);
  }
  std::string dead_letters() const { return topic_ + ".dead-letter"; }

  const std::string topic_ = "t-" + NewId();
  std::unique_ptr<Location> location_ = GetParam().make_location();
  Runtime runtime_{{.io_threads = 2}};
  telemetry::Telemetry telemetry_;
};

}  // namespace starling::messaging

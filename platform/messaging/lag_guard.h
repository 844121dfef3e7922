// Back-pressure of a log whose groups are counted by a server: asks rarely how far behind they are,
// and counts what is appended between two answers. Within messaging only.
//
//   LagGuard guard({.max_lag = 1'000'000}, [&](const std::string& topic) { return Ask(topic); });
//   CO_RETURN_IF_ERROR(co_await guard.MakeRoom(topic, events.size()));
//
// Asks once `refresh` for each topic that is appended to, and sooner while a group is at its limit.
// When the server does not answer, everybody passes: what is appended then fails by itself.
// Thread-safe; one thread of its own, which calls `query`.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "platform/async/task.h"
#include "platform/telemetry/telemetry.h"

namespace starling::messaging {

// How far a running group is behind.
struct GroupLag {
  std::string group;
  uint64_t lag = 0;
};

struct LagGuardOptions {
  uint64_t max_lag = 1'000'000;
  Duration max_delay = std::chrono::milliseconds(100);
  Duration refresh = std::chrono::seconds(1);
};

class LagGuard {
 public:
  // Of the running groups of a topic. May block.
  using Query = std::function<StatusOr<std::vector<GroupLag>>(const std::string& topic)>;

  LagGuard(LagGuardOptions options, Query query, telemetry::Telemetry& telemetry);
  ~LagGuard();
  LagGuard(const LagGuard&) = delete;
  LagGuard& operator=(const LagGuard&) = delete;

  // Waits up to max_delay for the slowest group, then refuses with OVERLOADED that names it.
  Task<Status> MakeRoom(const std::string& topic, size_t events);
  // A group began or ended here: asks again before the next append passes, and from now on
  // regularly for the metric starling_consumer_lag.
  void Changed(const std::string& topic);

 private:
  struct Topic {
    bool known = false;    // `groups` is an answer that still holds
    bool watched = false;  // a group of this process reads it
    bool asked = false;
    uint64_t since = 0;  // events appended here since the answer
    std::vector<GroupLag> groups;
  };
  // Asks soon. Under the lock.
  void AskLocked(Topic& topic);
  void Run();
  void Refresh(const std::string& name);
  void Publish(const std::string& topic, const std::vector<GroupLag>& groups);

  const LagGuardOptions options_;
  const Query query_;
  telemetry::Telemetry& telemetry_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Topic> topics_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<std::atomic<uint64_t>>> gauges_;
  bool hurry_ = false;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace starling::messaging

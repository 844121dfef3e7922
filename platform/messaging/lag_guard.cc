#include "platform/messaging/lag_guard.h"

#include <pthread.h>

#include <algorithm>

#include "platform/messaging/checks.h"

namespace starling::messaging {
namespace {
constexpr Duration kLook = std::chrono::milliseconds(5);    // how often one who waits looks again
constexpr Duration kSpace = std::chrono::milliseconds(10);  // between two hurried questions
}  // namespace

LagGuard::LagGuard(LagGuardOptions options, Query query, telemetry::Telemetry& telemetry)
    : options_(options), query_(std::move(query)), telemetry_(telemetry) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "event-lag");
}

LagGuard::~LagGuard() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Task<Status> LagGuard::MakeRoom(const std::string& name, size_t events) {
  const Instant until = std::chrono::steady_clock::now() + options_.max_delay;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      Topic& topic = topics_[name];
      const auto slowest =
          std::max_element(topic.groups.begin(), topic.groups.end(),
                           [](const GroupLag& a, const GroupLag& b) { return a.lag < b.lag; });
      const bool behind =
          slowest != topic.groups.end() && slowest->lag + topic.since >= options_.max_lag;
      const bool late = std::chrono::steady_clock::now() >= until;
      if (topic.known ? !behind : late) {
        topic.since += events;
        co_return OkStatus();
      }
      if (late)
        co_return GroupIsBehind(name, slowest->group, slowest->lag + topic.since, options_.max_lag);
      AskLocked(topic);
    }
    co_await SleepFor(kLook);
  }
}

void LagGuard::Changed(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Topic& topic = topics_[name];
  topic.known = false;
  topic.watched = true;
  AskLocked(topic);
}

void LagGuard::AskLocked(Topic& topic) {
  if (topic.asked) return;
  topic.asked = true;
  hurry_ = true;
  wake_.notify_one();
}

void LagGuard::Run() {
  while (true) {
    std::vector<std::string> due;
    {
      std::unique_lock lock(mutex_);
      const bool hurried =
          wake_.wait_for(lock, options_.refresh, [this] { return stopping_ || hurry_; });
      if (hurried) wake_.wait_for(lock, kSpace, [this] { return stopping_; });
      if (stopping_) return;
      hurry_ = false;
      for (auto& [name, topic] : topics_) {
        if (hurried ? topic.asked : topic.asked || topic.watched || topic.since > 0)
          due.push_back(name);
        topic.asked = false;
      }
    }
    for (const std::string& name : due) Refresh(name);
  }
}

void LagGuard::Refresh(const std::string& name) {
  StatusOr<std::vector<GroupLag>> groups = query_(name);
  if (groups.ok()) Publish(name, *groups);
  const std::lock_guard lock(mutex_);
  Topic& topic = topics_[name];
  topic.known = groups.ok();
  topic.since = 0;
  topic.groups = groups.ok() ? *std::move(groups) : std::vector<GroupLag>();
}

void LagGuard::Publish(const std::string& topic, const std::vector<GroupLag>& groups) {
  for (const GroupLag& group : groups) {
    auto& gauge = gauges_[{topic, group.group}];
    if (gauge == nullptr) {
      gauge = std::make_shared<std::atomic<uint64_t>>(0);
      telemetry_.metrics().AddCallback("starling_consumer_lag",
                                       "Events a consumer group has yet to accept",
                                       {{"topic", topic}, {"group", group.group}},
                                       [gauge] { return static_cast<double>(gauge->load()); });
    }
    *gauge = group.lag;
  }
}

}  // namespace starling::messaging

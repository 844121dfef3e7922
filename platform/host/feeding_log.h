// The embedded log as one that feeds views, so that a test may run two instances of a service side
// by side: a follower is a group that begins at the first event that is kept, and a group's second
// member waits for nothing. For tests alone.
#pragma once

#include <atomic>
#include <memory>

#include "platform/base/id.h"
#include "platform/messaging/event_log.h"

namespace starling::host {

class FeedingLog final : public messaging::EventLog {
 public:
  explicit FeedingLog(std::unique_ptr<messaging::EventLog> log) : log_(std::move(log)) {}

  Task<StatusOr<std::vector<messaging::Position>>> AppendBatch(
      std::string topic, std::vector<messaging::Event> events) override {
    co_return co_await log_->AppendBatch(std::move(topic), std::move(events));
  }
  StatusOr<std::unique_ptr<messaging::Subscription>> Subscribe(std::string_view topic,
                                                               std::string_view group,
                                                               messaging::ConsumerOptions options,
                                                               Handler handler) override {
    auto member = log_->Subscribe(topic, group, options, std::move(handler));
    if (!absl::IsAlreadyExists(member.status())) return member;
    return std::make_unique<Standby>();
  }
  StatusOr<std::unique_ptr<messaging::Subscription>> Follow(std::string_view topic,
                                                            std::string_view name,
                                                            messaging::ConsumerOptions options,
                                                            Handler handler) override {
    return log_->Subscribe(topic, std::string(name) + "-" + NewId(), options, std::move(handler));
  }
  bool FeedsViews() const override { return true; }
  StatusOr<uint64_t> Lag(std::string_view topic, std::string_view group) const override {
    return log_->Lag(topic, group);
  }
  StatusOr<std::vector<messaging::Delivered>> Read(std::string_view topic, uint64_t offset,
                                                   size_t limit) const override {
    return log_->Read(topic, offset, limit);
  }

 private:
  struct Standby final : messaging::Subscription {
    void Stop() override {}
  };
  const std::unique_ptr<messaging::EventLog> log_;
};

}  // namespace starling::host

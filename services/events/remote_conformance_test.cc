// What every event log must do, done by one in another process: over gRPC, and over the in-process
// binding.
#include <gtest/gtest.h>

#include <filesystem>

#include "platform/messaging/conformance/event_log_conformance.h"
#include "services/events/events_owner.h"

namespace starling::messaging {
namespace {

using events::EventsOwner;

// A log that keeps the process it calls.
class RemoteLog final : public EventLog {
 public:
  RemoteLog(std::shared_ptr<EventsOwner> owner, std::unique_ptr<EventLog> log)
      : owner_(std::move(owner)), log_(std::move(log)) {}

  Task<StatusOr<std::vector<Position>>> AppendBatch(std::string topic,
                                                    std::vector<Event> events) override {
    return log_->AppendBatch(std::move(topic), std::move(events));
  }
  StatusOr<std::unique_ptr<Subscription>> Subscribe(std::string_view topic, std::string_view group,
                                                    ConsumerOptions options,
                                                    Handler handler) override {
    return log_->Subscribe(topic, group, options, std::move(handler));
  }
  StatusOr<uint64_t> Lag(std::string_view topic, std::string_view group) const override {
    return log_->Lag(topic, group);
  }
  StatusOr<std::vector<Delivered>> Read(std::string_view topic, uint64_t offset,
                                        size_t limit) const override {
    return log_->Read(topic, offset, limit);
  }

 private:
  const std::shared_ptr<EventsOwner> owner_;
  const std::unique_ptr<EventLog> log_;
};

class RemoteLocation final : public Location {
 public:
  explicit RemoteLocation(bool grpc) : grpc_(grpc) {}
  ~RemoteLocation() override { std::filesystem::remove_all(folder_); }

  // Logs that are open at the same time have one owner; once all are closed it ends.
  StatusOr<std::unique_ptr<EventLog>> Open(LogBounds bounds, Runtime& runtime,
                                           telemetry::Telemetry& telemetry) override {
    auto owner = owner_.lock();
    if (owner == nullptr) {
      owner = std::make_shared<EventsOwner>(
          folder_,
          EmbeddedEventLogOptions{.max_lag = bounds.max_lag, .max_delay = bounds.max_delay},
          runtime, telemetry);
      owner_ = owner;
    }
    auto log = grpc_ ? owner->Connect() : events::MakeRemoteEventLog(owner->bound(), runtime, {});
    return std::make_unique<RemoteLog>(std::move(owner), std::move(log));
  }

 private:
  const bool grpc_;
  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / NewId();
  std::weak_ptr<EventsOwner> owner_;
};

Adapter Remote(std::string name, bool grpc) {
  return {.name = std::move(name),
          .make_location = [grpc] { return std::make_unique<RemoteLocation>(grpc); },
          .shares_groups = true};
}

const Adapter kAdapters[] = {
#ifndef __SANITIZE_THREAD__  // gRPC's library knows nothing of it
    Remote("Grpc", true),
#endif
    Remote("InProcess", false)};

INSTANTIATE_TEST_SUITE_P(Remote, EventLogConformance, testing::ValuesIn(kAdapters),
                         [](const testing::TestParamInfo<Adapter>& info) {
                           return info.param.name;
                         });

}  // namespace
}  // namespace starling::messaging

// The Kafka adapter on a real broker: the port's promises, and what it does when the broker dies.
#include "platform/messaging/kafka/kafka_event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/messaging/conformance/event_log_conformance.h"
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
                              .shares_groups = true}),
    [](const ::testing::TestParamInfo<Adapter>& info) { return info.param.name; });

}  // namespace
}  // namespace starling::messaging

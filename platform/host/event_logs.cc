#include "platform/host/event_logs.h"

#include "platform/host/options.h"
#include "platform/messaging/embedded_event_log.h"
#include "platform/messaging/kafka/kafka_event_log.h"
#include "platform/messaging/rabbitmq/rabbit_event_log.h"

namespace starling::host {
namespace {

StatusOr<std::unique_ptr<messaging::EventLog>> Connect(const EventLogPlace& place, Peers& peers,
                                                       Runtime& runtime) {
  std::shared_ptr<rpc::Channel> channel;
  if (place.service != nullptr && place.connect) {
    STARLING_ASSIGN_OR_RETURN(channel, peers.ChannelTo(*place.service));
  }
  if (channel == nullptr) {
    return FailedPrecondition(
        "messaging.engine is service: say which process serves events by "
        "peers.services.events.addresses, or serve `events` here");
  }
  if (place.config.grpc.Get()->cluster_key.Reveal().empty()) {
    return FailedPrecondition(
        "events are another process': give this one and that the same grpc.cluster_key");
  }
  return place.connect(std::move(channel), runtime);
}

}  // namespace

StatusOr<std::unique_ptr<messaging::EventLog>> OpenEventLog(const EventLogPlace& place,
                                                            Peers& peers, Runtime& runtime,
                                                            telemetry::Telemetry& telemetry) {
  const auto messaging = place.config.messaging.Get();
  if (messaging->engine == "kafka") {
    return messaging::OpenKafkaEventLog({.brokers = messaging->url.Reveal(),
                                         .partitions = messaging->partitions,
                                         .replication_factor = messaging->replication_factor,
                                         .max_lag = static_cast<uint64_t>(messaging->max_lag),
                                         .retain_bytes = messaging->retain_bytes.count(),
                                         .retain_for = messaging->retain_for},
                                        runtime, telemetry);
  }
  if (messaging->engine == "rabbitmq") {
    STARLING_ASSIGN_OR_RETURN(messaging::RabbitAddress address,
                              messaging::ParseRabbitUrl(messaging->url.Reveal()));
    return messaging::OpenRabbitEventLog({.address = std::move(address),
                                          .partitions = messaging->partitions,
                                          .replication_factor = messaging->replication_factor,
                                          .max_lag = static_cast<uint64_t>(messaging->max_lag),
                                          .retain_bytes = messaging->retain_bytes.count(),
                                          .retain_for = messaging->retain_for},
                                         runtime, telemetry);
  }
  if (place.elsewhere || (messaging->engine == "service" && !place.serves))
    return Connect(place, peers, runtime);
  return messaging::OpenEmbeddedEventLog(place.folder,
                                         {.max_lag = static_cast<uint64_t>(messaging->max_lag),
                                          .retain_bytes = messaging->retain_bytes.count(),
                                          .retain_for = messaging->retain_for},
                                         runtime, telemetry);
}

}  // namespace starling::host

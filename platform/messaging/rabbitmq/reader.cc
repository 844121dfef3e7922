#include "platform/messaging/rabbitmq/reader.h"

#include <algorithm>

namespace starling::messaging::rabbitmq {
namespace {
constexpr uint16_t kChannel = 1;
constexpr uint16_t kPrefetch = 512;
}  // namespace

StatusOr<std::vector<Delivered>> Read(const RabbitOptions& options, Topics& topics,
                                      const std::string& topic, uint64_t offset, size_t limit) {
  STARLING_ASSIGN_OR_RETURN(const int partitions, topics.Find(topic));
  STARLING_ASSIGN_OR_RETURN(const auto ends, topics.Ends(topic, partitions));
  STARLING_ASSIGN_OR_RETURN(const auto connection, Connection::Open(options, Heartbeat::kYes));
  STARLING_RETURN_IF_ERROR(connection->OpenChannel(kChannel));
  std::vector<Delivered> events;
  // One stream after the other: each in its order, and no more in flight than one has.
  for (int p = 0; p < partitions && events.size() < limit; ++p) {
    const uint64_t end = ends[static_cast<size_t>(p)];
    if (offset >= end) continue;
    const std::string tag = std::to_string(p);
    STARLING_RETURN_IF_ERROR(connection->Consume(
        kChannel, StreamOf(topic, p), tag, offset == 0 ? StreamStart("first") : offset, kPrefetch));
    for (uint64_t next = offset; next < end && events.size() < limit;) {
      STARLING_ASSIGN_OR_RETURN(auto message, connection->Next(options.append_timeout));
      if (!message) return Unavailable("RabbitMQ does not give the rest of topic '{}'", topic);
      if (message->tag != tag) continue;
      next = message->offset + 1;
      STARLING_RETURN_IF_ERROR(connection->Ack(kChannel, message->delivery, false));
      if (message->offset < offset || message->offset >= end) continue;
      StatusOr<Event> event = DecodeEvent(message->body);  // what is no event is passed over
      if (event.ok())
        events.push_back({*std::move(event), {static_cast<uint16_t>(p), message->offset}, 1});
    }
    STARLING_RETURN_IF_ERROR(connection->Cancel(kChannel, tag));
  }
  return events;
}

}  // namespace starling::messaging::rabbitmq

#include "platform/messaging/kafka/reader.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>

namespace starling::messaging::kafka {
namespace {

struct FreeTopic {
  void operator()(rd_kafka_topic_t* topic) const { rd_kafka_topic_destroy(topic); }
};
struct FreeMessage {
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
};

}  // namespace

StatusOr<std::vector<Delivered>> Read(const KafkaOptions& options, Cluster& cluster,
                                      const std::string& topic_name, uint64_t offset,
                                      size_t limit) {
  STARLING_ASSIGN_OR_RETURN(const int partitions, cluster.Find(topic_name));
  STARLING_ASSIGN_OR_RETURN(Cluster::Bounds bounds, cluster.FindBounds(topic_name, partitions));
  STARLING_ASSIGN_OR_RETURN(const Client client, MakeClient(Role::kConsumer, options,
                                                            {{"enable.partition.eof", "true"}}));
  const std::unique_ptr<rd_kafka_topic_t, FreeTopic> topic(
      rd_kafka_topic_new(client.get(), topic_name.c_str(), nullptr));
  const Queue queue(rd_kafka_queue_new(client.get()));
  std::vector<int32_t> open;
  for (int32_t p = 0; p < partitions; ++p) {
    const auto from = std::max(bounds.begin[static_cast<size_t>(p)],
                               static_cast<int64_t>(std::min<uint64_t>(offset, INT64_MAX)));
    if (from >= bounds.end[static_cast<size_t>(p)]) continue;
    if (rd_kafka_consume_start_queue(topic.get(), p, from, queue.get()) == 0) open.push_back(p);
  }
  const std::vector<int32_t> started = open;
  std::vector<Delivered> events;
  Status failure;
  Instant until = std::chrono::steady_clock::now() + options.append_timeout;
  while (!open.empty() && events.size() < limit && failure.ok()) {
    const std::unique_ptr<rd_kafka_message_t, FreeMessage> message(
        rd_kafka_consume_queue(queue.get(), 100));
    if (message == nullptr) {
      if (std::chrono::steady_clock::now() > until)
        failure = Unavailable("Kafka does not give the rest of topic '{}'", topic_name);
      continue;
    }
    until = std::chrono::steady_clock::now() + options.append_timeout;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      std::erase(open, message->partition);
    } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const std::string_view bytes(static_cast<const char*>(message->payload), message->len);
      StatusOr<Event> event = DecodeEvent(bytes);  // what is no event of ours is passed over
      const int64_t end = bounds.end[static_cast<size_t>(message->partition)];
      if (event.ok() && message->offset < end) {
        events.push_back(
            {*std::move(event),
             {static_cast<uint16_t>(message->partition), static_cast<uint64_t>(message->offset)},
             1});
      }
      if (message->offset + 1 >= end) std::erase(open, message->partition);
    }
  }
  for (const int32_t p : started) rd_kafka_consume_stop(topic.get(), p);
  if (!failure.ok()) return failure;
  return events;
}

}  // namespace starling::messaging::kafka

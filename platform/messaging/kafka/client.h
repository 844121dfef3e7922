// librdkafka's objects with owners, its errors as statuses, its log in ours. Within kafka only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "platform/base/status.h"
#include "platform/messaging/kafka/kafka_event_log.h"

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_partition_list_s;

namespace starling::messaging::kafka {

struct Destroy {
  void operator()(rd_kafka_s* client) const;
  void operator()(rd_kafka_queue_s* queue) const;
  void operator()(rd_kafka_topic_partition_list_s* partitions) const;
};
using Client = std::unique_ptr<rd_kafka_s, Destroy>;
using Queue = std::unique_ptr<rd_kafka_queue_s, Destroy>;
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_s, Destroy>;

enum class Role { kProducer, kConsumer };
using Settings = std::vector<std::pair<std::string, std::string>>;

// A client with the settings that all of ours have and these. `hooks` sets callbacks.
StatusOr<Client> MakeClient(Role role, const KafkaOptions& options, const Settings& settings,
                            const std::function<void(rd_kafka_conf_s*)>& hooks = {});

// UNAVAILABLE unless the error is the caller's. `error` is an rd_kafka_resp_err_t.
Status ToStatus(int error, std::string_view doing);

int Milliseconds(Duration duration);

inline constexpr size_t kMaxMessageBytes = 2 << 20;  // an event of kMaxEventBytes and all around it

}  // namespace starling::messaging::kafka

#include "platform/messaging/kafka/client.h"

#include <librdkafka/rdkafka.h>

#include <array>

#include "platform/telemetry/log.h"

namespace starling::messaging::kafka {
namespace {

void Log(const rd_kafka_t* client, int level, const char* facility, const char* text) {
  // syslog's levels. What librdkafka calls an error (a broker that closed) it mends by itself.
  if (level <= 2) {
    log::Error("kafka", "{}", text)
        .With("facility", facility)
        .With("client", rd_kafka_name(client));
  } else if (level <= 4) {
    log::Warning("kafka", "{}", text).With("facility", facility);
  } else {
    log::Debug("kafka", "{}", text).With("facility", facility);
  }
}

}  // namespace

void Destroy::operator()(rd_kafka_s* client) const { rd_kafka_destroy(client); }
void Destroy::operator()(rd_kafka_queue_s* queue) const { rd_kafka_queue_destroy(queue); }
void Destroy::operator()(rd_kafka_topic_partition_list_s* partitions) const {
  rd_kafka_topic_partition_list_destroy(partitions);
}

StatusOr<Client> MakeClient(Role role, const KafkaOptions& options, const Settings& settings,
                            const std::function<void(rd_kafka_conf_s*)>& hooks) {
  Settings all = {{"bootstrap.servers", options.brokers},
                  {"client.id", "starling"},
                  {"reconnect.backoff.ms", "50"},
                  {"reconnect.backoff.max.ms", "500"},
                  {"topic.metadata.refresh.interval.ms", "10000"},
                  {"log.connection.close", "false"},
                  {"message.max.bytes", std::to_string(kMaxMessageBytes)}};
  all.insert(all.end(), settings.begin(), settings.end());
  std::array<char, 512> error{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : all) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error.data(), error.size()) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      return InvalidArgument("messaging on Kafka: {}", error.data());
    }
  }
  rd_kafka_conf_set_log_cb(conf, Log);
  if (hooks) hooks(conf);
  Client client(rd_kafka_new(role == Role::kProducer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf,
                             error.data(), error.size()));
  if (client == nullptr) {
    rd_kafka_conf_destroy(conf);  // a client owns it only once it is made
    return InvalidArgument("messaging on Kafka: {}", error.data());
  }
  return client;
}

Status ToStatus(int code, std::string_view doing) {
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return OkStatus();
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
      return InvalidArgument("Kafka refuses, {}: {}", doing, rd_kafka_err2str(error));
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
      return PermissionDenied("Kafka refuses, {}: {}", doing, rd_kafka_err2str(error));
    default:
      return Unavailable("Kafka, {}: {}", doing, rd_kafka_err2str(error));
  }
}

int Milliseconds(Duration duration) {
  return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace starling::messaging::kafka

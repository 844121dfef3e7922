#include "platform/messaging/kafka/producer.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>

#include <mutex>

#include "platform/base/hash.h"
#include "platform/telemetry/log.h"

namespace starling::messaging::kafka {

struct Producer::Batch {
  Completion<StatusOr<std::vector<Position>>> done;
  std::vector<Slot> slots;
  std::vector<Position> positions;
  std::mutex mutex;
  size_t left = 0;
  Status failure;
};

StatusOr<std::unique_ptr<Producer>> Producer::Open(const KafkaOptions& options) {
  std::unique_ptr<Producer> producer(new Producer(options));
  STARLING_ASSIGN_OR_RETURN(producer->client_, producer->Connect());
  producer->thread_ = std::thread([self = producer.get()] { self->Run(); });
  pthread_setname_np(producer->thread_.native_handle(), "kafka-producer");
  return producer;
}

Producer::~Producer() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  if (client_ != nullptr) Drain(client_.get());
}

StatusOr<Client> Producer::Connect() {
  const Settings settings = {
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"linger.ms", "1"},
      {"message.timeout.ms", std::to_string(Milliseconds(options_.append_timeout))},
      {"queue.buffering.max.messages", std::to_string(2 * options_.queue_limit)},
      {"queue.buffering.max.kbytes", "2097151"}};
  return MakeClient(Role::kProducer, options_, settings, [this](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_dr_msg_cb(conf, Answered);
  });
}

void Producer::Prepare(const std::string& topic) {
  const std::shared_lock lock(mutex_);
  rd_kafka_topic_t* handle = rd_kafka_topic_new(client_.get(), topic.c_str(), nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  rd_kafka_metadata(client_.get(), 0, handle, &metadata, Milliseconds(options_.append_timeout));
  if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(handle);
}

Task<StatusOr<std::vector<Position>>> Producer::Append(const std::string& topic, int partitions,
                                                       std::span<const Event> events) {
  if (waiting_.fetch_add(events.size()) + events.size() > options_.queue_limit) {
    waiting_ -= events.size();
    co_return Overloaded(fmt::format("{} events wait for Kafka, the limit", options_.queue_limit),
                         std::chrono::seconds(1));
  }
  StatusOr<std::vector<Position>> positions = co_await Suspend<StatusOr<std::vector<Position>>>(
      [&](Completion<StatusOr<std::vector<Position>>> done) {
        auto* batch = new Batch{.done = std::move(done)};  // Settle deletes it
        batch->left = events.size();
        batch->positions.resize(events.size());
        Send(topic, partitions, events, batch);
      });
  waiting_ -= events.size();
  co_return positions;
}

void Producer::Send(const std::string& topic, int partitions, std::span<const Event> events,
                    Batch* batch) {
  for (size_t i = 0; i < events.size(); ++i) batch->slots.push_back({batch, i});
  const std::shared_lock lock(mutex_);
  std::string bytes;
  for (size_t i = 0; i < events.size(); ++i) {
    const std::string& key = events[i].partitionkey.empty() ? events[i].id : events[i].partitionkey;
    const auto partition =
        static_cast<int32_t>(Hash64(key) % static_cast<uint64_t>(std::max(partitions, 1)));
    bytes.clear();
    AppendEvent(events[i], bytes);
    const rd_kafka_resp_err_t error = rd_kafka_producev(
        client_.get(), RD_KAFKA_V_TOPIC(topic.c_str()), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_KEY(key.data(), key.size()), RD_KAFKA_V_VALUE(bytes.data(), bytes.size()),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_OPAQUE(&batch->slots[i]),
        RD_KAFKA_V_END);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      // What was sent before it is still answered; the batch as a whole has failed.
      {
        const std::lock_guard guard(batch->mutex);
        batch->failure = ToStatus(error, "appending");
      }
      Settle(batch, events.size() - i);
      return;
    }
  }
}

void Producer::Answered(rd_kafka_t*, const rd_kafka_message_t* message, void* producer) {
  const Slot& slot = *static_cast<const Slot*>(message->_private);
  {
    const std::lock_guard lock(slot.batch->mutex);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      slot.batch->failure = ToStatus(message->err, "appending");
    } else {
      slot.batch->positions[slot.index] = {static_cast<uint16_t>(message->partition),
                                           static_cast<uint64_t>(message->offset)};
    }
  }
  static_cast<Producer*>(producer)->Settle(slot.batch, 1);
}

void Producer::Settle(Batch* batch, size_t count) {
  {
    const std::lock_guard lock(batch->mutex);
    batch->left -= count;
    if (batch->left > 0) return;
  }
  const std::unique_ptr<Batch> owned(batch);
  if (owned->failure.ok()) {
    owned->done(std::move(owned->positions));
  } else {
    owned->done(owned->failure);
  }
}

void Producer::Run() {
  while (!stopping_) {
    rd_kafka_poll(client_.get(), 50);
    if (rd_kafka_fatal_error(client_.get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) Replace();
  }
}

void Producer::Replace() {
  StatusOr<Client> fresh = Connect();
  if (!fresh.ok()) {
    log::Error("kafka", "the producer cannot begin anew").With(fresh.status());
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    return;
  }
  log::Warning("kafka", "the producer begins anew after a fatal error");
  {
    const std::unique_lock lock(mutex_);
    std::swap(client_, *fresh);
  }
  Drain(fresh->get());
}

// Every event that waits is answered, as failed.
void Producer::Drain(rd_kafka_t* client) {
  rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  while (rd_kafka_outq_len(client) > 0) rd_kafka_poll(client, 50);
}

}  // namespace starling::messaging::kafka

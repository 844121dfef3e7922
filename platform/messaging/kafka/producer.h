// The idempotent producer. Within kafka only.
#pragma once

#include <atomic>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "platform/async/task.h"
#include "platform/messaging/kafka/client.h"

struct rd_kafka_message_s;

namespace starling::messaging::kafka {

// Thread-safe. A thread of its own takes the brokers' answers; what a destroyed producer still has
// fails with UNAVAILABLE.
class Producer {
 public:
  static StatusOr<std::unique_ptr<Producer>> Open(const KafkaOptions& options);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // Learns where a topic's partitions are, which the first append would wait a second for. Blocks.
  void Prepare(const std::string& topic);

  // Gives the positions once all of the events are durable. OVERLOADED at queue_limit; UNAVAILABLE
  // after append_timeout.
  Task<StatusOr<std::vector<Position>>> Append(const std::string& topic, int partitions,
                                               std::span<const Event> events);

 private:
  struct Batch;
  struct Slot {
    Batch* batch;
    size_t index;
  };
  explicit Producer(const KafkaOptions& options) : options_(options) {}
  StatusOr<Client> Connect();
  void Send(const std::string& topic, int partitions, std::span<const Event> events, Batch* batch);
  static void Answered(rd_kafka_s* client, const rd_kafka_message_s* message, void* producer);
  void Settle(Batch* batch, size_t count);
  void Run();
  // A fatal error (another producer's epoch, a lost sequence) ends the client: begins anew.
  void Replace();
  static void Drain(rd_kafka_s* client);

  const KafkaOptions options_;
  std::shared_mutex mutex_;  // shared: `client_` is used; exclusive: it is replaced
  Client client_;
  std::atomic<size_t> waiting_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace starling::messaging::kafka

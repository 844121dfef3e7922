// One subscription: a member of a consumer group, with a thread that hands over and commits. Within
// kafka only.
//
// Messages go to a queue of their own, so that the member's duties (rebalances, the sign of life
// that max.poll.interval.ms wants) are served also while a handler runs or fails for hours:
//
//   collect a batch -> handler (delivery.h), meanwhile serve -> remember what it accepted -> commit
//
// When partitions are taken away while a handler runs, the callback waits for that one call,
// commits what was accepted, lets the partitions go and drops what is left of them in the batch.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/messaging/delivery.h"
#include "platform/messaging/kafka/client.h"

struct rd_kafka_message_s;

namespace starling::messaging::kafka {

class Consumer final {
 public:
  enum class Commits { kAccepted, kNever };
  static constexpr int64_t kStored = -1000;  // RD_KAFKA_OFFSET_STORED: where the group is
  // The topic must be there. With `from`, an offset a partition, it is no member of its group: it
  // reads all partitions from there on.
  static StatusOr<std::unique_ptr<Consumer>> Start(const KafkaOptions& options, Executor executor,
                                                   std::unique_ptr<Delivery> delivery,
                                                   const std::vector<int64_t>& from = {},
                                                   Commits commits = Commits::kAccepted);
  ~Consumer() { Stop(); }
  // Commits what was accepted and leaves the group.
  void Stop();

 private:
  Consumer(Executor executor, std::unique_ptr<Delivery> delivery)
      : executor_(std::move(executor)), delivery_(std::move(delivery)) {}
  Status Join(const std::string& topic);
  Status ReadFrom(const std::string& topic, const std::vector<int64_t>& from);
  void Forward(const rd_kafka_topic_partition_list_s& partitions);
  void Run();
  void Serve();
  void Collect();
  void Take(const rd_kafka_message_s& message);
  // Runs the handler over the batch, or sets the unreadable event aside.
  void Hand();
  void AwaitOutcome();
  void Settle();
  void Accept(const Position& position);
  enum class Wait { kNo, kYes };
  void Commit(Wait wait);
  void Close();
  static void Rebalanced(rd_kafka_s* client, int error, rd_kafka_topic_partition_list_s* partitions,
                         void* consumer);
  void Assign(rd_kafka_topic_partition_list_s* partitions);
  void Revoke(rd_kafka_topic_partition_list_s* partitions);

  const Executor executor_;
  const std::unique_ptr<Delivery> delivery_;
  Commits commits_ = Commits::kAccepted;
  Queue messages_;
  Client client_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> give_up_{false};  // ends the delivery that runs, between two calls

  // Used by the thread alone, also in callbacks that it serves.
  std::vector<Delivered> batch_;
  std::optional<Delivered> unreadable_;  // comes after the batch
  bool joining_ = false;                 // a member that was given no partitions yet
  std::atomic<size_t> done_{0};
  std::future<Status> running_;
  std::map<int32_t, int64_t> accepted_;  // partition -> the next offset, not yet committed
  Instant committed_at_{};

  std::once_flag stopped_;
  std::thread thread_;
};

}  // namespace starling::messaging::kafka

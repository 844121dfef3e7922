// One subscription: a member of a group, with a thread and a connection that read partitions, hand
// over and note what was accepted. Within rabbitmq only.
//
//   balance: let partitions go that are no part of this member's share any more,
//            take the others:  lock -> Groups::Sync -> read from where the group is
//   collect a batch -> handler (delivery.h), meanwhile read on -> Groups::Accept
//
// The lock of a partition is an exclusive queue of the connection. Before one is let go, a handler
// that runs is waited for and what was accepted is stated. When the connection is lost, so are the
// locks: the handler that runs is let finish, what is left of the batch is dropped.
#pragma once

#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "platform/async/runtime.h"
#include "platform/messaging/delivery.h"
#include "platform/messaging/rabbitmq/groups.h"

namespace starling::messaging::rabbitmq {

class Consumer final {
 public:
  // Joins the group. The topic must be there.
  static StatusOr<std::unique_ptr<Consumer>> Start(const RabbitOptions& options, Groups& groups,
                                                   int partitions, Executor executor,
                                                   std::unique_ptr<Delivery> delivery);
  ~Consumer() { Stop(); }
  // States what was accepted and leaves the group.
  void Stop();

 private:
  Consumer(const RabbitOptions& options, Groups& groups, int partitions, Executor executor,
           std::unique_ptr<Delivery> delivery)
      : options_(options),
        groups_(groups),
        partitions_(partitions),
        executor_(std::move(executor)),
        delivery_(std::move(delivery)) {}

  struct Arrived {
    uint16_t partition = 0;
    Incoming message;
  };
  struct Owned {
    std::string tag;
    uint64_t next = 0;  // the offset that is read next
  };
  void Run();
  Status Turn();
  Status Connect();
  std::set<uint16_t> Share() const;
  Status Balance();
  Status Take(const std::set<uint16_t>& partitions);
  Status LetGo(const std::set<uint16_t>& partitions);
  // Reads what has come, within bounds.
  Status Serve(Duration patience);
  void Collect();
  Status Hand();
  Status AwaitOutcome();
  void Settle();
  void Accept(const Position& position);
  void Lost(const Status& why);
  void Close();

  const RabbitOptions options_;
  Groups& groups_;
  const int partitions_;
  const Executor executor_;
  const std::unique_ptr<Delivery> delivery_;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> give_up_{false};  // ends the delivery that runs, between two calls

  // The thread's own.
  std::unique_ptr<Connection> connection_;
  Backoff backoff_;
  Instant balanced_at_{};
  Backoff lock_backoff_;  // RabbitMQ logs each lock that it refuses
  Instant lock_at_{};
  Instant served_at_{};
  uint64_t readers_ = 0;  // so that each has a tag of its own
  std::map<uint16_t, Owned> owned_;
  std::deque<Arrived> arrived_;
  size_t arrived_bytes_ = 0;
  std::vector<Delivered> batch_;
  std::optional<Delivered> unreadable_;  // comes after the batch
  uint64_t last_delivery_ = 0;           // of what was collected
  std::atomic<size_t> done_{0};
  std::future<Status> running_;

  std::once_flag stopped_;
  std::thread thread_;
};

}  // namespace starling::messaging::rabbitmq

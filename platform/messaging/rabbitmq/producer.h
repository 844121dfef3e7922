// Publishes with confirms: one connection, one thread. Within rabbitmq only.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "platform/async/task.h"
#include "platform/messaging/rabbitmq/connection.h"

namespace starling::messaging::rabbitmq {

// Thread-safe. Events of one stream keep the order of their calls. While the broker is away they
// wait, each for append_timeout; a connection that is lost fails all that was sent by it and has no
// answer. What a destroyed producer still has fails with UNAVAILABLE.
class Producer {
 public:
  explicit Producer(const RabbitOptions& options);
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // Done once all of the events are durable. OVERLOADED at queue_limit; UNAVAILABLE after
  // append_timeout, or twice that while the broker hangs; NOT_FOUND when a stream was deleted.
  Task<StatusOr<std::vector<Position>>> Append(const std::string& topic, int partitions,
                                               std::span<const Event> events);

 private:
  struct Batch {
    Completion<StatusOr<std::vector<Position>>> done;
    std::vector<std::pair<std::string, std::string>> messages;  // stream, body
    std::vector<Position> positions;
    size_t left = 0;
    Instant until;

    void Finish(Status status);  // the first of two counts
  };
  struct Sent {
    std::shared_ptr<Batch> batch;
    size_t bytes = 0;
    bool answered = false;
  };
  void Run();
  bool Connect();
  Status Send();
  Status Take(Duration patience);
  void Answered(const Incoming& answer);
  void ExpirePending();
  void Drop(const Status& why);

  const RabbitOptions options_;
  std::atomic<size_t> waiting_{0};
  std::atomic<bool> stopping_{false};
  Waker waker_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<Batch>> pending_;

  // The thread's own.
  std::unique_ptr<Connection> connection_;
  Backoff backoff_;
  bool dropped_ = false;   // a connection was lost
  std::deque<Sent> sent_;  // in order, until answered; the first is publishing `first_`
  uint64_t first_ = 1;
  size_t sent_bytes_ = 0;
  std::thread thread_;
};

}  // namespace starling::messaging::rabbitmq

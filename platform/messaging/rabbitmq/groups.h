// How far each group is and which processes run it, as the processes state it to one another.
// Within rabbitmq only.
//
// RabbitMQ keeps no offsets of a stream's consumers that AMQP could ask for. So each process writes
// statements (statement.h) into "<topic>:groups": when its groups have come farther, when one
// begins or ends, and every two seconds as a sign of life. Each holds all that the process knows of
// the topic's groups, so that old ones can be deleted. All processes read that stream from its
// beginning and merge what they read.
//
//   Sync: write a statement, and wait until it is read back
//
// is a commit that is durable, and tells whoever calls it all that was stated before. A process
// that is silent for six seconds runs no groups. Who may read a partition says a lock of the broker
// (consumer.h); statements merely share partitions out.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "platform/messaging/rabbitmq/connection.h"
#include "platform/messaging/rabbitmq/statement.h"

namespace starling::messaging::rabbitmq {

// Thread-safe; one connection, one thread. Watch, Join, Leave and Sync block, for at most
// append_timeout, and give UNAVAILABLE then. Topics must be there, and be watched before anything
// else is asked about them.
class Groups {
 public:
  explicit Groups(const RabbitOptions& options);
  ~Groups();
  Groups(const Groups&) = delete;
  Groups& operator=(const Groups&) = delete;

  Status Watch(const std::string& topic);
  // From now on this process runs the group.
  Status Join(const std::string& topic, const std::string& group, int partitions);
  void Leave(const std::string& topic, const std::string& group);
  // The group has accepted what is before `next`; stated soon.
  void Accept(const std::string& topic, const std::string& group, uint16_t partition,
              uint64_t next);
  Status Sync(const std::string& topic);

  // Nothing for a group that never was.
  std::optional<Offsets> OffsetsOf(const std::string& topic, const std::string& group) const;
  // Groups that run anywhere.
  std::map<std::string, Offsets> Running(const std::string& topic) const;
  // The partitions that are this process' part of the group.
  std::set<uint16_t> Share(const std::string& topic, const std::string& group,
                           int partitions) const;

 private:
  struct Other {
    std::set<std::string> running;
    Instant heard;
  };
  struct Topic {
    bool open = false;   // its stream is read
    bool dirty = false;  // something is to be stated
    bool live = false;   // what is read is not history
    uint64_t asked = 0;  // the newest statement that is waited for
    uint64_t stated = 0;
    uint64_t read = 0;  // the newest of our own that was read back
    Instant stated_at{};
    Instant waits_since{};  // for what was stated to be read back
    std::set<std::string> running;
    std::map<std::string, Offsets> offsets;
    std::map<std::string, Other> others;  // by process
  };

  void Run();
  Status Connect();
  Status OpenWatched();
  Status State();
  Status Take(Duration patience);
  void Heard(const std::string& name, const Statement& statement);
  Status AwaitRead(std::unique_lock<std::mutex>& lock, const std::string& name);

  const RabbitOptions options_;
  const std::string self_;
  std::atomic<bool> stopping_{false};
  Waker waker_;
  mutable std::mutex mutex_;
  std::condition_variable read_;
  std::map<std::string, Topic> topics_;

  // The thread's own.
  std::unique_ptr<Connection> connection_;
  Backoff backoff_;
  int unacknowledged_ = 0;
  std::thread thread_;
};

}  // namespace starling::messaging::rabbitmq

// What the brokers know of topics and groups. Within kafka only.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "platform/messaging/kafka/client.h"
#include "platform/messaging/lag_guard.h"

struct rd_kafka_op_s;
struct rd_kafka_AdminOptions_s;

namespace starling::messaging::kafka {

// "<group>:<topic>": a group's members of one topic are not disturbed by those of another.
std::string GroupId(std::string_view topic, std::string_view group);

// Thread-safe. All but KnownPartitions block, each question for at most append_timeout.
//
// Of groups it asks by clients that never join, one for each group that is asked about, and by
// rd_kafka_list_groups. librdkafka 2.0's admin API for groups does not outlive a broker that comes
// back: NOT_COORDINATOR reads the client's own group, which it does not have (a crash), and a
// request that is sent again fails an assertion (an abort).
class Cluster {
 public:
  // UNAVAILABLE when no broker answers.
  static StatusOr<std::unique_ptr<Cluster>> Open(const KafkaOptions& options);

  // How many partitions the topic has; made when absent.
  StatusOr<int> Ensure(const std::string& topic);
  std::optional<int> KnownPartitions(std::string_view topic) const;
  // So that Ensure asks again: the topic was deleted, or has more partitions now.
  void Forget(std::string_view topic);
  // NOT_FOUND for a topic that is not there.
  StatusOr<int> Find(const std::string& topic);

  // First offset that is kept and the one after the last, by partition.
  struct Bounds {
    std::vector<int64_t> begin;
    std::vector<int64_t> end;
  };
  StatusOr<Bounds> FindBounds(const std::string& topic, int partitions);

  // NOT_FOUND for a group that never was.
  StatusOr<uint64_t> Lag(const std::string& topic, const std::string& group);
  // Of the groups with members, in any process, that are not one instance's own.
  StatusOr<std::vector<GroupLag>> Lags(const std::string& topic);

 private:
  explicit Cluster(const KafkaOptions& options) : options_(options) {}
  struct FreeEvent {
    void operator()(rd_kafka_op_s* event) const;
  };
  using Answer = std::unique_ptr<rd_kafka_op_s, FreeEvent>;
  // Asks through the admin API. `operation` is an rd_kafka_admin_op_t.
  StatusOr<Answer> Ask(int operation, std::string_view doing,
                       const std::function<void(rd_kafka_AdminOptions_s*, rd_kafka_queue_s*)>& ask);
  Status Create(const std::string& topic);
  StatusOr<std::vector<int64_t>> Offsets(const std::string& topic, int partitions, int64_t which);
  // What the group has committed; -1 where nothing.
  StatusOr<std::vector<int64_t>> Committed(const std::string& topic, int partitions,
                                           const std::string& group);
  StatusOr<std::set<std::string>> GroupsWithMembers();
  StatusOr<rd_kafka_s*> Reader(const std::string& group_id);

  const KafkaOptions options_;
  Client client_;
  mutable std::mutex mutex_;
  std::map<std::string, int, std::less<>> partitions_;  // by topic
  std::map<std::string, Client> readers_;               // by group's id
};

}  // namespace starling::messaging::kafka

// Which streams a topic has, and where they begin and end. Within rabbitmq only.
//
// RabbitMQ tells neither how many events a stream has (its count is seconds old) nor their offsets,
// except with the messages themselves. So each stream of ours begins with an empty message, and the
// end is what comes first of a consumer that begins at the newest chunk: it is given all of it at
// once.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "platform/messaging/rabbitmq/connection.h"

namespace starling::messaging::rabbitmq {

std::string StreamOf(std::string_view topic, int partition);  // "<topic>:3"
std::string StatementsOf(std::string_view topic);             // "<topic>:groups"
std::string LockOf(std::string_view topic, std::string_view group, int partition);

// Thread-safe. All but KnownPartitions block, one question at a time, each for at most twice
// append_timeout, and as long until it may be asked.
class Topics {
 public:
  explicit Topics(const RabbitOptions& options) : options_(options) {}

  // UNAVAILABLE when no broker answers.
  Status Open();
  // How many partitions the topic has; made when absent.
  StatusOr<int> Ensure(const std::string& topic);
  std::optional<int> KnownPartitions(std::string_view topic) const;
  // So that Ensure asks again: the topic was deleted.
  void Forget(std::string_view topic);
  // NOT_FOUND for a topic that is not there.
  StatusOr<int> Find(const std::string& topic);

  // By partition: the first offset that is kept, and the one after the last.
  StatusOr<std::vector<uint64_t>> Begins(const std::string& topic, int partitions);
  StatusOr<std::vector<uint64_t>> Ends(const std::string& topic, int partitions);

 private:
  // Runs `ask` on the connection; connects anew, once, when the one from before is gone.
  template <typename Ask>
  auto With(Ask ask) -> decltype(ask(std::declval<Connection&>()));
  StatusOr<std::unique_ptr<Connection>> Connect();
  StatusOr<int> FindOn(Connection& connection, const std::string& topic);
  StatusOr<int> MakeOrFind(const std::string& topic);
  Status Make(Connection& connection, const std::string& topic);
  Status MakeStream(Connection& connection, const std::string& stream, uint64_t bytes);
  // The first and the last offset of the chunk at `start`, by partition.
  using Chunk = std::pair<uint64_t, uint64_t>;
  StatusOr<std::vector<Chunk>> Chunks(Connection& connection, const std::string& topic,
                                      int partitions, const char* start, uint16_t prefetch);

  const RabbitOptions options_;
  std::timed_mutex asking_;
  std::unique_ptr<Connection> connection_;
  mutable std::mutex mutex_;
  std::map<std::string, int, std::less<>> partitions_;        // by topic
  std::map<std::string, std::pair<Status, Instant>> failed_;  // the same; why, and for how long
};

}  // namespace starling::messaging::rabbitmq

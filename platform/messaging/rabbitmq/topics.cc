#include "platform/messaging/rabbitmq/topics.h"

#include <algorithm>
#include <thread>

#include "platform/base/id.h"

namespace starling::messaging::rabbitmq {
namespace {

constexpr uint16_t kChannel = 1;
constexpr uint16_t kLocks = 2;
constexpr uint16_t kConfirming = 3;
constexpr Duration kFailedFor = std::chrono::milliseconds(100);
constexpr uint64_t kStatementBytes = 2 << 20;  // of a topic's statements, thousands

}  // namespace

std::string StreamOf(std::string_view topic, int partition) {
  return fmt::format("{}:{}", topic, partition);
}
std::string StatementsOf(std::string_view topic) { return fmt::format("{}:groups", topic); }
std::string LockOf(std::string_view topic, std::string_view group, int partition) {
  return fmt::format("{}:{}:{}", topic, group, partition);
}

StatusOr<std::unique_ptr<Connection>> Topics::Connect() {
  STARLING_ASSIGN_OR_RETURN(auto made, Connection::Open(options_, Heartbeat::kNone));
  STARLING_RETURN_IF_ERROR(made->OpenChannel(kChannel));
  STARLING_RETURN_IF_ERROR(made->OpenChannel(kLocks));
  STARLING_RETURN_IF_ERROR(made->OpenChannel(kConfirming));
  STARLING_RETURN_IF_ERROR(made->ConfirmPublishing(kConfirming));
  return made;
}

template <typename Ask>
auto Topics::With(Ask ask) -> decltype(ask(std::declval<Connection&>())) {
  const std::unique_lock lock(asking_, 2 * options_.append_timeout);
  if (!lock.owns_lock()) return Unavailable("RabbitMQ does not answer");
  for (const bool kept : {true, false}) {
    if (connection_ == nullptr) {
      if (kept) continue;
      STARLING_ASSIGN_OR_RETURN(connection_, Connect());
    }
    auto answer = ask(*connection_);
    if (answer.ok()) return answer;
    // It rested while the broker went and came, most often; or a channel is closed now.
    const bool again = kept && connection_->broken();
    connection_ = nullptr;
    if (!again) return answer;
  }
  return Unavailable("RabbitMQ does not answer");
}

Status Topics::Open() {
  return With([](Connection&) { return OkStatus(); });
}

StatusOr<int> Topics::FindOn(Connection& connection, const std::string& topic) {
  // The stream of statements is made last: where it is, so are the others.
  for (int found = -1;; ++found) {
    const Status there =
        connection.Look(kChannel, found < 0 ? StatementsOf(topic) : StreamOf(topic, found));
    if (there.ok()) continue;
    if (connection.broken()) return there;
    STARLING_RETURN_IF_ERROR(connection.OpenChannel(kChannel));
    if (there.code() != StatusCode::kNotFound) return there;
    if (found < 1) return NotFound("there is no topic '{}'", topic);
    return found;
  }
}

StatusOr<int> Topics::Find(const std::string& topic) {
  return With([&](Connection& connection) { return FindOn(connection, topic); });
}

Status Topics::MakeStream(Connection& connection, const std::string& stream, uint64_t bytes) {
  // RabbitMQ deletes whole segments: an eighth of what is kept, at most.
  const uint64_t segment = std::clamp<uint64_t>(bytes / 8, 64 << 10, 500'000'000);
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(options_.retain_for).count();
  Arguments arguments = {
      {"x-queue-type", "stream"},
      {"x-max-length-bytes", static_cast<int64_t>(std::max<uint64_t>(bytes, 1))},
      {"x-stream-max-segment-size-bytes", static_cast<int64_t>(segment)},
      {"x-queue-leader-locator", "least-leaders"},
      {"x-initial-cluster-size", static_cast<int64_t>(options_.replication_factor)}};
  if (!stream.ends_with(":groups"))
    arguments.emplace_back("x-max-age", fmt::format("{}s", std::max<int64_t>(seconds, 1)));
  const Status made = connection.DeclareStream(kChannel, stream, arguments);
  if (made.code() == StatusCode::kFailedPrecondition && !connection.broken()) {
    // One is there, with other settings: an operator's.
    STARLING_RETURN_IF_ERROR(connection.OpenChannel(kChannel));
    STARLING_RETURN_IF_ERROR(connection.Look(kChannel, stream));
  } else if (!made.ok()) {
    if (!connection.broken()) STARLING_RETURN_IF_ERROR(connection.OpenChannel(kChannel));
    return made;
  }
  STARLING_RETURN_IF_ERROR(connection.Publish(kConfirming, stream, ""));
  STARLING_ASSIGN_OR_RETURN(const auto answer, connection.Next(options_.append_timeout));
  if (!answer || answer->kind != Incoming::kAcked)
    return Unavailable("RabbitMQ does not take the first message of {}", stream);
  return OkStatus();
}

Status Topics::Make(Connection& connection, const std::string& topic) {
  const auto parts = static_cast<uint64_t>(options_.partitions);
  for (int p = 0; p < options_.partitions; ++p)
    STARLING_RETURN_IF_ERROR(
        MakeStream(connection, StreamOf(topic, p), options_.retain_bytes / parts));
  return MakeStream(connection, StatementsOf(topic), kStatementBytes);
}

StatusOr<int> Topics::Ensure(const std::string& topic) {
  {
    const std::lock_guard guard(mutex_);
    if (const auto at = partitions_.find(topic); at != partitions_.end()) return at->second;
    // Everybody asks again when the broker comes back: not all of them at once.
    if (const auto failed = failed_.find(topic);
        failed != failed_.end() && std::chrono::steady_clock::now() < failed->second.second)
      return failed->second.first;
  }
  StatusOr<int> partitions = MakeOrFind(topic);
  const std::lock_guard guard(mutex_);
  failed_.erase(topic);
  if (partitions.ok()) {
    partitions_[topic] = *partitions;
  } else {
    failed_[topic] = {partitions.status(), std::chrono::steady_clock::now() + kFailedFor};
  }
  return partitions;
}

StatusOr<int> Topics::MakeOrFind(const std::string& topic) {
  const Instant until = std::chrono::steady_clock::now() + options_.append_timeout;
  // One process makes it; the others wait until it has, or is gone.
  const std::string lock = topic + ":making";
  const auto ensure = [&](Connection& connection) -> StatusOr<int> {
    StatusOr<int> there = FindOn(connection, topic);
    if (there.status().code() != StatusCode::kNotFound) return there;
    STARLING_ASSIGN_OR_RETURN(const bool mine, connection.Lock(kLocks, lock));
    if (!mine) return 0;
    there = FindOn(connection, topic);
    Status made = there.ok() ? OkStatus() : Make(connection, topic);
    if (!connection.broken()) made.Update(connection.Delete(kLocks, lock));
    STARLING_RETURN_IF_ERROR(made);
    return FindOn(connection, topic);
  };
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const int partitions, With(ensure));
    if (partitions > 0) return partitions;
    if (std::chrono::steady_clock::now() > until)
      return Unavailable("another process is making topic '{}' since {} s", topic,
                         options_.append_timeout / std::chrono::seconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::optional<int> Topics::KnownPartitions(std::string_view topic) const {
  const std::lock_guard lock(mutex_);
  const auto at = partitions_.find(topic);
  return at == partitions_.end() ? std::nullopt : std::optional(at->second);
}

void Topics::Forget(std::string_view topic) {
  const std::lock_guard lock(mutex_);
  if (const auto at = partitions_.find(topic); at != partitions_.end()) partitions_.erase(at);
}

StatusOr<std::vector<Topics::Chunk>> Topics::Chunks(Connection& connection,
                                                    const std::string& topic, int partitions,
                                                    const char* start, uint16_t prefetch) {
  constexpr uint64_t kNone = UINT64_MAX;
  const auto count = static_cast<size_t>(partitions);
  std::vector<Chunk> chunks(count, {kNone, 0});
  std::vector<std::string> tags;
  const auto note = [&](const Incoming& message) {
    const auto tag = std::find(tags.begin(), tags.end(), message.tag);
    if (tag == tags.end()) return;  // of an earlier question
    Chunk& chunk = chunks[static_cast<size_t>(tag - tags.begin())];
    chunk = {std::min(chunk.first, message.offset), std::max(chunk.second, message.offset)};
  };
  const std::string name = NewId();
  for (int p = 0; p < partitions; ++p) {
    tags.push_back(fmt::format("{}:{}", name, p));
    STARLING_RETURN_IF_ERROR(
        connection.Consume(kChannel, StreamOf(topic, p), tags.back(), start, prefetch));
  }
  const auto told = [](const Chunk& chunk) { return chunk.first != kNone; };
  const Instant until = std::chrono::steady_clock::now() + options_.append_timeout;
  while (!std::all_of(chunks.begin(), chunks.end(), told)) {
    STARLING_ASSIGN_OR_RETURN(const auto message,
                              connection.Next(until - std::chrono::steady_clock::now()));
    if (message) note(*message);
    if (!message && std::chrono::steady_clock::now() > until) break;
  }
  // The broker hands over a chunk as one: what is left of it comes before its answer to Cancel.
  for (const std::string& tag : tags) STARLING_RETURN_IF_ERROR(connection.Cancel(kChannel, tag));
  while (true) {
    STARLING_ASSIGN_OR_RETURN(const auto message, connection.Next(Duration(0)));
    if (!message) break;
    note(*message);
  }
  if (!std::all_of(chunks.begin(), chunks.end(), told))
    return Unavailable("RabbitMQ does not give the offsets of topic '{}'", topic);
  return chunks;
}

StatusOr<std::vector<uint64_t>> Topics::Begins(const std::string& topic, int partitions) {
  return With([&](Connection& connection) -> StatusOr<std::vector<uint64_t>> {
    STARLING_ASSIGN_OR_RETURN(const auto chunks, Chunks(connection, topic, partitions, "first", 1));
    std::vector<uint64_t> begins;
    for (const Chunk& chunk : chunks) begins.push_back(chunk.first);
    return begins;
  });
}

StatusOr<std::vector<uint64_t>> Topics::Ends(const std::string& topic, int partitions) {
  return With([&](Connection& connection) -> StatusOr<std::vector<uint64_t>> {
    STARLING_ASSIGN_OR_RETURN(const auto chunks,
                              Chunks(connection, topic, partitions, "last", UINT16_MAX));
    std::vector<uint64_t> ends;
    for (const Chunk& chunk : chunks) ends.push_back(chunk.second + 1);
    return ends;
  });
}

}  // namespace starling::messaging::rabbitmq

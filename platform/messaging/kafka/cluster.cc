#include "platform/messaging/kafka/cluster.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <array>
#include <thread>

#include "platform/messaging/checks.h"

namespace starling::messaging::kafka {
namespace {

// librdkafka's objects that are made and freed by a pair of functions, for one scope.
template <typename T>
using Scoped = std::unique_ptr<T, void (*)(T*)>;

Partitions AllOf(const std::string& topic, int partitions, int64_t offset) {
  Partitions list(rd_kafka_topic_partition_list_new(partitions));
  for (int32_t p = 0; p < partitions; ++p)
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), p)->offset = offset;
  return list;
}

StatusOr<std::vector<int64_t>> OffsetsOf(const rd_kafka_topic_partition_list_t* list,
                                         int partitions, std::string_view doing) {
  std::vector<int64_t> offsets(static_cast<size_t>(partitions), -1);
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& at = list->elems[i];
    STARLING_RETURN_IF_ERROR(ToStatus(at.err, doing));
    if (at.partition < partitions)
      offsets[static_cast<size_t>(at.partition)] = std::max<int64_t>(at.offset, -1);
  }
  return offsets;
}

uint64_t Behind(const Cluster::Bounds& bounds, const std::vector<int64_t>& committed) {
  uint64_t lag = 0;
  for (size_t p = 0; p < bounds.end.size(); ++p) {
    const int64_t from = std::max(committed[p], bounds.begin[p]);
    if (bounds.end[p] > from) lag += static_cast<uint64_t>(bounds.end[p] - from);
  }
  return lag;
}

}  // namespace

std::string GroupId(std::string_view topic, std::string_view group) {
  return fmt::format("{}:{}", group, topic);
}

void Cluster::FreeEvent::operator()(rd_kafka_op_s* event) const { rd_kafka_event_destroy(event); }

StatusOr<std::unique_ptr<Cluster>> Cluster::Open(const KafkaOptions& options) {
  std::unique_ptr<Cluster> cluster(new Cluster(options));
  STARLING_ASSIGN_OR_RETURN(cluster->client_, MakeClient(Role::kProducer, options, {}));
  const rd_kafka_metadata_t* metadata = nullptr;
  const rd_kafka_resp_err_t error = rd_kafka_metadata(cluster->client_.get(), 0, nullptr, &metadata,
                                                      Milliseconds(options.append_timeout));
  if (metadata != nullptr) rd_kafka_metadata_destroy(metadata);
  STARLING_RETURN_IF_ERROR(ToStatus(error, "connecting to " + options.brokers));
  return cluster;
}

StatusOr<Cluster::Answer> Cluster::Ask(
    int operation, std::string_view doing,
    const std::function<void(rd_kafka_AdminOptions_s*, rd_kafka_queue_s*)>& ask) {
  const Queue queue(rd_kafka_queue_new(client_.get()));
  const Scoped<rd_kafka_AdminOptions_t> options(
      rd_kafka_AdminOptions_new(client_.get(), static_cast<rd_kafka_admin_op_t>(operation)),
      rd_kafka_AdminOptions_destroy);
  const int timeout = Milliseconds(options_.append_timeout);
  rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout, nullptr, 0);
  ask(options.get(), queue.get());
  Answer answer(rd_kafka_queue_poll(queue.get(), timeout + 1'000));
  if (answer == nullptr) return Unavailable("Kafka, {}: no answer", doing);
  STARLING_RETURN_IF_ERROR(ToStatus(rd_kafka_event_error(answer.get()), doing));
  return answer;
}

Status Cluster::Create(const std::string& topic) {
  std::array<char, 512> text{};
  const Scoped<rd_kafka_NewTopic_t> made(
      rd_kafka_NewTopic_new(topic.c_str(), options_.partitions, options_.replication_factor,
                            text.data(), text.size()),
      rd_kafka_NewTopic_destroy);
  if (made == nullptr) return InvalidArgument("topic '{}' cannot be made: {}", topic, text.data());
  const auto parts = static_cast<uint64_t>(options_.partitions);
  const Settings settings = {
      {"retention.ms", std::to_string(options_.retain_for / std::chrono::milliseconds(1))},
      {"retention.bytes", std::to_string(std::max<uint64_t>(options_.retain_bytes / parts, 1))},
      {"max.message.bytes", std::to_string(kMaxMessageBytes)},
      {"min.insync.replicas", options_.replication_factor >= 3 ? "2" : "1"}};
  for (const auto& [name, value] : settings)
    rd_kafka_NewTopic_set_config(made.get(), name.c_str(), value.c_str());
  const auto answer = Ask(RD_KAFKA_ADMIN_OP_CREATETOPICS, "making topic " + topic,
                          [&](rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue) {
                            rd_kafka_NewTopic_t* topics = made.get();
                            rd_kafka_CreateTopics(client_.get(), &topics, 1, options, queue);
                          });
  STARLING_RETURN_IF_ERROR(answer.status());
  size_t count = 0;
  const rd_kafka_topic_result_t** results = rd_kafka_CreateTopics_result_topics(
      rd_kafka_event_CreateTopics_result(answer->get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_topic_result_error(results[i]);
    // Whoever may not make topics may still use those that an operator made.
    if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ||
        error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
        error == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED) {
      continue;
    }
    STARLING_RETURN_IF_ERROR(ToStatus(error, "making topic " + topic));
  }
  return OkStatus();
}

StatusOr<int> Cluster::Ensure(const std::string& topic) {
  if (const auto known = KnownPartitions(topic)) return *known;
  const Instant until = std::chrono::steady_clock::now() + options_.append_timeout;
  bool created = false;
  while (true) {
    StatusOr<int> partitions = Find(topic);
    if (partitions.ok()) {
      const std::lock_guard lock(mutex_);
      partitions_[topic] = *partitions;
      return partitions;
    }
    if (absl::IsNotFound(partitions.status()) && !created) {
      STARLING_RETURN_IF_ERROR(Create(topic));
      created = true;
    }
    if (std::chrono::steady_clock::now() > until) {
      return absl::IsNotFound(partitions.status())
                 ? Unavailable("Kafka has no leader yet for topic '{}'", topic)
                 : partitions.status();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

std::optional<int> Cluster::KnownPartitions(std::string_view topic) const {
  const std::lock_guard lock(mutex_);
  const auto at = partitions_.find(topic);
  return at == partitions_.end() ? std::nullopt : std::optional(at->second);
}

void Cluster::Forget(std::string_view topic) {
  const std::lock_guard lock(mutex_);
  if (const auto at = partitions_.find(topic); at != partitions_.end()) partitions_.erase(at);
}

// All topics are asked for: to ask for one may make it.
StatusOr<int> Cluster::Find(const std::string& topic) {
  const rd_kafka_metadata_t* metadata = nullptr;
  STARLING_RETURN_IF_ERROR(ToStatus(rd_kafka_metadata(client_.get(), 1, nullptr, &metadata,
                                                      Milliseconds(options_.append_timeout)),
                                    "looking for topic " + topic));
  const Scoped<const rd_kafka_metadata_t> owned(
      metadata, [](const rd_kafka_metadata_t* data) { rd_kafka_metadata_destroy(data); });
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const rd_kafka_metadata_topic_t& found = metadata->topics[i];
    if (topic != found.topic) continue;
    STARLING_RETURN_IF_ERROR(ToStatus(found.err, "looking for topic " + topic));
    for (int p = 0; p < found.partition_cnt; ++p) {
      if (found.partitions[p].leader < 0)
        return Unavailable("partition {} of topic '{}' has no leader", p, topic);
    }
    if (found.partition_cnt > 0) return found.partition_cnt;
  }
  return NotFound("there is no topic '{}'", topic);
}

StatusOr<std::vector<int64_t>> Cluster::Offsets(const std::string& topic, int partitions,
                                                int64_t which) {
  const Partitions list = AllOf(topic, partitions, which);
  const std::string doing = "asking for the offsets of topic " + topic;
  STARLING_RETURN_IF_ERROR(ToStatus(
      rd_kafka_offsets_for_times(client_.get(), list.get(), Milliseconds(options_.append_timeout)),
      doing));
  return OffsetsOf(list.get(), partitions, doing);
}

StatusOr<Cluster::Bounds> Cluster::FindBounds(const std::string& topic, int partitions) {
  Bounds bounds;
  STARLING_ASSIGN_OR_RETURN(bounds.begin, Offsets(topic, partitions, RD_KAFKA_OFFSET_BEGINNING));
  STARLING_ASSIGN_OR_RETURN(bounds.end, Offsets(topic, partitions, RD_KAFKA_OFFSET_END));
  return bounds;
}

StatusOr<rd_kafka_t*> Cluster::Reader(const std::string& group_id) {
  const std::lock_guard lock(mutex_);
  Client& reader = readers_[group_id];
  if (reader == nullptr) {
    const Settings settings = {{"group.id", group_id}, {"enable.auto.commit", "false"}};
    STARLING_ASSIGN_OR_RETURN(reader, MakeClient(Role::kConsumer, options_, settings));
  }
  return reader.get();
}

StatusOr<std::vector<int64_t>> Cluster::Committed(const std::string& topic, int partitions,
                                                  const std::string& group) {
  STARLING_ASSIGN_OR_RETURN(rd_kafka_t * reader, Reader(GroupId(topic, group)));
  const Partitions list = AllOf(topic, partitions, RD_KAFKA_OFFSET_INVALID);
  const std::string doing = "asking for the offsets of group " + group;
  STARLING_RETURN_IF_ERROR(ToStatus(
      rd_kafka_committed(reader, list.get(), Milliseconds(options_.append_timeout)), doing));
  return OffsetsOf(list.get(), partitions, doing);
}

StatusOr<std::set<std::string>> Cluster::GroupsWithMembers() {
  constexpr std::string_view kDoing = "asking for its groups";
  const rd_kafka_group_list* list = nullptr;
  STARLING_RETURN_IF_ERROR(ToStatus(
      rd_kafka_list_groups(client_.get(), nullptr, &list, Milliseconds(options_.append_timeout)),
      kDoing));
  const Scoped<const rd_kafka_group_list> owned(
      list, [](const rd_kafka_group_list* groups) { rd_kafka_group_list_destroy(groups); });
  std::set<std::string> ids;
  for (int i = 0; i < list->group_cnt; ++i) {
    const rd_kafka_group_info& group = list->groups[i];
    STARLING_RETURN_IF_ERROR(ToStatus(group.err, kDoing));
    const std::string_view state = group.state;
    if (state == "Stable" || state.ends_with("Rebalance")) ids.insert(group.group);
  }
  return ids;
}

StatusOr<uint64_t> Cluster::Lag(const std::string& topic, const std::string& group) {
  STARLING_ASSIGN_OR_RETURN(const int partitions, Find(topic));
  STARLING_ASSIGN_OR_RETURN(const auto committed, Committed(topic, partitions, group));
  if (!IsOwnGroup(group) &&  // which has no members, and may have committed nothing yet
      std::all_of(committed.begin(), committed.end(), [](int64_t at) { return at < 0; })) {
    STARLING_ASSIGN_OR_RETURN(const auto groups, GroupsWithMembers());
    if (!groups.contains(GroupId(topic, group)))
      return NotFound("topic '{}' has no group '{}'", topic, group);
  }
  STARLING_ASSIGN_OR_RETURN(const Bounds bounds, FindBounds(topic, partitions));
  return Behind(bounds, committed);
}

StatusOr<std::vector<GroupLag>> Cluster::Lags(const std::string& topic) {
  const std::string suffix = ":" + topic;
  STARLING_ASSIGN_OR_RETURN(const auto groups, GroupsWithMembers());
  std::vector<GroupLag> lags;
  for (const std::string& id : groups) {
    if (!id.ends_with(suffix)) continue;
    const std::string group = id.substr(0, id.size() - suffix.size());
    if (!IsOwnGroup(group)) lags.push_back({group, 0});
  }
  if (lags.empty()) return lags;
  STARLING_ASSIGN_OR_RETURN(const int partitions, Ensure(topic));
  STARLING_ASSIGN_OR_RETURN(const Bounds bounds, FindBounds(topic, partitions));
  for (GroupLag& group : lags) {
    STARLING_ASSIGN_OR_RETURN(const auto committed, Committed(topic, partitions, group.group));
    group.lag = Behind(bounds, committed);
  }
  return lags;
}

}  // namespace starling::messaging::kafka

#include "platform/messaging/kafka/kafka_event_log.h"

#include <set>
#include <thread>

#include "platform/messaging/checks.h"
#include "platform/messaging/kafka/cluster.h"
#include "platform/messaging/kafka/consumer.h"
#include "platform/messaging/kafka/producer.h"
#include "platform/messaging/kafka/reader.h"
#include "platform/messaging/lag_guard.h"

namespace starling::messaging {
namespace {

class KafkaEventLog final : public EventLog {
 public:
  KafkaEventLog(KafkaOptions options, Runtime& runtime, telemetry::Telemetry& telemetry,
                std::unique_ptr<kafka::Cluster> cluster, std::unique_ptr<kafka::Producer> producer)
      : options_(std::move(options)),
        runtime_(runtime),
        appended_(telemetry.metrics().AddCounter("starling_events_appended_total",
                                                 "Events made durable")),
        refused_(telemetry.metrics().AddCounter("starling_events_refused_total",
                                                "Events refused, by a bound or a failure")),
        cluster_(std::move(cluster)),
        producer_(std::move(producer)),
        guard_(
            {.max_lag = options_.max_lag, .max_delay = options_.max_delay},
            [this](const std::string& topic) { return cluster_->Lags(topic); }, telemetry) {}

  Task<StatusOr<std::vector<Position>>> AppendBatch(std::string topic,
                                                    std::vector<Event> events) override {
    CO_RETURN_IF_ERROR(CheckTopic(topic));
    CO_RETURN_IF_ERROR(CheckBatch(events));
    if (events.empty()) co_return std::vector<Position>();
    StatusOr<std::vector<Position>> positions = co_await Produce(topic, events);
    (positions.ok() ? appended_ : refused_).Add(events.size());
    co_return positions;
  }

  StatusOr<std::unique_ptr<Subscription>> Subscribe(std::string_view topic, std::string_view group,
                                                    ConsumerOptions options,
                                                    Handler handler) override;

  StatusOr<std::unique_ptr<Subscription>> Follow(std::string_view topic, std::string_view name,
                                                 ConsumerOptions options, Handler handler) override;
  bool FeedsViews() const override { return true; }

  StatusOr<uint64_t> Lag(std::string_view topic, std::string_view group) const override {
    return cluster_->Lag(std::string(topic), std::string(group));
  }

  StatusOr<std::vector<Delivered>> Read(std::string_view topic, uint64_t offset,
                                        size_t limit) const override {
    return kafka::Read(options_, *cluster_, std::string(topic), offset, limit);
  }

 private:
  class Member;

  Task<StatusOr<std::vector<Position>>> Produce(const std::string& topic,
                                                std::span<const Event> events) {
    std::optional<int> partitions = cluster_->KnownPartitions(topic);
    if (!partitions) {
      StatusOr<int> made = co_await runtime_.blocking().Run([&]() -> StatusOr<int> {
        STARLING_ASSIGN_OR_RETURN(const int count, cluster_->Ensure(topic));
        producer_->Prepare(topic);
        return count;
      });
      CO_RETURN_IF_ERROR(made.status());
      partitions = *made;
    }
    CO_RETURN_IF_ERROR(co_await guard_.MakeRoom(topic, events.size()));
    StatusOr<std::vector<Position>> positions =
        co_await producer_->Append(topic, *partitions, events);
    if (!positions.ok()) cluster_->Forget(topic);
    co_return positions;
  }

  void Ended(const std::string& topic, const std::string& group) {
    {
      const std::lock_guard lock(mutex_);
      running_.erase({topic, group});
    }
    guard_.Changed(topic);
  }

  const KafkaOptions options_;
  Runtime& runtime_;
  telemetry::Counter& appended_;
  telemetry::Counter& refused_;
  const std::unique_ptr<kafka::Cluster> cluster_;
  const std::unique_ptr<kafka::Producer> producer_;
  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> running_;  // topic, group
  LagGuard guard_;                                         // last: its thread uses the cluster
};

// One that follows.
class Follower final : public Subscription {
 public:
  explicit Follower(std::unique_ptr<kafka::Consumer> consumer) : consumer_(std::move(consumer)) {}
  void Stop() override { consumer_->Stop(); }

 private:
  const std::unique_ptr<kafka::Consumer> consumer_;
};

class KafkaEventLog::Member final : public Subscription {
 public:
  Member(KafkaEventLog& log, std::string topic, std::string group,
         std::unique_ptr<kafka::Consumer> consumer)
      : log_(log),
        topic_(std::move(topic)),
        group_(std::move(group)),
        consumer_(std::move(consumer)) {}
  ~Member() override { Stop(); }
  void Stop() override {
    std::call_once(stopped_, [this] {
      consumer_->Stop();
      log_.Ended(topic_, group_);
    });
  }

 private:
  KafkaEventLog& log_;
  const std::string topic_;
  const std::string group_;
  const std::unique_ptr<kafka::Consumer> consumer_;
  std::once_flag stopped_;
};

StatusOr<std::unique_ptr<Subscription>> KafkaEventLog::Subscribe(std::string_view topic_name,
                                                                 std::string_view group_name,
                                                                 ConsumerOptions options,
                                                                 Handler handler) {
  STARLING_RETURN_IF_ERROR(CheckTopic(topic_name));
  STARLING_RETURN_IF_ERROR(CheckGroup(group_name));
  const std::string topic(topic_name);
  const std::string group(group_name);
  {
    const std::lock_guard lock(mutex_);
    if (!running_.emplace(topic, group).second) return AlreadySubscribed(topic, group);
  }
  // A group of one instance has one member: it takes all partitions, and waits for no rebalance,
  // also when it comes back after a crash.
  std::vector<int64_t> from;
  const auto start = [&]() -> StatusOr<std::unique_ptr<kafka::Consumer>> {
    STARLING_ASSIGN_OR_RETURN(const int partitions, cluster_->Ensure(topic));
    if (IsOwnGroup(group)) from.assign(static_cast<size_t>(partitions), kafka::Consumer::kStored);
    return kafka::Consumer::Start(
        options_, runtime_.NextExecutor(),
        std::make_unique<Delivery>(*this, topic, group, options, std::move(handler)), from);
  };
  StatusOr<std::unique_ptr<kafka::Consumer>> consumer = start();
  if (!consumer.ok()) {
    Ended(topic, group);
    return consumer.status();
  }
  guard_.Changed(topic);
  return std::make_unique<Member>(*this, topic, group, *std::move(consumer));
}

StatusOr<std::unique_ptr<Subscription>> KafkaEventLog::Follow(std::string_view topic_name,
                                                              std::string_view name,
                                                              ConsumerOptions options,
                                                              Handler handler) {
  STARLING_RETURN_IF_ERROR(CheckTopic(topic_name));
  STARLING_RETURN_IF_ERROR(CheckGroup(name));
  const std::string topic(topic_name);
  STARLING_ASSIGN_OR_RETURN(const int partitions, cluster_->Ensure(topic));
  // A topic that was just made may have leaders that do not know of it yet.
  const Instant until = std::chrono::steady_clock::now() + options_.append_timeout;
  StatusOr<kafka::Cluster::Bounds> bounds = cluster_->FindBounds(topic, partitions);
  while (absl::IsUnavailable(bounds.status()) && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    bounds = cluster_->FindBounds(topic, partitions);
  }
  STARLING_RETURN_IF_ERROR(bounds.status());
  STARLING_ASSIGN_OR_RETURN(
      auto consumer,
      kafka::Consumer::Start(
          options_, runtime_.NextExecutor(),
          std::make_unique<Delivery>(*this, topic, std::string(name), options, std::move(handler)),
          bounds->end, kafka::Consumer::Commits::kNever));
  return std::make_unique<Follower>(std::move(consumer));
}

}  // namespace

StatusOr<std::unique_ptr<EventLog>> OpenKafkaEventLog(KafkaOptions options, Runtime& runtime,
                                                      telemetry::Telemetry& telemetry) {
  STARLING_ASSIGN_OR_RETURN(auto cluster, kafka::Cluster::Open(options));
  STARLING_ASSIGN_OR_RETURN(auto producer, kafka::Producer::Open(options));
  return std::make_unique<KafkaEventLog>(std::move(options), runtime, telemetry, std::move(cluster),
                                         std::move(producer));
}

}  // namespace starling::messaging

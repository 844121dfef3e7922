#include "platform/messaging/rabbitmq/rabbit_event_log.h"

#include <algorithm>
#include <set>

#include "platform/messaging/checks.h"
#include "platform/messaging/lag_guard.h"
#include "platform/messaging/rabbitmq/consumer.h"
#include "platform/messaging/rabbitmq/groups.h"
#include "platform/messaging/rabbitmq/producer.h"
#include "platform/messaging/rabbitmq/reader.h"
#include "platform/messaging/rabbitmq/topics.h"

namespace starling::messaging {
namespace {

class RabbitEventLog final : public EventLog {
 public:
  RabbitEventLog(RabbitOptions options, Runtime& runtime, telemetry::Telemetry& telemetry,
                 std::unique_ptr<rabbitmq::Topics> topics)
      : options_(std::move(options)),
        runtime_(runtime),
        appended_(telemetry.metrics().AddCounter("starling_events_appended_total",
                                                 "Events made durable")),
        refused_(telemetry.metrics().AddCounter("starling_events_refused_total",
                                                "Events refused, by a bound or a failure")),
        topics_(std::move(topics)),
        groups_(options_),
        producer_(options_),
        guard_(
            {.max_lag = options_.max_lag, .max_delay = options_.max_delay},
            [this](const std::string& topic) { return Lags(topic); }, telemetry) {}

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

  StatusOr<uint64_t> Lag(std::string_view topic, std::string_view group) const override;

  StatusOr<std::vector<Delivered>> Read(std::string_view topic, uint64_t offset,
                                        size_t limit) const override {
    return rabbitmq::Read(options_, *topics_, std::string(topic), offset, limit);
  }

 private:
  class Member;

  Task<StatusOr<std::vector<Position>>> Produce(const std::string& topic,
                                                std::span<const Event> events) {
    std::optional<int> partitions = topics_->KnownPartitions(topic);
    if (!partitions) {
      StatusOr<int> made = co_await runtime_.blocking().Run([&] { return topics_->Ensure(topic); });
      CO_RETURN_IF_ERROR(made.status());
      partitions = *made;
    }
    CO_RETURN_IF_ERROR(co_await guard_.MakeRoom(topic, events.size()));
    StatusOr<std::vector<Position>> positions =
        co_await producer_.Append(topic, *partitions, events);
    if (positions.status().code() != StatusCode::kNotFound) co_return positions;
    topics_->Forget(topic);  // a stream was deleted; the next append makes it
    co_return Unavailable("topic '{}' has lost a stream, and is made anew by the next append",
                          topic);
  }

  StatusOr<std::vector<GroupLag>> Lags(const std::string& topic);

  void Ended(const std::string& topic, const std::string& group) {
    {
      const std::lock_guard lock(mutex_);
      running_.erase({topic, group});
    }
    guard_.Changed(topic);
  }

  const RabbitOptions options_;
  Runtime& runtime_;
  telemetry::Counter& appended_;
  telemetry::Counter& refused_;
  const std::unique_ptr<rabbitmq::Topics> topics_;
  mutable rabbitmq::Groups groups_;
  rabbitmq::Producer producer_;
  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> running_;  // topic, group
  LagGuard guard_;                                         // last: its thread uses the others
};

class RabbitEventLog::Member final : public Subscription {
 public:
  Member(RabbitEventLog& log, std::string topic, std::string group,
         std::unique_ptr<rabbitmq::Consumer> consumer)
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
  RabbitEventLog& log_;
  const std::string topic_;
  const std::string group_;
  const std::unique_ptr<rabbitmq::Consumer> consumer_;
  std::once_flag stopped_;
};

StatusOr<std::unique_ptr<Subscription>> RabbitEventLog::Subscribe(std::string_view topic_name,
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
  const auto start = [&]() -> StatusOr<std::unique_ptr<rabbitmq::Consumer>> {
    STARLING_ASSIGN_OR_RETURN(const int partitions, topics_->Ensure(topic));
    return rabbitmq::Consumer::Start(
        options_, groups_, partitions, runtime_.NextExecutor(),
        std::make_unique<Delivery>(*this, topic, group, options, std::move(handler)));
  };
  StatusOr<std::unique_ptr<rabbitmq::Consumer>> consumer = start();
  if (!consumer.ok()) {
    Ended(topic, group);
    return consumer.status();
  }
  guard_.Changed(topic);
  return std::make_unique<Member>(*this, topic, group, *std::move(consumer));
}

// What the group has yet to accept of streams with these bounds. The first message of a stream is
// no event (topics.h).
uint64_t Behind(const rabbitmq::Offsets& accepted, std::span<const uint64_t> begins,
                std::span<const uint64_t> ends) {
  uint64_t lag = 0;
  for (size_t p = 0; p < ends.size(); ++p) {
    uint64_t from = 1;
    if (p < accepted.size()) from = std::max(from, accepted[p]);
    if (p < begins.size()) from = std::max(from, begins[p]);
    if (ends[p] > from) lag += ends[p] - from;
  }
  return lag;
}

StatusOr<uint64_t> RabbitEventLog::Lag(std::string_view topic_name, std::string_view group) const {
  const std::string topic(topic_name);
  STARLING_ASSIGN_OR_RETURN(const int partitions, topics_->Find(topic));
  STARLING_RETURN_IF_ERROR(groups_.Sync(topic));
  const auto accepted = groups_.OffsetsOf(topic, std::string(group));
  if (!accepted) return NotFound("topic '{}' has no group '{}'", topic, group);
  STARLING_ASSIGN_OR_RETURN(const auto begins, topics_->Begins(topic, partitions));
  STARLING_ASSIGN_OR_RETURN(const auto ends, topics_->Ends(topic, partitions));
  return Behind(*accepted, begins, ends);
}

StatusOr<std::vector<GroupLag>> RabbitEventLog::Lags(const std::string& topic) {
  std::vector<GroupLag> lags;
  STARLING_RETURN_IF_ERROR(groups_.Watch(topic));
  if (groups_.Running(topic).empty()) return lags;
  STARLING_ASSIGN_OR_RETURN(const int partitions, topics_->Ensure(topic));
  STARLING_ASSIGN_OR_RETURN(const auto ends, topics_->Ends(topic, partitions));
  // Read after the ends: what was accepted meanwhile counts as accepted.
  for (const auto& [group, accepted] : groups_.Running(topic))
    lags.push_back({group, Behind(accepted, {}, ends)});
  return lags;
}

}  // namespace

StatusOr<std::unique_ptr<EventLog>> OpenRabbitEventLog(RabbitOptions options, Runtime& runtime,
                                                       telemetry::Telemetry& telemetry) {
  auto topics = std::make_unique<rabbitmq::Topics>(options);
  STARLING_RETURN_IF_ERROR(topics->Open());
  return std::make_unique<RabbitEventLog>(std::move(options), runtime, telemetry,
                                          std::move(topics));
}

}  // namespace starling::messaging

#include "platform/messaging/embedded_event_log.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "platform/base/hash.h"
#include "platform/messaging/checks.h"
#include "platform/messaging/embedded_consumer.h"
#include "platform/messaging/record.h"
#include "platform/telemetry/log.h"

namespace starling::messaging {
namespace {

constexpr size_t kMaxGroup = 1'024;  // appends of one commit
constexpr Duration kRetainEvery = std::chrono::minutes(1);

// A subscription keeps its consumer; dropping it stops the consumer.
class Handle final : public Subscription {
 public:
  explicit Handle(std::shared_ptr<EmbeddedConsumer> consumer) : consumer_(std::move(consumer)) {}
  ~Handle() override { Stop(); }
  void Stop() override { consumer_->Stop(); }

 private:
  const std::shared_ptr<EmbeddedConsumer> consumer_;
};

class EmbeddedEventLog final : public EventLog {
 public:
  EmbeddedEventLog(std::filesystem::path folder, EmbeddedEventLogOptions options, Runtime& runtime,
                   telemetry::Telemetry& telemetry)
      : folder_(std::move(folder)),
        options_(options),
        runtime_(runtime),
        telemetry_(telemetry),
        appended_(telemetry.metrics().AddCounter("starling_events_appended_total",
                                                 "Events made durable")),
        commits_(telemetry.metrics().AddCounter("starling_event_log_commits_total",
                                                "Group commits of the event log")),
        refused_(telemetry.metrics().AddCounter("starling_events_refused_total",
                                                "Events refused, by a bound or a failure")) {}

  ~EmbeddedEventLog() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    ready_.notify_one();
    if (writer_.joinable()) writer_.join();
  }

  Status OpenAll() {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
      if (entry.is_directory())
        STARLING_RETURN_IF_ERROR(Topic(entry.path().filename().string()).status());
    }
    if (error)
      return FailedPrecondition("{} cannot be opened: {}", folder_.string(), error.message());
    writer_ = std::thread([this] { WriteLoop(); });
    pthread_setname_np(writer_.native_handle(), "event-log");
    return OkStatus();
  }

  Task<StatusOr<std::vector<Position>>> AppendBatch(std::string topic_name,
                                                    std::vector<Event> events) override {
    CO_RETURN_IF_ERROR(CheckBatch(events));
    if (events.empty()) co_return std::vector<Position>();
    CO_ASSIGN_OR_RETURN(const std::shared_ptr<EmbeddedTopic> topic, co_await OpenTopic(topic_name));
    CO_RETURN_IF_ERROR(co_await MakeRoom(*topic));
    StatusOr<std::vector<Position>> positions = co_await Suspend<StatusOr<std::vector<Position>>>(
        [&](Completion<StatusOr<std::vector<Position>>> done) {
          Enqueue({topic, std::move(events), {}, std::move(done)});
        });
    co_return positions;
  }

  StatusOr<std::unique_ptr<Subscription>> Subscribe(std::string_view topic_name,
                                                    std::string_view group_name,
                                                    ConsumerOptions options,
                                                    Handler handler) override {
    STARLING_RETURN_IF_ERROR(CheckGroup(group_name));
    STARLING_ASSIGN_OR_RETURN(const auto topic, Topic(std::string(topic_name)));
    STARLING_ASSIGN_OR_RETURN(const auto group, topic->OpenGroup(group_name));
    if (group->running.exchange(true)) {
      return AlreadySubscribed(topic_name, group_name);
    }
    telemetry_.metrics().AddCallback(
        "starling_consumer_lag", "Events a consumer group has yet to accept",
        {{"topic", topic->name()}, {"group", group->name}}, [topic, group] {
          return static_cast<double>(topic->files().end() - group->committed.load());
        });
    auto consumer = std::make_shared<EmbeddedConsumer>(*this, runtime_, topic, group, options,
                                                       std::move(handler));
    consumer->Start();
    return std::make_unique<Handle>(std::move(consumer));
  }

  StatusOr<uint64_t> Lag(std::string_view topic_name, std::string_view group_name) const override {
    STARLING_ASSIGN_OR_RETURN(const auto topic, Known(topic_name));
    const auto group = topic->FindGroup(group_name);
    if (group == nullptr) return NotFound("topic '{}' has no group '{}'", topic_name, group_name);
    return topic->files().end() - group->committed.load();
  }

  StatusOr<std::vector<Delivered>> Read(std::string_view topic_name, uint64_t offset,
                                        size_t limit) const override {
    STARLING_ASSIGN_OR_RETURN(const auto topic, Known(topic_name));
    TopicFiles::Cursor cursor{.sequence = std::max<uint64_t>(offset, 1)};
    return topic->files().Read(cursor, limit);
  }

 private:
  struct Pending {
    std::shared_ptr<EmbeddedTopic> topic;
    std::vector<Event> events;
    std::vector<Position> positions;
    Completion<StatusOr<std::vector<Position>>> done;
  };

  StatusOr<std::shared_ptr<EmbeddedTopic>> Known(std::string_view name) const {
    const std::lock_guard lock(topics_mutex_);
    const auto at = topics_.find(name);
    if (at == topics_.end()) return NotFound("there is no topic '{}'", name);
    return at->second;
  }

  // Opens or makes a topic. Blocks when it is new.
  StatusOr<std::shared_ptr<EmbeddedTopic>> Topic(const std::string& name) {
    const std::lock_guard lock(topics_mutex_);
    if (const auto at = topics_.find(name); at != topics_.end()) return at->second;
    STARLING_RETURN_IF_ERROR(CheckTopic(name));
    const std::filesystem::path folder = folder_ / name;
    STARLING_ASSIGN_OR_RETURN(auto files,
                              TopicFiles::Open(folder, {.segment_bytes = options_.segment_bytes,
                                                        .retain_bytes = options_.retain_bytes,
                                                        .retain_for = options_.retain_for}));
    auto topic = std::make_shared<EmbeddedTopic>(name, folder, std::move(files));
    STARLING_RETURN_IF_ERROR(topic->LoadGroups());
    topics_.emplace(name, topic);
    return topic;
  }

  Task<StatusOr<std::shared_ptr<EmbeddedTopic>>> OpenTopic(const std::string& name) {
    StatusOr<std::shared_ptr<EmbeddedTopic>> known = Known(name);
    if (known.ok()) co_return known;
    co_return co_await runtime_.blocking().Run([&] { return Topic(name); });
  }

  // Back-pressure: waits a little for the slowest group, then refuses.
  Task<Status> MakeRoom(const EmbeddedTopic& topic) {
    const Instant until = std::chrono::steady_clock::now() + options_.max_delay;
    while (true) {
      const auto slowest = topic.Slowest();
      if (slowest == nullptr) co_return OkStatus();
      const uint64_t lag = topic.files().end() - slowest->committed.load();
      if (lag < options_.max_lag) co_return OkStatus();
      if (std::chrono::steady_clock::now() >= until) {
        refused_.Add();
        co_return GroupIsBehind(topic.name(), slowest->name, lag, options_.max_lag);
      }
      co_await SleepFor(std::chrono::milliseconds(10));
    }
  }

  void Enqueue(Pending pending) {
    {
      const std::lock_guard lock(mutex_);
      if (!stopping_ && queue_.size() < options_.queue_limit) {
        queue_.push_back(std::move(pending));
        ready_.notify_one();
        return;
      }
    }
    refused_.Add(pending.events.size());
    pending.done(Overloaded(
        fmt::format("the event log has {} appends waiting, its limit", options_.queue_limit),
        std::chrono::seconds(1)));
  }

  void WriteLoop() {
    Instant retained = std::chrono::steady_clock::now();
    while (true) {
      std::vector<Pending> group;
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (queue_.empty()) return;
        while (!queue_.empty() && group.size() < kMaxGroup) {
          group.push_back(std::move(queue_.front()));
          queue_.pop_front();
        }
      }
      Commit(group);
      if (std::chrono::steady_clock::now() - retained > kRetainEvery) {
        retained = std::chrono::steady_clock::now();
        RetainAll();
      }
    }
  }

  // One write and one fdatasync a topic for all that wait.
  void Commit(std::vector<Pending>& group) {
    std::map<std::shared_ptr<EmbeddedTopic>, std::vector<Pending*>> by_topic;
    for (Pending& pending : group) by_topic[pending.topic].push_back(&pending);
    for (auto& [topic, appends] : by_topic) {
      std::string records;
      uint64_t sequence = topic->files().end();
      const uint64_t first = sequence;
      for (Pending* append : appends) {
        for (const Event& event : append->events) {
          const std::string& key = event.partitionkey.empty() ? event.id : event.partitionkey;
          const auto partition = static_cast<uint16_t>(Hash64(key) % options_.partitions);
          append->positions.push_back({partition, sequence});
          AppendRecord(sequence++, partition, event, records);
        }
      }
      Status status = topic->files().Write(records, sequence - first);
      if (status.ok()) status = topic->files().Sync();
      commits_.Add();
      if (status.ok()) {
        appended_.Add(sequence - first);
        topic->Wake();
      } else {
        refused_.Add(sequence - first);
        log::Error("messaging", "topic {} could not be appended to", topic->name()).With(status);
      }
      for (Pending* append : appends) {
        if (status.ok()) {
          append->done(std::move(append->positions));
        } else {
          append->done(status);
        }
      }
    }
  }

  void RetainAll() {
    const std::lock_guard lock(topics_mutex_);
    for (const auto& [name, topic] : topics_) {
      const Status status = topic->files().Retain(topic->KeepFrom(), SystemClock().Now());
      if (!status.ok()) log::Warning("messaging", "old events of topic {} stay", name).With(status);
    }
  }

  const std::filesystem::path folder_;
  const EmbeddedEventLogOptions options_;
  Runtime& runtime_;
  telemetry::Telemetry& telemetry_;
  telemetry::Counter& appended_;
  telemetry::Counter& commits_;
  telemetry::Counter& refused_;

  mutable std::mutex topics_mutex_;
  std::map<std::string, std::shared_ptr<EmbeddedTopic>, std::less<>> topics_;

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Pending> queue_;
  bool stopping_ = false;
  std::thread writer_;
};

}  // namespace

StatusOr<std::unique_ptr<EventLog>> OpenEmbeddedEventLog(const std::filesystem::path& folder,
                                                         EmbeddedEventLogOptions options,
                                                         Runtime& runtime,
                                                         telemetry::Telemetry& telemetry) {
  auto log = std::make_unique<EmbeddedEventLog>(folder, options, runtime, telemetry);
  STARLING_RETURN_IF_ERROR(log->OpenAll());
  return log;
}

}  // namespace starling::messaging

#include "services/events/remote_event_log.h"

#include <algorithm>
#include <set>

#include "services/events/event_codec.h"
#include "services/events/remote_consumer.h"

namespace starling::events {
namespace {

constexpr char kName[] = "messaging";
constexpr size_t kMaxBatch = 1'000;
constexpr Duration kRetryAfter = std::chrono::seconds(1);

// The groups that this process subscribes for.
class Groups {
 public:
  bool Take(const std::pair<std::string, std::string>& group) {
    const std::lock_guard lock(mutex_);
    return taken_.insert(group).second;
  }
  void Give(const std::pair<std::string, std::string>& group) {
    const std::lock_guard lock(mutex_);
    taken_.erase(group);
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<std::string, std::string>> taken_;  // topic and group
};

// A subscription keeps its consumer and its place among the groups; dropping it stops both.
class Handle final : public messaging::Subscription {
 public:
  Handle(std::shared_ptr<RemoteConsumer> consumer, std::shared_ptr<Groups> groups,
         std::pair<std::string, std::string> group)
      : consumer_(std::move(consumer)), groups_(std::move(groups)), group_(std::move(group)) {}
  ~Handle() override { Stop(); }
  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    consumer_->Stop();
    groups_->Give(group_);
  }

 private:
  const std::shared_ptr<RemoteConsumer> consumer_;
  const std::shared_ptr<Groups> groups_;
  const std::pair<std::string, std::string> group_;
  bool stopped_ = false;
};

class Collect final : public rpc::Stream<v1::ReadResponse> {
 public:
  Task<Status> Write(const v1::ReadResponse& part) override {
    for (const v1::Delivered& message : part.events()) {
      CO_ASSIGN_OR_RETURN(messaging::Delivered delivered, FromMessage(message));
      events.push_back(std::move(delivered));
    }
    co_return OkStatus();
  }
  std::vector<messaging::Delivered> events;
};

// What the caller can do something about: the other process is away for a while, or it does not
// take this process for one of the cluster, which only an operator mends.
Status Lost(const Status& status) {
  switch (status.code()) {
    case StatusCode::kUnavailable:
      if (RetryAfter(status)) return status;
      return WithRetryAfter(Annotate(status, "the process that serves events is away"),
                            std::chrono::duration_cast<std::chrono::milliseconds>(kRetryAfter));
    case StatusCode::kUnauthenticated:
    case StatusCode::kPermissionDenied:
    case StatusCode::kUnimplemented:
      return WithRetryAfter(
          Unavailable("the process at peers.services.events does not serve this one events: {}",
                      std::string(status.message())),
          std::chrono::duration_cast<std::chrono::milliseconds>(kRetryAfter));
    default:
      return status;
  }
}

void SetDuration(Duration duration, google::protobuf::Duration* out) {
  out->set_seconds(duration / std::chrono::seconds(1));
  out->set_nanos(static_cast<int32_t>((duration % std::chrono::seconds(1)).count()));
}

class RemoteEventLog final : public messaging::EventLog {
 public:
  RemoteEventLog(std::shared_ptr<v1::Events> events, Runtime& runtime,
                 RemoteEventLogOptions options)
      : events_(std::move(events)), runtime_(runtime), options_(options) {}

  Task<StatusOr<std::vector<messaging::Position>>> AppendBatch(
      std::string topic, std::vector<messaging::Event> events) override {
    if (events.size() > kMaxBatch) {
      co_return InvalidArgument("a batch has {} events; at most {} are taken", events.size(),
                                kMaxBatch);
    }
    for (const messaging::Event& event : events) CO_RETURN_IF_ERROR(messaging::Validate(event));
    std::vector<messaging::Position> positions;
    positions.reserve(events.size());
    v1::AppendBatchRequest part;
    part.set_topic(topic);
    size_t bytes = 0;
    for (size_t i = 0; i < events.size(); ++i) {
      std::string encoded = messaging::EncodeEvent(events[i]);
      if (bytes > 0 && bytes + encoded.size() > kMaxPartBytes) {
        CO_RETURN_IF_ERROR(co_await Send(part, positions));
        part.clear_events();
        bytes = 0;
      }
      bytes += encoded.size();
      part.add_events(std::move(encoded));
    }
    if (part.events_size() > 0) CO_RETURN_IF_ERROR(co_await Send(part, positions));
    co_return positions;
  }

  StatusOr<std::unique_ptr<messaging::Subscription>> Subscribe(std::string_view topic,
                                                               std::string_view group,
                                                               messaging::ConsumerOptions options,
                                                               Handler handler) override {
    const std::pair<std::string, std::string> key(topic, group);
    if (!groups_->Take(key)) {
      return AlreadyExists("group '{}' reads topic '{}' already in this process", group, topic);
    }
    v1::SubscribeRequest request;
    request.set_topic(key.first);
    request.set_group(key.second);
    request.set_max_batch(static_cast<int32_t>(std::min<size_t>(options.max_batch, kMaxDelivery)));
    request.set_max_attempts(options.max_attempts);
    SetDuration(options.first_pause, request.mutable_first_pause());
    SetDuration(options.longest_pause, request.mutable_longest_pause());
    auto consumer = std::make_shared<RemoteConsumer>(events_, runtime_, options_,
                                                     std::move(request), std::move(handler));
    consumer->Start();
    auto subscription = std::make_unique<Handle>(consumer, groups_, key);
    const Status first = consumer->FirstAnswer();
    if (first.code() == StatusCode::kInvalidArgument) return first;
    return subscription;
  }

  StatusOr<uint64_t> Lag(std::string_view topic, std::string_view group) const override {
    v1::LagRequest request;
    request.set_topic(std::string(topic));
    request.set_group(std::string(group));
    auto context = CallContext::ForService(kName, options_.call_limit);
    const StatusOr<v1::LagResponse> answer = RunSync(events_->Lag(context, request));
    if (!answer.ok()) return Lost(answer.status());
    return answer->events();
  }

  StatusOr<std::vector<messaging::Delivered>> Read(std::string_view topic, uint64_t offset,
                                                   size_t limit) const override {
    v1::ReadRequest request;
    request.set_topic(std::string(topic));
    request.set_offset(offset);
    request.set_limit(static_cast<uint32_t>(std::min<size_t>(limit, UINT32_MAX)));
    if (limit == 0) return std::vector<messaging::Delivered>();
    Collect collect;
    auto context = CallContext::ForService(kName, 6 * options_.call_limit);
    const Status status = RunSync(events_->Read(context, request, collect));
    if (!status.ok()) return Lost(status);
    return std::move(collect.events);
  }

 private:
  static constexpr size_t kMaxDelivery = 10'000;  // the contract's bound

  // Appends one part and adds where its events are.
  Task<Status> Send(const v1::AppendBatchRequest& part,
                    std::vector<messaging::Position>& positions) {
    auto context = CallContext::ForService(kName, options_.call_limit);
    const StatusOr<v1::AppendBatchResponse> answer = co_await events_->AppendBatch(context, part);
    if (!answer.ok()) co_return Lost(answer.status());
    if (answer->positions_size() != part.events_size()) {
      co_return Internal("{} events were appended, and {} places were told", part.events_size(),
                         answer->positions_size());
    }
    for (const v1::Position& position : answer->positions()) {
      positions.push_back({static_cast<uint16_t>(position.partition()), position.offset()});
    }
    co_return OkStatus();
  }

  const std::shared_ptr<v1::Events> events_;
  Runtime& runtime_;
  const RemoteEventLogOptions options_;
  const std::shared_ptr<Groups> groups_ = std::make_shared<Groups>();
};

}  // namespace

std::unique_ptr<messaging::EventLog> MakeRemoteEventLog(std::shared_ptr<v1::Events> events,
                                                        Runtime& runtime,
                                                        RemoteEventLogOptions options) {
  return std::make_unique<RemoteEventLog>(std::move(events), runtime, options);
}

}  // namespace starling::events

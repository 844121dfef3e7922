#include "services/events/events_service.h"

#include "platform/base/id.h"
#include "platform/telemetry/log.h"
#include "services/events/event_codec.h"

namespace starling::events {
namespace {

constexpr Duration kStandbyPause = std::chrono::milliseconds(100);
constexpr uint32_t kMaxRead = 100'000;
constexpr int kMaxBatch = 10'000;

Duration ToDuration(const google::protobuf::Duration& duration) {
  return std::chrono::seconds(duration.seconds()) + Duration(duration.nanos());
}

StatusOr<messaging::ConsumerOptions> OptionsOf(const v1::SubscribeRequest& request) {
  if (request.max_batch() < 1 || request.max_batch() > kMaxBatch)
    return InvalidField("max_batch", "{} is not 1 to {}", request.max_batch(), kMaxBatch);
  if (request.max_attempts() < 1)
    return InvalidField("max_attempts", "{} is below 1", request.max_attempts());
  const messaging::ConsumerOptions options{.max_batch = static_cast<size_t>(request.max_batch()),
                                           .max_attempts = request.max_attempts(),
                                           .first_pause = ToDuration(request.first_pause()),
                                           .longest_pause = ToDuration(request.longest_pause())};
  if (options.first_pause <= Duration(0)) return InvalidField("first_pause", "is not above 0");
  if (options.longest_pause <= Duration(0)) return InvalidField("longest_pause", "is not above 0");
  return options;
}

// Tells a subscriber something each `keep_alive`, until it is closed; closes it when it says
// nothing.
Task<void> KeepAlive(std::shared_ptr<Subscriber> subscriber, EventsService::Options options) {
  const Duration step = options.keep_alive / 10;
  subscriber->Hear();
  while (true) {
    for (Duration slept{0}; slept < options.keep_alive; slept += step) {
      co_await SleepFor(step);
      if (subscriber->closed()) co_return;
    }
    if (subscriber->SilentFor(options.gone_after)) {
      log::Warning("events", "subscription {} says nothing any more; its group is free",
                   subscriber->id());
      subscriber->Close();
      co_return;
    }
    subscriber->KeepAlive();
  }
}

}  // namespace

StatusOr<std::shared_ptr<EventsService>> EventsService::Create(host::Environment& environment) {
  return std::make_shared<EventsService>(environment, Options());
}

EventsService::EventsService(host::Environment& environment, Options options)
    : environment_(environment),
      options_(options),
      stopper_({.name = "events-stop", .threads = 1}) {}

void EventsService::Drain() {
  std::map<std::string, std::shared_ptr<Subscriber>> subscribers;
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    subscribers = subscribers_;
  }
  for (const auto& [id, subscriber] : subscribers) subscriber->Close();
}

std::shared_ptr<Subscriber> EventsService::Find(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto at = subscribers_.find(id);
  return at == subscribers_.end() ? nullptr : at->second;
}

bool EventsService::Enrol(const std::shared_ptr<Subscriber>& subscriber) {
  const std::lock_guard lock(mutex_);
  if (draining_) return false;
  subscribers_.emplace(subscriber->id(), subscriber);
  return true;
}

void EventsService::Remove(const Subscriber& subscriber) {
  const std::lock_guard lock(mutex_);
  subscribers_.erase(subscriber.id());
}

Status EventsService::Ending() const {
  const std::lock_guard lock(mutex_);
  if (!draining_) return OkStatus();
  return WithRetryAfter(Unavailable("the process that serves events stops"),
                        std::chrono::seconds(1));
}

Task<StatusOr<v1::AppendBatchResponse>> EventsService::AppendBatch(
    CallContext&, const v1::AppendBatchRequest& request) {
  std::vector<messaging::Event> events;
  events.reserve(static_cast<size_t>(request.events_size()));
  for (const std::string& bytes : request.events()) {
    StatusOr<messaging::Event> event = messaging::DecodeEvent(bytes);
    if (!event.ok()) {
      co_return InvalidField("events", "{}; do both processes run the same version?",
                             std::string(event.status().message()));
    }
    events.push_back(*std::move(event));
  }
  const auto positions =
      co_await environment_.events().AppendBatch(request.topic(), std::move(events));
  if (!positions.ok()) co_return positions.status();
  v1::AppendBatchResponse response;
  for (const messaging::Position& position : *positions) {
    v1::Position& out = *response.add_positions();
    out.set_partition(position.partition);
    out.set_offset(position.offset);
  }
  co_return response;
}

Task<Status> EventsService::Subscribe(CallContext& context, const v1::SubscribeRequest& request,
                                      rpc::Stream<v1::SubscribeResponse>& out) {
  const auto subscriber = std::make_shared<Subscriber>(NewId());
  if (!Enrol(subscriber)) co_return Ending();
  const auto on_cancel = context.cancellation.OnCancel([subscriber] { subscriber->Close(); });
  StatusOr<SubscriptionPtr> subscription = co_await TakeGroup(request, subscriber, out);
  Status status = subscription.status();
  if (status.ok() && *subscription != nullptr) {
    Spawn(environment_.runtime().NextExecutor(), KeepAlive(subscriber, options_));
    status = co_await Feed(*subscriber, context.deadline, out);
    subscriber->Close();
    // Also what was accepted is remembered after it.
    const Status stopped = co_await stopper_.Run([&]() -> Status {
      subscription->reset();
      return OkStatus();
    });
    if (!stopped.ok()) log::Warning("events", "a subscription ends late").With(stopped);
  }
  subscriber->Close();
  Remove(*subscriber);
  subscriber->End();
  if (status.ok()) status = Ending();
  co_return status;
}

Task<StatusOr<EventsService::SubscriptionPtr>> EventsService::TakeGroup(
    const v1::SubscribeRequest& request, std::shared_ptr<Subscriber> subscriber,
    rpc::Stream<v1::SubscribeResponse>& out) {
  CO_ASSIGN_OR_RETURN(const messaging::ConsumerOptions options, OptionsOf(request));
  v1::SubscribeResponse standby;
  standby.set_subscription_id(subscriber->id());
  standby.set_standby(true);
  Instant next = std::chrono::steady_clock::now();
  while (!subscriber->closed()) {
    // A new topic makes files.
    StatusOr<SubscriptionPtr> taken = co_await environment_.runtime().blocking().Run([&] {
      return environment_.events().Subscribe(
          request.topic(), request.group(), options,
          [subscriber](std::span<const messaging::Delivered> batch) {
            return subscriber->Offer(batch);
          });
    });
    if (taken.status().code() != StatusCode::kAlreadyExists) {
      subscriber->KeepAlive();  // says at once that it is served
      co_return taken;
    }
    if (const Instant now = std::chrono::steady_clock::now(); now >= next) {
      next = now + options_.keep_alive;
      CO_RETURN_IF_ERROR(co_await out.Write(standby));
    }
    co_await SleepFor(kStandbyPause);
  }
  co_return SubscriptionPtr();
}

Task<Status> EventsService::Feed(Subscriber& subscriber, Instant until,
                                 rpc::Stream<v1::SubscribeResponse>& out) {
  while (true) {
    std::optional<Subscriber::Parts> parts = co_await subscriber.Next();
    if (!parts) co_return OkStatus();
    for (const v1::SubscribeResponse& part : *parts) CO_RETURN_IF_ERROR(co_await out.Write(part));
    // The other side subscribes again, rather than lose a batch to the deadline.
    const bool last = std::chrono::steady_clock::now() + 3 * options_.keep_alive > until;
    if (last && !subscriber.Busy()) co_return OkStatus();
  }
}

Task<StatusOr<v1::AcceptResponse>> EventsService::Accept(CallContext&,
                                                         const v1::AcceptRequest& request) {
  const auto subscriber = Find(request.subscription_id());
  if (subscriber == nullptr) {
    co_return NotFound("subscription {} has ended: what it did not accept comes again",
                       request.subscription_id());
  }
  subscriber->Hear();
  if (request.delivery_id() == 0) co_return v1::AcceptResponse();
  Status outcome(static_cast<StatusCode>(request.code()), request.message());
  if (!request.reason().empty()) outcome = WithReason(std::move(outcome), request.reason());
  CO_RETURN_IF_ERROR(subscriber->Accept(request.delivery_id(), std::move(outcome)));
  co_return v1::AcceptResponse();
}

Task<StatusOr<v1::UnsubscribeResponse>> EventsService::Unsubscribe(
    CallContext&, const v1::UnsubscribeRequest& request) {
  if (const auto subscriber = Find(request.subscription_id()); subscriber != nullptr) {
    subscriber->Close();
    co_await subscriber->Ended();
  }
  co_return v1::UnsubscribeResponse();
}

Task<StatusOr<v1::LagResponse>> EventsService::Lag(CallContext&, const v1::LagRequest& request) {
  const StatusOr<uint64_t> lag = environment_.events().Lag(request.topic(), request.group());
  if (!lag.ok()) co_return lag.status();
  v1::LagResponse response;
  response.set_events(*lag);
  co_return response;
}

Task<Status> EventsService::Read(CallContext&, const v1::ReadRequest& request,
                                 rpc::Stream<v1::ReadResponse>& out) {
  const uint32_t limit = request.limit() == 0 ? kMaxRead : std::min(request.limit(), kMaxRead);
  const StatusOr<std::vector<messaging::Delivered>> events =
      co_await environment_.runtime().blocking().Run(
          [&] { return environment_.events().Read(request.topic(), request.offset(), limit); });
  if (!events.ok()) co_return events.status();
  const auto parts = Split<v1::ReadResponse>(*events);
  for (const v1::ReadResponse& part : parts) CO_RETURN_IF_ERROR(co_await out.Write(part));
  co_return OkStatus();
}

}  // namespace starling::events

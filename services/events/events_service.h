// The event log of this process, for those of the cluster that have none of their own
// (remote_event_log.h is their side).
//
// A subscriber's group is a subscription of the log itself for as long as its stream lives, so
// retries, attempts, dead letters and the group's place stay with the log. A batch waits until
// Accept says how its handler fared; when the stream breaks first, the log hands it to whoever
// subscribes next. A second subscriber of a group, or one of a group that a service here consumes
// for, waits and asks again ten times a second. Each side says something every 5 s and
// counts the other as gone after 20 s of silence: a process that hangs or is frozen, a machine that
// vanished. Keeps nothing: the log is the process'.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "contracts/events/v1/events.service.h"
#include "platform/async/blocking_pool.h"
#include "platform/host/hosted_service.h"
#include "services/events/subscriber.h"

namespace starling::events {

class EventsService final : public v1::Events, public host::HostedService {
 public:
  using Contract = v1::Events;
  static constexpr host::Keeps kKeeps = host::Keeps::kFiles;
  struct Options {
    Duration keep_alive = std::chrono::seconds(5);   // how often a subscriber is told something
    Duration gone_after = std::chrono::seconds(20);  // one that says nothing for so long is gone
  };

  static StatusOr<std::shared_ptr<EventsService>> Create(host::Environment& environment);
  EventsService(host::Environment& environment, Options options);

  // Ends the streams, each with UNAVAILABLE, and takes no new ones.
  void Drain() override;

  Task<StatusOr<v1::AppendBatchResponse>> AppendBatch(
      CallContext& context, const v1::AppendBatchRequest& request) override;
  Task<Status> Subscribe(CallContext& context, const v1::SubscribeRequest& request,
                         rpc::Stream<v1::SubscribeResponse>& out) override;
  Task<StatusOr<v1::AcceptResponse>> Accept(CallContext& context,
                                            const v1::AcceptRequest& request) override;
  Task<StatusOr<v1::UnsubscribeResponse>> Unsubscribe(
      CallContext& context, const v1::UnsubscribeRequest& request) override;
  Task<StatusOr<v1::LagResponse>> Lag(CallContext& context, const v1::LagRequest& request) override;
  Task<Status> Read(CallContext& context, const v1::ReadRequest& request,
                    rpc::Stream<v1::ReadResponse>& out) override;

 private:
  using SubscriptionPtr = std::unique_ptr<messaging::Subscription>;

  std::shared_ptr<Subscriber> Find(const std::string& id) const;
  // False once draining.
  bool Enrol(const std::shared_ptr<Subscriber>& subscriber);
  void Remove(const Subscriber& subscriber);
  // Becomes the group's consumer, when need be after another is gone; nullptr once closed.
  Task<StatusOr<SubscriptionPtr>> TakeGroup(const v1::SubscribeRequest& request,
                                            std::shared_ptr<Subscriber> subscriber,
                                            rpc::Stream<v1::SubscribeResponse>& out);
  // Sends what the log hands over until the subscriber is gone or `until` is near.
  Task<Status> Feed(Subscriber& subscriber, Instant until, rpc::Stream<v1::SubscribeResponse>& out);
  Status Ending() const;

  host::Environment& environment_;
  const Options options_;
  // To stop a subscription blocks until the log let go of it, which takes turns of the process' own
  // blocking pool: so it waits elsewhere.
  BlockingPool stopper_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Subscriber>> subscribers_;
  bool draining_ = false;
};

}  // namespace starling::events

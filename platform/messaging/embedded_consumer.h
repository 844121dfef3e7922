// A subscription of the embedded log: reads, hands over, commits, and deals with what fails. Within
// messaging only.
#pragma once

#include <future>
#include <memory>

#include "platform/async/runtime.h"
#include "platform/messaging/embedded_topic.h"

namespace starling::messaging {

class EmbeddedConsumer final : public Subscription,
                               public std::enable_shared_from_this<EmbeddedConsumer> {
 public:
  EmbeddedConsumer(EventLog& log, Runtime& runtime, std::shared_ptr<EmbeddedTopic> topic,
                   std::shared_ptr<EmbeddedTopic::Group> group, ConsumerOptions options,
                   EventLog::Handler handler)
      : log_(log),
        runtime_(runtime),
        topic_(std::move(topic)),
        group_(std::move(group)),
        options_(options),
        handler_(std::move(handler)) {}

  void Start();
  void Stop() override;

 private:
  Task<void> Run();
  // Hands a batch over until it is accepted or set aside; an error only when stopped.
  Task<Status> Deliver(std::span<Delivered> batch);
  Task<Status> SetAside(const Delivered& poisoned, const Status& why, int attempts);
  Task<void> Pause(int attempt);

  EventLog& log_;
  Runtime& runtime_;
  const std::shared_ptr<EmbeddedTopic> topic_;
  const std::shared_ptr<EmbeddedTopic::Group> group_;
  const ConsumerOptions options_;
  const EventLog::Handler handler_;
  std::atomic<bool> stopping_{false};
  std::promise<void> ended_;
  std::shared_future<void> end_{ended_.get_future()};
};

}  // namespace starling::messaging

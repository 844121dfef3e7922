// A subscription of the embedded log: reads, hands over (delivery.h) and commits. Within messaging
// only.
#pragma once

#include <future>
#include <memory>

#include "platform/async/runtime.h"
#include "platform/messaging/delivery.h"
#include "platform/messaging/embedded_topic.h"

namespace starling::messaging {

class EmbeddedConsumer final : public Subscription,
                               public std::enable_shared_from_this<EmbeddedConsumer> {
 public:
  EmbeddedConsumer(EventLog& log, Runtime& runtime, std::shared_ptr<EmbeddedTopic> topic,
                   std::shared_ptr<EmbeddedTopic::Group> group, ConsumerOptions options,
                   EventLog::Handler handler)
      : runtime_(runtime),
        topic_(std::move(topic)),
        group_(std::move(group)),
        delivery_(log, topic_->name(), group_->name, options, std::move(handler)) {}

  void Start();
  void Stop() override;

 private:
  Task<void> Run();

  Runtime& runtime_;
  const std::shared_ptr<EmbeddedTopic> topic_;
  const std::shared_ptr<EmbeddedTopic::Group> group_;
  const Delivery delivery_;
  std::atomic<bool> stopping_{false};
  std::promise<void> ended_;
  std::shared_future<void> end_{ended_.get_future()};
};

}  // namespace starling::messaging

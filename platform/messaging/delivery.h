// How a batch reaches a group's handler, and what happens when it fails: the same for every
// adapter. Within messaging only.
#pragma once

#include <atomic>
#include <future>
#include <span>
#include <string>

#include "platform/async/runtime.h"
#include "platform/messaging/event_log.h"

namespace starling::messaging {

// Thread-safe. `log` takes the dead letters and must outlive it.
class Delivery {
 public:
  Delivery(EventLog& log, std::string topic, std::string group, ConsumerOptions options,
           EventLog::Handler handler)
      : log_(log),
        topic_(std::move(topic)),
        group_(std::move(group)),
        options_(options),
        handler_(std::move(handler)) {}

  const std::string& topic() const { return topic_; }
  const std::string& group() const { return group_; }
  const ConsumerOptions& options() const { return options_; }

  // Hands the batch over until every event is accepted or set aside. CANCELLED when `stop` was set,
  // which is looked at between two calls of the handler. `done`: so many events from the front are
  // accepted or set aside.
  Task<Status> Deliver(std::span<Delivered> batch, const std::atomic<bool>& stop,
                       std::atomic<size_t>& done) const;
  // As above, for a thread that is not an io thread. What is referred to must live until the future
  // is ready; CANCELLED when the runtime ended first.
  std::future<Status> DeliverOn(const Executor& executor, std::span<Delivered> batch,
                                const std::atomic<bool>& stop, std::atomic<size_t>& done) const;

  // Appends the event to the dead letters, for ever until `stop`. One that has no room for what is
  // added loses the end of its data.
  Task<Status> SetAside(Event event, Status why, int attempts, const std::atomic<bool>& stop) const;
  std::future<Status> SetAsideOn(const Executor& executor, Event event, Status why, int attempts,
                                 const std::atomic<bool>& stop) const;
  // Grows with the attempt, jittered; cut short by `stop`.
  Task<void> Pause(int attempt, const std::atomic<bool>& stop) const;

 private:
  EventLog& log_;
  const std::string topic_;
  const std::string group_;
  const ConsumerOptions options_;
  const EventLog::Handler handler_;
};

}  // namespace starling::messaging

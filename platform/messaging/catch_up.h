// Whether a group has what the log had when it began: until then, what is made of it is old.
//
//   CatchUp catch_up(log, "user-events", group);
//   subscription = log.Subscribe(...);             // its handler ends with catch_up.Count(n)
//   CO_RETURN_IF_ERROR(co_await catch_up.Wait(pool, stopping));
//
// The log is asked a few times a second, until the group has been given so many events as it
// lacked. Thread-safe; the log and the pool must outlive it.
#pragma once

#include <atomic>
#include <string>

#include "platform/async/blocking_pool.h"
#include "platform/async/task.h"
#include "platform/messaging/event_log.h"

namespace starling::messaging {

class CatchUp {
 public:
  CatchUp(const EventLog& log, std::string topic, std::string group)
      : log_(log), topic_(std::move(topic)), group_(std::move(group)) {}

  // So many events were accepted.
  void Count(size_t events) { accepted_ += events; }
  // Begin once the subscription is there. CANCELLED when `stopping` becomes true; a log that does
  // not answer is asked again.
  Task<Status> Wait(BlockingPool& pool, const std::atomic<bool>& stopping) const;

 private:
  const EventLog& log_;
  const std::string topic_;
  const std::string group_;
  std::atomic<uint64_t> accepted_{0};
};

}  // namespace starling::messaging

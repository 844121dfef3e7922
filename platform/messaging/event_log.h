// The event log: what services tell each other without waiting for one another.
//
//   StatusOr<Position> at = co_await log.Append("user-events", event);   // durable when it returns
//   auto subscription = log.Subscribe("user-events", "profile", {},
//                                     [this](std::span<const Delivered> e) { return Consume(e); });
//
// Topics have partitions; events with one partition key keep their order, others need not. A group
// sees each event at least once: it goes on after the last batch that its handler accepted, also
// after a crash. Consumers are therefore idempotent (inbox.h).
//
// A handler that fails is given its batch again, event by event, after a growing, jittered pause
// (50 ms to 5 s):
//
//   with UNAVAILABLE, DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED, or a failure of storage
//       for ever: it is not the event's fault
//   otherwise, max_attempts times
//       then the event goes to "<topic>.dead-letter", with what was wrong in its extensions
//       starlingerror, starlinggroup, starlingattempts, and the group goes on with the next
//
// A running group that lags max_lag events slows Append by up to max_delay, which is then refused
// with OVERLOADED that names the group. An engine in another process is asked how far a group is:
// there what is appended meanwhile may go beyond max_lag.
//
// Work that is done once for all instances of a service is a group's. What each instance keeps in
// memory it hears by itself, by Follow or by a group of its own, "<service>.<instance>", where the
// engine lets processes have such (FeedsViews). A group with a '.' in its name slows nobody: one
// instance that catches up is no reason to refuse events.
//
// Names of topics and groups have letters, digits, '-', '_' and '.', at most 128.
//
// Thread-safe. One meaning for all adapters, told by conformance/. What not every engine can stands
// in the adapter's header: where a new group begins, whether a group may have members in several
// processes, whether there is Read. Adapters: embedded (embedded_event_log.h), Kafka
// (kafka/kafka_event_log.h), RabbitMQ (rabbitmq/rabbit_event_log.h), the log of another process
// (services/events/remote_event_log.h).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "platform/async/task.h"
#include "platform/messaging/event.h"

namespace starling::messaging {

// Where an event is. Offsets grow within a partition, with gaps; 0 from an engine that numbers
// nothing. Two adapters' positions have nothing to do with each other.
struct Position {
  uint16_t partition = 0;
  uint64_t offset = 0;
  bool operator==(const Position&) const = default;
};

struct Delivered {
  Event event;
  Position position;
  int attempt = 1;
};

struct ConsumerOptions {
  size_t max_batch = 256;
  int max_attempts = 5;
  Duration first_pause = std::chrono::milliseconds(50);
  Duration longest_pause = std::chrono::seconds(5);
};

// One consumer in a group. Destruction stops it; a handler that runs is let finish.
class Subscription {
 public:
  virtual ~Subscription() = default;
  // No handler is called after it returned; what the last one accepted is committed. Never call it
  // on an io thread.
  virtual void Stop() = 0;
};

class EventLog {
 public:
  // Runs on an io thread; one call at a time a subscription.
  using Handler = std::function<Task<Status>(std::span<const Delivered>)>;

  virtual ~EventLog() = default;

  // All of the events become durable, or none is acknowledged: those of a batch that failed may
  // still be delivered. At most 1,000 at once. UNAVAILABLE when the engine does not answer.
  virtual Task<StatusOr<std::vector<Position>>> AppendBatch(std::string topic,
                                                            std::vector<Event> events) = 0;
  Task<StatusOr<Position>> Append(std::string topic, Event event);

  // From here on the group is given every event, first those that are kept. ALREADY_EXISTS when
  // this EventLog has a subscription of the group to the topic. Blocks.
  virtual StatusOr<std::unique_ptr<Subscription>> Subscribe(std::string_view topic,
                                                            std::string_view group,
                                                            ConsumerOptions options,
                                                            Handler handler) = 0;

  // Every event from now on, beside whoever else reads the topic: what keeps a view in memory in
  // step. Where it begins is settled when it returns, so a state that is read after that lacks
  // nothing; its place is kept nowhere, it is no group, and it slows nobody. `name` says in logs
  // and dead letters whose it is; otherwise as Subscribe. UNIMPLEMENTED from an engine that cannot.
  // Blocks.
  virtual StatusOr<std::unique_ptr<Subscription>> Follow(std::string_view topic,
                                                         std::string_view name,
                                                         ConsumerOptions options, Handler handler);

  // Whether several instances of a service may each have all events: by Follow, and by groups of
  // their own, which begin at the first event that is kept.
  virtual bool FeedsViews() const { return false; }

  // Events that the group has yet to accept; NOT_FOUND for a topic or group that never was. Blocks
  // where the engine is another process.
  virtual StatusOr<uint64_t> Lag(std::string_view topic, std::string_view group) const = 0;

  // At most `limit` events from `offset` on, of all partitions, each in its order; for tools.
  // NOT_FOUND for a topic that never was; UNIMPLEMENTED from an engine that cannot. Blocks.
  virtual StatusOr<std::vector<Delivered>> Read(std::string_view topic, uint64_t offset,
                                                size_t limit) const = 0;
};

}  // namespace starling::messaging

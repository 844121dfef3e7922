// The event log on RabbitMQ (3.10 or newer), on streams.
//
//   auto log = OpenRabbitEventLog({.address = ParseRabbitUrl("amqp://u:p@rabbit/shop").value()},
//                                 runtime, telemetry);
//
// A topic is as many streams as it has partitions, "<topic>:0" and on, and one more,
// "<topic>:groups", in which processes state what their groups have accepted (groups.h). They are
// made when absent; those that are there are taken as they are. An event goes to stream
// hash(partitionkey) % partitions; a message's body is EncodeEvent.
//
// Append is acknowledged by RabbitMQ's confirm: a majority of the stream's replicas has the events.
// RabbitMQ does not sync streams to the disk: with one replica what was acknowledged outlives the
// broker's process, not its machine. Positions that Append gives have no offset: a confirm says
// none. An append that got no answer in time may be there all the same, and twice when it is tried
// again: consumers have an inbox.
//
// A group may have members in several processes: they share the partitions evenly. Who reads a
// partition holds an exclusive queue "<topic>:<group>:<partition>"; RabbitMQ lets it go when that
// process' connection ends. A handler that runs is waited for before its partitions move. A new
// group begins at the first event that is kept. RabbitMQ deletes by age and size, whether a group
// has read or not.
//
// RabbitMQ 3.10.8, one node, that is killed has lost events that it had confirmed
// (docs/decisions/019-rabbitmq.md). So a producer that lost its connection publishes nothing for
// three seconds after it has a new one; that makes it rarer and is no guarantee.
//
// When the broker is away or hangs, Append and Subscribe give UNAVAILABLE within twice
// append_timeout; what is appended meanwhile waits for it, up to append_timeout. A consumer goes on
// by itself.
//
// To empty a topic, delete all of its streams while nobody uses it: offsets that groups keep are of
// those streams.
//
// Threads: three connections and two threads for a log, one of each for a subscription. Must be
// destroyed after its subscriptions and before the runtime.
#pragma once

#include <memory>

#include "platform/async/runtime.h"
#include "platform/messaging/event_log.h"
#include "platform/messaging/rabbitmq/address.h"
#include "platform/telemetry/telemetry.h"

namespace starling::messaging {

struct RabbitOptions {
  RabbitAddress address;
  int partitions = 8;           // of topics that are made
  int replication_factor = 1;   // the same: nodes that keep each stream
  size_t queue_limit = 65'536;  // events that wait for the broker; beyond, OVERLOADED
  uint64_t max_lag = 1'000'000;
  Duration max_delay = std::chrono::milliseconds(100);
  Duration append_timeout = std::chrono::seconds(5);
  uint64_t retain_bytes = 8ull << 30;  // of topics that are made, all partitions together
  Duration retain_for = std::chrono::hours(24 * 30);
};

// UNAVAILABLE when no broker answers within append_timeout, PERMISSION_DENIED when it refuses the
// user. Blocks.
StatusOr<std::unique_ptr<EventLog>> OpenRabbitEventLog(RabbitOptions options, Runtime& runtime,
                                                       telemetry::Telemetry& telemetry);

}  // namespace starling::messaging

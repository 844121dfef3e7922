// The event log on Apache Kafka.
//
//   auto log = OpenKafkaEventLog({.brokers = "kafka-1:9092,kafka-2:9092"}, runtime, telemetry);
//
// Append is acknowledged once every in-sync replica has the events (acks=all, idempotent producer).
// An event goes to partition hash(partitionkey) % the topic's partitions. Topics are made when
// absent; one that is there is taken as it is. Message key: the partition key; value: EncodeEvent.
//
// A group is the Kafka group "<group>:<topic>" and may have members in several processes: they
// share the partitions (cooperative-sticky), a handler that runs is waited for before its
// partitions move. A new group begins at the first event that is kept. Kafka deletes by age and
// size, whether a group has read or not, and forgets a group that was away for
// offsets.retention.minutes.
//
// A group of one instance takes all partitions of the topic, without a membership that a crash
// would have to wait for. Follow reads all partitions that the topic has when it begins, outside of
// any group, from the end that they have then. A group of one instance that is gone for good is
// forgotten by Kafka after offsets.retention.minutes (a week, as it comes).
//
// When the brokers are away, Append, Subscribe and Follow give UNAVAILABLE within append_timeout; a
// consumer goes on by itself once they are back. An event that got no answer in time may be there
// all the same.
//
// Threads: two clients of librdkafka and two threads of ours for a log, one of each for a
// subscription. Must be destroyed after its subscriptions and before the runtime.
#pragma once

#include <memory>
#include <string>

#include "platform/async/runtime.h"
#include "platform/messaging/event_log.h"
#include "platform/telemetry/telemetry.h"

namespace starling::messaging {

struct KafkaOptions {
  std::string brokers;          // "host:port", more by commas
  int partitions = 8;           // of topics that are made
  int replication_factor = 1;   // the same; from 3 on, two replicas must have an event
  size_t queue_limit = 65'536;  // events that wait for the brokers; beyond, OVERLOADED
  uint64_t max_lag = 1'000'000;
  Duration max_delay = std::chrono::milliseconds(100);
  Duration append_timeout = std::chrono::seconds(5);
  uint64_t retain_bytes = 8ull << 30;  // of topics that are made, all partitions together
  Duration retain_for = std::chrono::hours(24 * 30);
};

// UNAVAILABLE when no broker answers within append_timeout. Blocks.
StatusOr<std::unique_ptr<EventLog>> OpenKafkaEventLog(KafkaOptions options, Runtime& runtime,
                                                      telemetry::Telemetry& telemetry);

}  // namespace starling::messaging

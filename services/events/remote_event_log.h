// The event log of another process: the port over the contract (contracts/events), for a process
// that keeps no events of its own.
//
//   auto log = MakeRemoteEventLog(v1::Events::Connect(channel), runtime, {});
//
// What differs from the log itself:
//
//   Append            UNAVAILABLE with a retry delay while the other process is away; nothing waits
//                     here. An append whose answer was lost may be there twice, with the same ids:
//                     consumers are idempotent anyway (inbox.h). A batch above 3 MiB goes in
//                     several calls; none is acknowledged before all are durable.
//   Subscribe         waits for the first answer, or the first failure; after that, and after each
//                     loss, it connects again with a growing, jittered pause (100 ms to 2 s), for
//                     as long as the subscription lives. So a process starts before the one that
//                     serves events.
//   a batch           is handed over again when the stream broke before its outcome arrived; so an
//                     effect is repeated when only the answer was lost.
//   a group           has one consumer in the cluster; another waits until that is gone, which the
//                     other process learns at once when a process dies, and by 20 s of silence when
//                     it is frozen or the network is cut. In one process a second one is
//                     ALREADY_EXISTS.
//   Stop              waits up to `stop_limit` for the other process to remember what was accepted.
//   Lag, Read         block for a call.
//
// An append costs a call (rpc/grpc_channel.h) beside the log's own fsync. Thread-safe. Must
// be destroyed after its subscriptions and before the runtime.
#pragma once

#include <memory>

#include "contracts/events/v1/events.service.h"
#include "platform/async/runtime.h"
#include "platform/messaging/event_log.h"

namespace starling::events {

struct RemoteEventLogOptions {
  Duration call_limit = std::chrono::seconds(10);
  Duration answer_limit = std::chrono::seconds(5);  // for the first answer of a subscription
  Duration stop_limit = std::chrono::seconds(5);
  Duration first_pause = std::chrono::milliseconds(100);
  Duration longest_pause = std::chrono::seconds(2);
  // A stream that says nothing for so long is given up; the other side speaks every 5 s, and this
  // one four times in `quiet_limit`.
  Duration quiet_limit = std::chrono::seconds(20);
};

std::unique_ptr<messaging::EventLog> MakeRemoteEventLog(std::shared_ptr<v1::Events> events,
                                                        Runtime& runtime,
                                                        RemoteEventLogOptions options);

}  // namespace starling::events

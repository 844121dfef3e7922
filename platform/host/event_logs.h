// The event log that the configuration asks for: of this process, of another one, or a broker's.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "platform/async/runtime.h"
#include "platform/host/peers.h"
#include "platform/messaging/event_log.h"

namespace starling::host {

struct EventLogPlace {
  const ProcessConfig& config;
  std::filesystem::path folder;                     // of the embedded log
  const rpc::ServiceDescriptor* service = nullptr;  // `events`
  bool serves = false;                              // this process runs it
  bool elsewhere = false;                           // another process of the topology does
  // Makes the log over a channel to who serves it.
  std::function<std::unique_ptr<messaging::EventLog>(std::shared_ptr<rpc::Channel>, Runtime&)>
      connect;
};

// FAILED_PRECONDITION says what the configuration lacks; UNAVAILABLE that no broker answers.
// Blocks.
StatusOr<std::unique_ptr<messaging::EventLog>> OpenEventLog(const EventLogPlace& place,
                                                            Peers& peers, Runtime& runtime,
                                                            telemetry::Telemetry& telemetry);

}  // namespace starling::host

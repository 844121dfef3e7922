// The event log in the process itself, on files (topic_files.h): one writer thread with group
// commit.
//
//   auto log = EmbeddedEventLog::Open("data/events", {}, runtime, telemetry);
//
// Appends that wait at the same time share one fdatasync a topic. At most `queue_limit` appends
// wait; beyond, they are refused with OVERLOADED. Consumers run on the runtime's io threads and
// read through its blocking pool. Must be destroyed after its subscriptions and before the runtime.
#pragma once

#include <filesystem>
#include <memory>

#include "platform/async/runtime.h"
#include "platform/messaging/event_log.h"
#include "platform/telemetry/telemetry.h"

namespace starling::messaging {

struct EmbeddedEventLogOptions {
  uint16_t partitions = 8;
  size_t queue_limit = 4'096;
  uint64_t max_lag = 1'000'000;  // events that the slowest running group of a topic may be behind
  Duration max_delay = std::chrono::milliseconds(100);
  uint64_t segment_bytes = 64 << 20;
  uint64_t retain_bytes = 8ull << 30;
  Duration retain_for = std::chrono::hours(24 * 30);
};

// Reads every topic's last file; DATA_LOSS names a damaged one. Blocks.
StatusOr<std::unique_ptr<EventLog>> OpenEmbeddedEventLog(const std::filesystem::path& folder,
                                                         EmbeddedEventLogOptions options,
                                                         Runtime& runtime,
                                                         telemetry::Telemetry& telemetry);

}  // namespace starling::messaging

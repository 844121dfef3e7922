// Events and batches as the contract carries them.
//
//   for (v1::SubscribeResponse& part : Split<v1::SubscribeResponse>(batch)) ...
//   StatusOr<messaging::Delivered> delivered = FromMessage(message);
//
// gRPC takes messages of up to 4 MiB; a batch of large events is split so that each part has at
// most kMaxPartBytes. One event (1 MiB at most) always fits.
#pragma once

#include <span>
#include <vector>

#include "contracts/events/v1/events.pb.h"
#include "platform/messaging/event_log.h"

namespace starling::events {

inline constexpr size_t kMaxPartBytes = 3 << 20;

v1::Delivered ToMessage(const messaging::Delivered& delivered);
// DATA_LOSS for an event that is none.
StatusOr<messaging::Delivered> FromMessage(const v1::Delivered& message);

// The batch in its order, at least one part.
template <typename Part>
std::vector<Part> Split(std::span<const messaging::Delivered> batch) {
  std::vector<Part> parts(1);
  size_t bytes = 0;
  for (const messaging::Delivered& delivered : batch) {
    v1::Delivered message = ToMessage(delivered);
    const size_t size = message.ByteSizeLong();
    if (bytes > 0 && bytes + size > kMaxPartBytes) {
      parts.emplace_back();
      bytes = 0;
    }
    bytes += size;
    *parts.back().add_events() = std::move(message);
  }
  return parts;
}

}  // namespace starling::events

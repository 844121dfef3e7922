// What every adapter refuses alike: names, batches, producers of slow groups. Within messaging
// only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "platform/messaging/event.h"

namespace starling::messaging {

// INVALID_ARGUMENT that gives the name and what a name may have.
Status CheckTopic(std::string_view name);
Status CheckGroup(std::string_view name);
// INVALID_ARGUMENT for too many events, or one that Validate refuses.
Status CheckBatch(std::span<const Event> events);

// Whether the name is that of one instance's group: it slows nobody.
bool IsOwnGroup(std::string_view group);

Status AlreadySubscribed(std::string_view topic, std::string_view group);
Status GroupIsBehind(std::string_view topic, std::string_view group, uint64_t lag, uint64_t limit);

}  // namespace starling::messaging

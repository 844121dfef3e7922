// What a topic has, for tools. Within rabbitmq only.
#pragma once

#include <string>
#include <vector>

#include "platform/messaging/event_log.h"
#include "platform/messaging/rabbitmq/topics.h"

namespace starling::messaging::rabbitmq {

// At most `limit` events that are there now, from `offset` on in each partition. A connection of
// its own, without a group. Blocks.
StatusOr<std::vector<Delivered>> Read(const RabbitOptions& options, Topics& topics,
                                      const std::string& topic, uint64_t offset, size_t limit);

}  // namespace starling::messaging::rabbitmq

// What a topic has, for tools. Within kafka only.
#pragma once

#include <string>
#include <vector>

#include "platform/messaging/event_log.h"
#include "platform/messaging/kafka/cluster.h"

namespace starling::messaging::kafka {

// At most `limit` events that are there now, from `offset` on in each partition. A client of its
// own, without a group. Blocks.
StatusOr<std::vector<Delivered>> Read(const KafkaOptions& options, Cluster& cluster,
                                      const std::string& topic, uint64_t offset, size_t limit);

}  // namespace starling::messaging::kafka

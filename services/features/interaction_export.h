// Writes one state of the table to a stream: a user a message, by id, each user's interactions
// oldest first. Holds references to that state and some thousand interactions as messages; users
// whose histories are rewritten meanwhile exist twice until the end.
#pragma once

#include "contracts/features/v1/features.pb.h"
#include "platform/async/blocking_pool.h"
#include "platform/rpc/service.h"
#include "services/features/interaction_table.h"

namespace starling::features {

Task<Status> ExportTo(const InteractionTable& table, BlockingPool& pool, CallContext& context,
                      rpc::Stream<v1::UserInteractions>& out);

}  // namespace starling::features

// Computes what many users like at a time, from their interactions and what the catalogue says.
#pragma once

#include "contracts/features/v1/features.pb.h"
#include "platform/async/blocking_pool.h"
#include "platform/rpc/service.h"
#include "services/features/affinity.h"
#include "services/features/interaction_table.h"

namespace starling::features {

// Of one user of the table.
Affinity AffinityOf(const InteractionTable::Keyed& user, int64_t at, const ProductTable& products);

// INVALID_ARGUMENT names every field that is wrong; `now` is the time when none is asked for. Few
// interactions are looked at on the caller's thread, more on the blocking pool; a user costs about
// 50 ns an interaction.
Task<StatusOr<v1::ReadAffinitiesResponse>> ReadAffinitiesFrom(
    const InteractionTable& table, const ProductTable& products, BlockingPool& pool,
    CallContext& context, const v1::ReadAffinitiesRequest& request, TimePoint now);

}  // namespace starling::features

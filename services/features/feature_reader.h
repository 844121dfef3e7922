// Computes the named features of many users and products at a time, from their interactions.
#pragma once

#include "contracts/features/v1/features.pb.h"
#include "platform/async/blocking_pool.h"
#include "platform/rpc/service.h"
#include "services/features/feature_definitions.h"
#include "services/features/interaction_table.h"

namespace starling::features {

// What a request must be to be answered.
struct FeatureQuery {
  // INVALID_ARGUMENT that names every field that is wrong. `now` is the time when none is asked
  // for.
  static StatusOr<FeatureQuery> From(const v1::ReadFeaturesRequest& request, TimePoint now);

  std::vector<const FeatureDefinition*> features;
  Distinct distinct_of_users = Distinct::kNotNeeded;
  Distinct distinct_of_products = Distinct::kNotNeeded;
  bool of_users = false;  // some feature is
  bool of_products = false;
  int64_t at = 0;
};

// A few thousand interactions are looked at on the caller's thread, more on the blocking pool. A
// user costs about 10 ns an interaction; all products together one look (about 1 ns) at every
// interaction of every user who has one of them.
Task<StatusOr<v1::ReadFeaturesResponse>> ReadFeaturesFrom(const InteractionTable& table,
                                                          BlockingPool& pool, CallContext& context,
                                                          const v1::ReadFeaturesRequest& request,
                                                          const FeatureQuery& query);

}  // namespace starling::features

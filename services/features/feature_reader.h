// Computes the named features of many users and products at a time, from their interactions.
#pragma once

#include "contracts/features/v1/features.pb.h"
#include "platform/async/blocking_pool.h"
#include "platform/rpc/service.h"
#include "services/features/feature_definitions.h"
#include "services/features/interaction_table.h"
#include "services/features/product_table.h"

namespace starling::features {

// Interactions that may be looked at on an io thread: below 100 us.
inline constexpr size_t kFewRows = 8'192;
// What one costs beside that when it counts for an affinity.
inline constexpr size_t kRowsAnAffinityCosts = 5;

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
  bool of_catalogue = false;
  int64_t at = 0;
};

// What both kinds of read check: ids that are empty, a time that is none.
void CheckIds(const char* field, const google::protobuf::RepeatedPtrField<std::string>& ids,
              std::vector<FieldViolation>& wrong);
// `at` in seconds since 1970, `now` when it is absent.
int64_t CheckedTime(bool has_at, int64_t at, TimePoint now, std::vector<FieldViolation>& wrong);

// A few thousand interactions are looked at on the caller's thread, more on the blocking pool. A
// user costs about 10 ns an interaction, 50 with features by the catalogue; all products together
// one look (about 1 ns) at every interaction of every user who has one of them.
Task<StatusOr<v1::ReadFeaturesResponse>> ReadFeaturesFrom(const InteractionTable& table,
                                                          const ProductTable& products,
                                                          BlockingPool& pool, CallContext& context,
                                                          const v1::ReadFeaturesRequest& request,
                                                          const FeatureQuery& query);

}  // namespace starling::features

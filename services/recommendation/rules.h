// The business rules of recommendations, as pure functions: what a history says, which candidates
// may be shown, and why.
//
//   AddSignals(history, config, *request.mutable_signals());
//   std::vector<size_t> shown = Choose(candidates, limit, config.max_category_share).shown;
//
// Costs a few microseconds for a hundred candidates.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "contracts/catalog/v1/catalog.pb.h"
#include "contracts/features/v1/features.pb.h"
#include "contracts/inference/v1/inference.pb.h"
#include "contracts/profile/v1/profile.pb.h"
#include "services/recommendation/recommendation_config.h"

namespace starling::recommendation {

using features::v1::InteractionType;

// Where recommendations are shown.
enum class Placement { kHome, kProduct, kCart };

// INVALID_ARGUMENT that names `context` for another word than home, product and cart.
StatusOr<Placement> ParsePlacement(const std::string& context);
std::string_view Name(Placement placement);

// What a deed says of the user's taste; 0 for those that say nothing.
double WeightOf(InteractionType type, const RecommendationConfig& config);

// Adds a history, newest first, as signals.
void AddSignals(const profile::v1::GetHistoryResponse& history, const RecommendationConfig& config,
                google::protobuf::RepeatedPtrField<inference::v1::Signal>& signals);

// Whether a product can be shown to somebody who wants to buy now.
bool CanBeBought(const catalog::v1::Product& product);

// A candidate whose product is known; pinned ones come first and are exempt from diversity.
struct Candidate {
  const catalog::v1::Product* product = nullptr;
  bool pinned = false;
};

// Which candidates are shown, best first: at most `limit`, at most a share of them from one
// category (the widest one; at least one of each). Where the share leaves places empty, they are
// filled with what it left out, in order.
struct Choice {
  std::vector<size_t> shown;
  // Whether all places were filled without what the share left out: more candidates would change
  // nothing.
  bool settled = false;
};
Choice Choose(std::span<const Candidate> candidates, size_t limit, double max_share);

// What an event's type says that the user did; unspecified for other types.
InteractionType TypeOf(std::string_view type);

// "because you bought Whole milk", "popular now": short and true. `title` is that of the product
// which counted most, empty when unknown; `type` what the user did with it.
std::string Reason(inference::v1::Source source, InteractionType type, std::string_view title,
                   Placement placement);

}  // namespace starling::recommendation

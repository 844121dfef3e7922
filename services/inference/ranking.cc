#include "services/inference/ranking.h"

#include <algorithm>

namespace starling::inference {
namespace {

using learning::RankedItem;

constexpr int kDefaultLimit = 10;
constexpr int kMaxLimit = 500;
constexpr int kMaxSignals = 1'000;
constexpr int kMaxIds = 10'000;

v1::Source SourceOf(RankedItem::Source source) {
  switch (source) {
    case RankedItem::Source::kSimilar:
      return v1::SOURCE_SIMILAR;
    case RankedItem::Source::kFactors:
      return v1::SOURCE_FACTORS;
    case RankedItem::Source::kRepeat:
      return v1::SOURCE_REPEAT;
    case RankedItem::Source::kPopular:
      return v1::SOURCE_POPULAR;
  }
  return v1::SOURCE_UNSPECIFIED;
}

features::v1::InteractionType TypeOf(learning::EventKind kind) {
  switch (kind) {
    case learning::EventKind::kView:
      return features::v1::INTERACTION_TYPE_VIEW;
    case learning::EventKind::kClick:
      return features::v1::INTERACTION_TYPE_CLICK;
    case learning::EventKind::kCart:
      return features::v1::INTERACTION_TYPE_CART;
    case learning::EventKind::kPurchase:
      return features::v1::INTERACTION_TYPE_PURCHASE;
    case learning::EventKind::kRate:
      return features::v1::INTERACTION_TYPE_RATE;
    default:
      return features::v1::INTERACTION_TYPE_UNSPECIFIED;
  }
}

// The buffers of a thread that ranks, for requests of any model.
struct Buffers {
  learning::RankScratch scratch;
  std::vector<learning::RankSignal> signals;
  std::vector<std::string_view> candidates;
  std::vector<std::string_view> excluded;
  std::vector<const RankedItem*> left;
};

void Add(const LoadedModel& model, const RankedItem& item, v1::RecommendResponse& response) {
  v1::ScoredProduct& product = *response.add_products();
  product.set_product_id(std::string(model.recommender.ItemId(item.item)));
  product.set_score(item.score);
  product.set_source(SourceOf(item.source));
  if (item.because.has_value()) {
    product.set_because_product_id(std::string(model.recommender.ItemId(*item.because)));
    product.set_because_type(TypeOf(item.because_kind));
  }
}

// From what is remembered of a user at rest. False when that is not enough, and nothing is added.
bool RankResting(const LoadedModel& model, const v1::RecommendRequest& request, size_t limit,
                 Buffers& buffers, v1::RecommendResponse& response) {
  auto& resting = model.resting[request.allow_repeats() ? 1 : 0];
  auto best = resting.Get(request.user_id());
  if (best == nullptr) {
    const std::span<const RankedItem> ranked =
        model.recommender.Rank({.user = request.user_id(),
                                .limit = LoadedModel::kResting,
                                .allow_repeats = request.allow_repeats(),
                                .now = model.recommender.settings().until},
                               buffers.scratch);
    best = std::make_shared<const LoadedModel::Best>(ranked.begin(), ranked.end());
    resting.Put(request.user_id(), best);
  }
  std::vector<const RankedItem*>& left = buffers.left;
  left.clear();
  for (const RankedItem& item : *best) {
    if (left.size() == limit) break;
    const std::string_view id = model.recommender.ItemId(item.item);
    const auto& excluded = request.excluded_ids();
    if (std::find(excluded.begin(), excluded.end(), id) == excluded.end()) left.push_back(&item);
  }
  // All there is, or all that is wanted.
  if (left.size() < limit && best->size() == LoadedModel::kResting) return false;
  response.mutable_products()->Reserve(static_cast<int>(left.size()));
  for (const RankedItem* item : left) Add(model, *item, response);
  return true;
}

}  // namespace

Status CheckRequest(const v1::RecommendRequest& request) {
  const auto at_most = [](std::string_view field, int count, int limit) -> Status {
    if (count <= limit) return OkStatus();
    return InvalidField(field, "has {} entries; at most {} are taken", count, limit);
  };
  if (request.limit() < 0 || request.limit() > kMaxLimit) {
    return InvalidField("limit", "{} is outside 0 to {}", request.limit(), kMaxLimit);
  }
  STARLING_RETURN_IF_ERROR(at_most("signals", request.signals_size(), kMaxSignals));
  STARLING_RETURN_IF_ERROR(at_most("candidate_ids", request.candidate_ids_size(), kMaxIds));
  return at_most("excluded_ids", request.excluded_ids_size(), kMaxIds);
}

v1::RecommendResponse Rank(const LoadedModel& model, const v1::RecommendRequest& request,
                           TimePoint now) {
  thread_local Buffers buffers;
  const auto limit = static_cast<size_t>(request.limit() == 0 ? kDefaultLimit : request.limit());
  v1::RecommendResponse response;
  response.set_model(model.version.model());
  response.set_version(model.version.version());
  response.set_data_until(model.recommender.settings().until);
  response.set_knows_user(!request.user_id().empty() &&
                          model.recommender.KnowsUser(request.user_id()));
  const auto is_news = [&](const v1::Signal& signal) {
    return signal.occurred_at() == 0 || signal.occurred_at() > response.data_until();
  };
  const bool at_rest = response.knows_user() &&
                       std::none_of(request.signals().begin(), request.signals().end(), is_news);
  if (at_rest && request.candidate_ids().empty() &&
      RankResting(model, request, limit, buffers, response)) {
    return response;
  }
  buffers.signals.clear();
  for (const v1::Signal& signal : request.signals()) {
    buffers.signals.push_back({signal.product_id(), learning::ParseEventKind(signal.type()),
                               signal.weight(), signal.occurred_at()});
  }
  buffers.candidates.assign(request.candidate_ids().begin(), request.candidate_ids().end());
  buffers.excluded.assign(request.excluded_ids().begin(), request.excluded_ids().end());
  const std::span<const RankedItem> ranked =
      model.recommender.Rank({.user = request.user_id(),
                              .signals = buffers.signals,
                              .candidates = buffers.candidates,
                              .excluded = buffers.excluded,
                              .limit = limit,
                              .allow_repeats = request.allow_repeats(),
                              .now = now.time_since_epoch() / std::chrono::seconds(1)},
                             buffers.scratch);
  response.mutable_products()->Reserve(static_cast<int>(ranked.size()));
  for (const RankedItem& item : ranked) Add(model, item, response);
  return response;
}

}  // namespace starling::inference

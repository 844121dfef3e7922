#include "services/recommendation/recommendation_service.h"

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "services/recommendation/answer.h"

namespace starling::recommendation {
namespace {

constexpr int kDefaultLimit = 10;
constexpr int kMaxLimit = 100;
constexpr int kMaxCart = 100;
constexpr size_t kLastGoodUsers = 10'000;
constexpr size_t kKnownProducts = 16'384;
constexpr size_t kImpressionUsers = 20'000;
constexpr size_t kServedQueue = 20'000;

StatusOr<int> CheckLimit(int limit) {
  if (limit < 0 || limit > kMaxLimit)
    return InvalidField("limit", "{} is outside 0 to {}", limit, kMaxLimit);
  return limit == 0 ? kDefaultLimit : limit;
}

}  // namespace

StatusOr<std::shared_ptr<RecommendationService>> RecommendationService::Create(
    host::Environment& environment) {
  return std::make_shared<RecommendationService>(environment);
}

RecommendationService::RecommendationService(host::Environment& environment)
    : environment_(environment),
      fallbacks_([&] {
        std::vector<Fallback> all;
        for (const auto& [part, event] : {std::pair{"profile", "fallback: profile"},
                                          {"experiment", "fallback: experiment"},
                                          {"inference", "fallback: inference"},
                                          {"vectors", "fallback: vectors"},
                                          {"features", "fallback: features"},
                                          {"catalog", "fallback: catalog"}}) {
          all.push_back({part, event,
                         environment.telemetry().metrics().AddCounter(
                             "starling_recommendation_fallbacks_total",
                             "Answers that did without a part, by part", {{"part", part}})});
        }
        return all;
      }()),
      config_(environment.Config<RecommendationConfig>()),
      last_good_(kLastGoodUsers),
      products_(kKnownProducts),
      popular_(std::make_shared<const Popular>()),
      impressions_(kImpressionUsers),
      served_(environment, kServedQueue) {}

Status RecommendationService::Start() {
  profile_ = environment_.Find<profile::v1::Profile>();
  catalog_ = environment_.Find<catalog::v1::Catalog>();
  features_ = environment_.Find<features::v1::Features>();
  inference_ = environment_.Find<inference::v1::Inference>();
  for (const auto& [there, name] : {std::pair{profile_ != nullptr, "profile"},
                                    {catalog_ != nullptr, "catalog"},
                                    {features_ != nullptr, "features"},
                                    {inference_ != nullptr, "inference"}}) {
    if (!there) {
      return FailedPrecondition(
          "recommendation needs the service {0}: run it in this process, or name the process that "
          "does, in the topology or as peers.services.{0}",
          name);
    }
  }
  STARLING_ASSIGN_OR_RETURN(
      subscription_, environment_.Follow("user-events", "recommendation", {.max_batch = 2'048},
                                         [this](std::span<const messaging::Delivered> events) {
                                           return Consume(events);
                                         }));
  return OkStatus();
}

void RecommendationService::Stop() {
  subscription_.reset();
  served_.Stop();
}

Task<StatusOr<v1::RecommendResponse>> RecommendationService::Recommend(
    CallContext& context, const v1::RecommendRequest& request) {
  v1::RecommendForUserRequest for_user;
  for_user.set_user_id(context.caller->user());
  for_user.set_limit(request.limit());
  for_user.set_context(request.context());
  for_user.set_product_id(request.product_id());
  *for_user.mutable_product_ids() = request.product_ids();
  co_return co_await RecommendForUser(context, for_user);
}

Task<StatusOr<v1::RecommendResponse>> RecommendationService::RecommendForUser(
    CallContext& context, const v1::RecommendForUserRequest& request) {
  Ask ask{.user_id = request.user_id(), .config = config_.Get()};
  CO_ASSIGN_OR_RETURN(const int limit, CheckLimit(request.limit()));
  ask.limit = static_cast<size_t>(limit);
  CO_ASSIGN_OR_RETURN(ask.placement, ParsePlacement(request.context()));
  if (ask.placement == Placement::kProduct) {
    if (request.product_id().empty())
      co_return InvalidField("product_id", "is missing; the context product needs it");
    ask.seeds = {request.product_id()};
  }
  if (ask.placement == Placement::kCart) {
    if (request.product_ids_size() > kMaxCart) {
      co_return InvalidField("product_ids", "has {} ids; at most {} are taken",
                             request.product_ids_size(), kMaxCart);
    }
    ask.seeds.assign(request.product_ids().begin(), request.product_ids().end());
  }
  co_return co_await Compose(context, ask);
}

Task<StatusOr<v1::RecommendResponse>> RecommendationService::ListSimilarProducts(
    CallContext& context, const v1::ListSimilarProductsRequest& request) {
  Ask ask{
      .placement = Placement::kProduct, .seeds = {request.product_id()}, .config = config_.Get()};
  CO_ASSIGN_OR_RETURN(const int limit, CheckLimit(request.limit()));
  ask.limit = static_cast<size_t>(limit);
  co_return co_await Compose(context, ask);
}

Task<StatusOr<v1::RecommendResponse>> RecommendationService::Compose(CallContext& context,
                                                                     const Ask& ask) {
  Answer answer;
  if (ask.placement == Placement::kHome && !ask.user_id.empty()) {
    const std::shared_ptr<const LastGood> last = last_good_.Get(ask.user_id);
    if (last != nullptr && last->knows_user) answer.after = last->data_until;
  }
  co_await ReadHistory(context, ask, answer);
  co_await Rank(context, ask, answer);
  const auto fits = [&] {
    return answer.model_ranked && answer.ranked.knows_user() &&
           answer.ranked.data_until() == *answer.after && answer.candidates.size() >= ask.wanted();
  };
  if (answer.after.has_value() && !fits()) {
    answer.after.reset();
    co_await ReadHistory(context, ask, answer);
    if (answer.model_ranked) co_await Rank(context, ask, answer);
  }
  if (ask.placement == Placement::kProduct) co_await AddNearest(context, ask, answer);
  co_await AddPopular(context, ask, answer);
  co_await ChooseItems(context, ask, answer);
  if (answer.items.size() < ask.limit && !answer.seen_too_often.empty() && !answer.gone) {
    answer.shows_seen = true;
    answer.items.clear();
    answer.popular.clear();
    co_await ReadHistory(context, ask, answer);
    co_await Rank(context, ask, answer);
    co_await AddPopular(context, ask, answer);
    co_await ChooseItems(context, ask, answer);
  }
  if (answer.gone) {
    co_return NotFound("product '{}' is not in the catalogue", ask.seeds.front());
  }
  TellFallbacks(context, answer);
  v1::RecommendResponse response = Write(ask, answer);
  Tell(context, ask, response);
  co_return response;
}

void RecommendationService::TellFallbacks(CallContext& context, const Answer& answer) {
  for (const std::string& part : answer.degraded) {
    for (const Fallback& fallback : fallbacks_) {
      if (fallback.part != part) continue;
      fallback.used.Add();
      context.AddEvent(fallback.event);
    }
  }
}

void RecommendationService::Tell(CallContext& context, const Ask& ask,
                                 const v1::RecommendResponse& response) {
  v1::RecommendationServed served;
  served.set_recommendation_id(response.recommendation_id());
  served.set_user_id(ask.user_id);
  served.set_context(std::string(Name(ask.placement)));
  served.mutable_product_ids()->Reserve(response.items_size());
  for (const v1::RecommendedItem& item : response.items())
    served.add_product_ids(item.product().product_id());
  if (response.has_model()) *served.mutable_model() = response.model();
  if (response.has_experiment()) *served.mutable_experiment() = response.experiment();
  *served.mutable_degraded() = response.degraded();
  const int64_t now = environment_.clock().Now().time_since_epoch().count();
  served.mutable_served_at()->set_seconds(now / 1'000'000'000);
  served.mutable_served_at()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
  served_.Add(std::move(served), context.trace);
}

Task<Status> RecommendationService::Consume(std::span<const messaging::Delivered> events) {
  for (const messaging::Delivered& delivered : events) {
    if (delivered.event.type != "starling.user.event.v1") continue;
    ingestion::v1::UserEvent event;
    if (!event.ParseFromString(delivered.event.data)) continue;  // others set it aside
    if (event.user_id().empty() || event.product_id().empty()) continue;
    if (event.type() == "impression") {
      impressions_.Seen(event.user_id(), event.product_id());
    } else {
      impressions_.Cared(event.user_id(), event.product_id());
    }
  }
  co_return OkStatus();
}

}  // namespace starling::recommendation

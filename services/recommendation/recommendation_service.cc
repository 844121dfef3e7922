#include "services/recommendation/recommendation_service.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "contracts/ingestion/v1/ingestion.pb.h"
#include "platform/base/id.h"
#include "platform/rpc/pending_call.h"

namespace starling::recommendation {
namespace {

using catalog::v1::Product;
using inference::v1::ScoredProduct;

constexpr int kDefaultLimit = 10;
constexpr int kMaxLimit = 100;
constexpr int kMaxCart = 100;
constexpr int kHistory = 50;
constexpr size_t kLastGoodUsers = 10'000;
constexpr size_t kKnownProducts = 10'000;
constexpr size_t kImpressionUsers = 20'000;
constexpr size_t kServedQueue = 20'000;
constexpr int kPopular = 200;
constexpr Duration kPopularAge = std::chrono::seconds(10);

StatusOr<int> CheckLimit(int limit) {
  if (limit < 0 || limit > kMaxLimit)
    return InvalidField("limit", "{} is outside 0 to {}", limit, kMaxLimit);
  return limit == 0 ? kDefaultLimit : limit;
}

void Degrade(std::vector<std::string>& degraded, std::string_view part) {
  if (std::find(degraded.begin(), degraded.end(), part) == degraded.end())
    degraded.emplace_back(part);
}

}  // namespace

struct RecommendationService::Ask {
  std::string user_id;
  size_t limit = kDefaultLimit;
  Placement placement = Placement::kHome;
  std::vector<std::string> seeds;  // the product looked at, or what is in the cart
  std::shared_ptr<const RecommendationConfig> config;
};

struct RecommendationService::Answer {
  profile::v1::GetHistoryResponse history;
  std::unordered_set<std::string> excluded;
  Ranked ranked;
  // What catalog gave, and where else known products came from.
  catalog::v1::BatchGetProductsResponse products;
  std::vector<std::shared_ptr<const Product>> remembered;
  std::unordered_map<std::string_view, const Product*> by_id;
  v1::ModelRef model;
  std::vector<std::string> degraded;
};

StatusOr<std::shared_ptr<RecommendationService>> RecommendationService::Create(
    host::Environment& environment) {
  return std::make_shared<RecommendationService>(environment);
}

RecommendationService::RecommendationService(host::Environment& environment)
    : environment_(environment),
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
          "does, as peers.{0}",
          name);
    }
  }
  STARLING_ASSIGN_OR_RETURN(
      subscription_,
      environment_.events().Subscribe(
          "user-events", "recommendation", {.max_batch = 2'048},
          [this](std::span<const messaging::Delivered> events) { return Consume(events); }));
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
  co_await ReadHistory(context, ask, answer);
  co_await Rank(context, ask, answer);
  co_await AddPopular(context, ask, answer);
  co_await ReadProducts(context, ask, answer);
  if (ask.placement == Placement::kProduct && answer.remembered.empty() &&
      !answer.by_id.contains(ask.seeds.front())) {
    co_return NotFound("product '{}' is not in the catalogue", ask.seeds.front());
  }
  v1::RecommendResponse response = Write(ask, answer);

  v1::RecommendationServed served;
  served.set_recommendation_id(response.recommendation_id());
  served.set_user_id(ask.user_id);
  served.set_context(std::string(Name(ask.placement)));
  for (const v1::RecommendedItem& item : response.items())
    served.add_product_ids(item.product().product_id());
  if (response.has_model()) *served.mutable_model() = response.model();
  *served.mutable_degraded() = response.degraded();
  const int64_t now = environment_.clock().Now().time_since_epoch().count();
  served.mutable_served_at()->set_seconds(now / 1'000'000'000);
  served.mutable_served_at()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
  served_.Add(std::move(served), context.trace);
  co_return response;
}

Task<void> RecommendationService::ReadHistory(CallContext& context, const Ask& ask,
                                              Answer& answer) {
  answer.excluded.insert(ask.config->blocked.begin(), ask.config->blocked.end());
  answer.excluded.insert(ask.seeds.begin(), ask.seeds.end());
  if (ask.user_id.empty()) co_return;
  profile::v1::GetHistoryRequest request;
  request.set_user_id(ask.user_id);
  request.set_limit(kHistory);
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, profile_, &profile::v1::Profile::GetHistory, context,
                                   request, ask.config->profile_timeout);
  co_await call->Wait();
  if (call->answer().ok()) {
    answer.history = *std::move(call->answer());
  } else {
    Degrade(answer.degraded, "profile");
  }
  if (!ask.config->allow_repeats) {
    for (const auto& interaction : answer.history.interactions()) {
      if (interaction.type() == "purchase") answer.excluded.insert(interaction.product_id());
    }
  }
  if (ask.config->max_impressions > 0 && ask.placement == Placement::kHome) {
    for (std::string& id : impressions_.SeenTooOften(ask.user_id, ask.config->max_impressions))
      answer.excluded.insert(std::move(id));
  }
}

Task<void> RecommendationService::Rank(CallContext& context, const Ask& ask, Answer& answer) {
  inference::v1::RecommendRequest request;
  if (ask.placement == Placement::kHome) {
    request.set_user_id(ask.user_id);
    for (auto& signal : SignalsOf(answer.history, *ask.config))
      *request.add_signals() = std::move(signal);
  } else {
    for (const std::string& seed : ask.seeds) {
      auto& signal = *request.add_signals();
      signal.set_product_id(seed);
      signal.set_weight(1);
    }
  }
  request.set_limit(static_cast<int>(ask.limit * 2 + 10));
  request.set_allow_repeats(ask.config->allow_repeats);
  for (const std::string& id : answer.excluded) request.add_excluded_ids(id);
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, inference_, &inference::v1::Inference::Recommend, context,
                                   std::move(request), ask.config->inference_timeout);
  co_await call->Wait();
  // Only the home page has a last good answer: what goes with a product is asked anew.
  const bool keeps = ask.placement == Placement::kHome && !ask.user_id.empty();
  if (call->answer().ok()) {
    auto& ranked = *call->answer();
    answer.model.set_name(ranked.model());
    answer.model.set_version(ranked.version());
    answer.ranked.assign(std::make_move_iterator(ranked.mutable_products()->begin()),
                         std::make_move_iterator(ranked.mutable_products()->end()));
    if (keeps) last_good_.Put(ask.user_id, std::make_shared<const Ranked>(answer.ranked));
    co_return;
  }
  Degrade(answer.degraded, "inference");
  if (!keeps) co_return;
  if (const auto last = last_good_.Get(ask.user_id)) {
    for (const ScoredProduct& product : *last) {
      if (!answer.excluded.contains(product.product_id())) answer.ranked.push_back(product);
    }
  }
}

// So that an answer is full: a new shop's model may know few products.
Task<void> RecommendationService::AddPopular(CallContext& context, const Ask& ask, Answer& answer) {
  const size_t wanted = ask.limit + ask.limit / 2;
  if (answer.ranked.size() >= wanted) co_return;
  std::shared_ptr<const Popular> popular = popular_.load();
  if (std::chrono::steady_clock::now() - popular->read_at > kPopularAge) {
    features::v1::ListPopularRequest request;
    request.set_limit(kPopular);
    const Executor here = co_await CurrentExecutor();
    const auto call = rpc::StartCall(here, features_, &features::v1::Features::ListPopular, context,
                                     request, ask.config->inference_timeout);
    co_await call->Wait();
    if (call->answer().ok()) {
      auto read = std::make_shared<Popular>();
      read->read_at = std::chrono::steady_clock::now();
      for (const auto& product : call->answer()->products())
        read->product_ids.push_back(product.product_id());
      popular = read;
      popular_.store(read);
    } else {
      Degrade(answer.degraded, "features");
    }
  }
  std::unordered_set<std::string_view> known;
  for (const ScoredProduct& product : answer.ranked) known.insert(product.product_id());
  std::vector<ScoredProduct> added;
  for (const std::string& id : popular->product_ids) {
    if (answer.ranked.size() + added.size() >= wanted) break;
    if (known.contains(id) || answer.excluded.contains(id)) continue;
    ScoredProduct& product = added.emplace_back();
    product.set_product_id(id);
    product.set_source(inference::v1::SOURCE_POPULAR);
  }
  answer.ranked.insert(answer.ranked.end(), std::make_move_iterator(added.begin()),
                       std::make_move_iterator(added.end()));
}

Task<void> RecommendationService::ReadProducts(CallContext& context, const Ask& ask,
                                               Answer& answer) {
  catalog::v1::BatchGetProductsRequest request;
  std::unordered_set<std::string_view> asked;
  const auto add = [&](const std::string& id) {
    if (!id.empty() && asked.insert(id).second) request.add_product_ids(id);
  };
  if (ask.placement == Placement::kHome) {
    for (const std::string& id : ask.config->pinned) add(id);
  }
  for (const std::string& id : ask.seeds) add(id);
  for (const ScoredProduct& product : answer.ranked) add(product.product_id());
  for (const ScoredProduct& product : answer.ranked) add(product.because_product_id());
  if (asked.empty()) co_return;
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, catalog_, &catalog::v1::Catalog::BatchGetProducts, context,
                                   request, ask.config->catalog_timeout);
  co_await call->Wait();
  if (call->answer().ok()) {
    answer.products = *std::move(call->answer());
    for (const Product& product : answer.products.products())
      answer.by_id.emplace(product.product_id(), &product);
    co_return;
  }
  Degrade(answer.degraded, "catalog");
  for (const std::string& id : request.product_ids()) {
    if (auto product = products_.Get(id)) {
      answer.remembered.push_back(std::move(product));
      answer.by_id.emplace(answer.remembered.back()->product_id(), answer.remembered.back().get());
    }
  }
}

v1::RecommendResponse RecommendationService::Write(const Ask& ask, Answer& answer) {
  std::vector<Candidate> candidates;
  std::vector<const ScoredProduct*> scored;
  const auto add = [&](const std::string& id, const ScoredProduct* from) {
    const auto at = answer.by_id.find(id);
    if (at == answer.by_id.end() || !CanBeBought(*at->second)) return;
    candidates.push_back({at->second, from == nullptr});
    scored.push_back(from);
  };
  std::unordered_set<std::string_view> pinned;
  if (ask.placement == Placement::kHome) {
    for (const std::string& id : ask.config->pinned) {
      if (!answer.excluded.contains(id) && pinned.insert(id).second) add(id, nullptr);
    }
  }
  for (const ScoredProduct& product : answer.ranked) {
    if (!pinned.contains(product.product_id())) add(product.product_id(), &product);
  }
  // What the user did with a product, the deed that says most.
  std::unordered_map<std::string_view, std::string_view> deeds;
  for (const auto& interaction : answer.history.interactions()) {
    const auto [at, is_new] = deeds.try_emplace(interaction.product_id(), interaction.type());
    if (!is_new && WeightOf(interaction.type(), *ask.config) > WeightOf(at->second, *ask.config))
      at->second = interaction.type();
  }
  v1::RecommendResponse response;
  response.set_recommendation_id(NewId());
  for (const size_t i : Choose(candidates, ask.limit, ask.config->max_category_share)) {
    v1::RecommendedItem& item = *response.add_items();
    *item.mutable_product() = *candidates[i].product;
    if (scored[i] == nullptr) {
      item.set_reason("chosen by the shop");
      continue;
    }
    item.set_score(scored[i]->score());
    const std::string& because = scored[i]->because_product_id();
    const auto known = answer.by_id.find(because);
    const auto deed = deeds.find(because);
    item.set_reason(
        Reason(scored[i]->source(), deed == deeds.end() ? std::string_view() : deed->second,
               known == answer.by_id.end() ? "" : known->second->title(), ask.placement));
  }
  for (const v1::RecommendedItem& item : response.items()) Remember(item.product());
  if (!answer.model.name().empty()) *response.mutable_model() = std::move(answer.model);
  for (std::string& part : answer.degraded) response.add_degraded(std::move(part));
  return response;
}

void RecommendationService::Remember(const Product& product) {
  const std::shared_ptr<const Product> known = products_.Get(product.product_id());
  if (known == nullptr || known->etag() != product.etag())
    products_.Put(product.product_id(), std::make_shared<const Product>(product));
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

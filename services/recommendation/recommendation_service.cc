#include "services/recommendation/recommendation_service.h"

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <google/protobuf/field_mask.pb.h>

#include <algorithm>
#include <deque>

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
constexpr size_t kKnownProducts = 16'384;
constexpr size_t kImpressionUsers = 20'000;
constexpr size_t kServedQueue = 20'000;
constexpr int kPopular = 200;
constexpr Duration kPopularAge = std::chrono::seconds(10);

// What is shown of a recommended product, and what the rules ask for.
const google::protobuf::FieldMask& CardMask() {
  static const auto* const kMask = [] {
    auto* mask = new google::protobuf::FieldMask;
    for (const char* field :
         {"title", "categories", "price", "image_url", "availability", "brand", "etag"})
      mask->add_paths(field);
    return mask;
  }();
  return *kMask;
}

const google::protobuf::FieldMask& TitleMask() {
  static const auto* const kMask = [] {
    auto* mask = new google::protobuf::FieldMask;
    mask->add_paths("title");
    return mask;
  }();
  return *kMask;
}

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

  // So that an answer is full whatever the rules leave out.
  size_t wanted() const { return limit + limit / 2; }
};

struct RecommendationService::Answer {
  // Only what was done after this is in `history`, in unix seconds, since the model knows the rest.
  std::optional<int64_t> after;
  profile::v1::GetHistoryResponse history;
  std::vector<std::string> seen_too_often;
  absl::flat_hash_set<std::string_view> excluded;  // of config, ask, history and seen_too_often
  std::shared_ptr<const Ranked> ranked;            // nullptr: nothing was ranked
  std::deque<ScoredProduct> popular;               // behind those
  std::vector<const ScoredProduct*> candidates;    // best first
  // What catalog gave, and where else known products came from.
  struct Known {
    const Product* product = nullptr;
    Product* own = nullptr;  // the same, when it may be moved from
  };
  std::deque<catalog::v1::BatchGetProductsResponse> products;
  std::vector<std::shared_ptr<const Product>> remembered;
  absl::flat_hash_map<std::string_view, Known> by_id;
  // What is shown: nullptr for what the shop has pinned.
  std::vector<std::pair<std::string_view, const ScoredProduct*>> chosen;
  bool model_ranked = false;
  std::vector<std::string> degraded;

  bool IsKnown(std::string_view id) const { return by_id.contains(id); }
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
  if (ask.placement == Placement::kHome && !ask.user_id.empty()) {
    const std::shared_ptr<const Ranked> last = last_good_.Get(ask.user_id);
    if (last != nullptr && last->knows_user()) answer.after = last->data_until();
  }
  co_await ReadHistory(context, ask, answer);
  co_await Rank(context, ask, answer);
  const auto fits = [&] {
    return answer.model_ranked && answer.ranked->knows_user() &&
           answer.ranked->data_until() == *answer.after &&
           answer.candidates.size() >= ask.wanted();
  };
  if (answer.after.has_value() && !fits()) {
    answer.after.reset();
    co_await ReadHistory(context, ask, answer);
    if (answer.model_ranked) co_await Rank(context, ask, answer);
  }
  co_await AddPopular(context, ask, answer);
  co_await ChooseItems(context, ask, answer);
  if (ask.placement == Placement::kProduct && answer.remembered.empty() &&
      !answer.IsKnown(ask.seeds.front())) {
    co_return NotFound("product '{}' is not in the catalogue", ask.seeds.front());
  }
  v1::RecommendResponse response = Write(ask, answer);
  Tell(context, ask, response);
  co_return response;
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
  *served.mutable_degraded() = response.degraded();
  const int64_t now = environment_.clock().Now().time_since_epoch().count();
  served.mutable_served_at()->set_seconds(now / 1'000'000'000);
  served.mutable_served_at()->set_nanos(static_cast<int32_t>(now % 1'000'000'000));
  served_.Add(std::move(served), context.trace);
}

Task<void> RecommendationService::ReadHistory(CallContext& context, const Ask& ask,
                                              Answer& answer) {
  answer.excluded.clear();
  answer.excluded.insert(ask.config->blocked.begin(), ask.config->blocked.end());
  answer.excluded.insert(ask.seeds.begin(), ask.seeds.end());
  if (ask.user_id.empty()) co_return;
  // Elsewhere the history only says what was bought.
  if (ask.placement == Placement::kHome || !ask.config->allow_repeats) {
    profile::v1::GetHistoryRequest request;
    request.set_user_id(ask.user_id);
    request.set_limit(kHistory);
    if (answer.after.has_value()) request.mutable_after()->set_seconds(*answer.after);
    const Executor here = co_await CurrentExecutor();
    const auto call =
        rpc::StartCall(here, profile_, &profile::v1::Profile::GetHistory, context,
                       std::move(request), ask.config->profile_timeout);
    co_await call->Wait();
    if (call->answer().ok()) {
      answer.history = *std::move(call->answer());
    } else {
      Degrade(answer.degraded, "profile");
    }
  }
  if (!ask.config->allow_repeats) {
    for (const auto& interaction : answer.history.interactions()) {
      if (interaction.type() == "purchase") answer.excluded.insert(interaction.product_id());
    }
  }
  if (ask.config->max_impressions > 0 && ask.placement == Placement::kHome) {
    answer.seen_too_often = impressions_.SeenTooOften(ask.user_id, ask.config->max_impressions);
    answer.excluded.insert(answer.seen_too_often.begin(), answer.seen_too_often.end());
  }
}

Task<void> RecommendationService::Rank(CallContext& context, const Ask& ask, Answer& answer) {
  inference::v1::RecommendRequest request;
  if (ask.placement == Placement::kHome) {
    request.set_user_id(ask.user_id);
    AddSignals(answer.history, *ask.config, *request.mutable_signals());
  } else {
    for (const std::string& seed : ask.seeds) {
      auto& signal = *request.add_signals();
      signal.set_product_id(seed);
      signal.set_weight(1);
    }
  }
  request.set_limit(static_cast<int>(ask.limit * 2 + 10));
  request.set_allow_repeats(ask.config->allow_repeats);
  for (const std::string_view id : answer.excluded) request.add_excluded_ids(std::string(id));
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, inference_, &inference::v1::Inference::Recommend, context,
                                   std::move(request), ask.config->inference_timeout);
  co_await call->Wait();
  // Only the home page has a last good answer: what goes with a product is asked anew.
  const bool keeps = ask.placement == Placement::kHome && !ask.user_id.empty();
  answer.model_ranked = call->answer().ok();
  if (answer.model_ranked) {
    answer.ranked = std::make_shared<const Ranked>(*std::move(call->answer()));
    if (keeps) last_good_.Put(ask.user_id, answer.ranked);
  } else {
    Degrade(answer.degraded, "inference");
    answer.ranked = keeps ? last_good_.Get(ask.user_id) : nullptr;
  }
  answer.candidates.clear();
  if (answer.ranked == nullptr) co_return;
  answer.candidates.reserve(static_cast<size_t>(answer.ranked->products_size()));
  for (const ScoredProduct& product : answer.ranked->products())
    answer.candidates.push_back(&product);
}

// So that an answer is full: a new shop's model may know few products.
Task<void> RecommendationService::AddPopular(CallContext& context, const Ask& ask, Answer& answer) {
  if (!answer.model_ranked) {
    std::erase_if(answer.candidates, [&](const ScoredProduct* product) {
      return answer.excluded.contains(product->product_id());
    });
  }
  if (answer.candidates.size() >= ask.wanted()) co_return;
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
      if (!read->product_ids.empty()) popular_.store(read);  // a new shop has some any moment
    } else {
      Degrade(answer.degraded, "features");
    }
  }
  absl::flat_hash_set<std::string_view> known;
  for (const ScoredProduct* product : answer.candidates) known.insert(product->product_id());
  for (const std::string& id : popular->product_ids) {
    if (answer.candidates.size() >= ask.wanted()) break;
    if (answer.excluded.contains(id) || !known.insert(id).second) continue;
    ScoredProduct& product = answer.popular.emplace_back();
    product.set_product_id(id);
    product.set_source(inference::v1::SOURCE_POPULAR);
    answer.candidates.push_back(&product);
  }
}

Task<void> RecommendationService::ReadProducts(CallContext& context, const Ask& ask, Answer& answer,
                                               std::vector<std::string_view> ids,
                                               const ProductMask& mask) {
  catalog::v1::BatchGetProductsRequest request;
  absl::flat_hash_set<std::string_view> asked;
  for (const std::string_view id : ids) {
    if (!id.empty() && !answer.IsKnown(id) && asked.insert(id).second)
      request.add_product_ids(std::string(id));
  }
  if (asked.empty()) co_return;
  *request.mutable_read_mask() = mask;
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, catalog_, &catalog::v1::Catalog::BatchGetProducts, context,
                                   std::move(request), ask.config->catalog_timeout);
  co_await call->Wait();
  if (call->answer().ok()) {
    auto& products = *answer.products.emplace_back(*std::move(call->answer())).mutable_products();
    for (Product& product : products)
      answer.by_id.try_emplace(product.product_id(), Answer::Known{&product, &product});
    co_return;
  }
  Degrade(answer.degraded, "catalog");
  for (const std::string_view id : asked) {
    if (auto product = products_.Find(id)) {
      answer.remembered.push_back(std::move(product));
      const Product* const known = answer.remembered.back().get();
      answer.by_id.try_emplace(known->product_id(), Answer::Known{known, nullptr});
    }
  }
}

Task<void> RecommendationService::ChooseItems(CallContext& context, const Ask& ask,
                                              Answer& answer) {
  std::vector<std::string_view> pinned;
  std::vector<std::string_view> ids(ask.seeds.begin(), ask.seeds.end());
  if (ask.placement == Placement::kHome) {
    for (const std::string& id : ask.config->pinned) {
      if (!answer.excluded.contains(id) && std::find(pinned.begin(), pinned.end(), id) == pinned.end())
        pinned.push_back(id);
    }
    ids.insert(ids.end(), pinned.begin(), pinned.end());
  }
  std::vector<Candidate> candidates;
  std::vector<std::pair<std::string_view, const ScoredProduct*>> entries;
  const auto add = [&](std::string_view id, const ScoredProduct* scored) {
    const auto at = answer.by_id.find(id);
    if (at == answer.by_id.end() || !CanBeBought(*at->second.product)) return;
    candidates.push_back({at->second.product, scored == nullptr});
    entries.emplace_back(id, scored);
  };
  // Mostly the first are enough, and each product costs.
  size_t next = 0;
  size_t end = std::min(answer.candidates.size(), ask.wanted());
  while (true) {
    for (size_t i = next; i < end; ++i) ids.push_back(answer.candidates[i]->product_id());
    co_await ReadProducts(context, ask, answer, std::move(ids), CardMask());
    ids.clear();
    if (next == 0) {
      for (const std::string_view id : pinned) add(id, nullptr);
    }
    for (size_t i = next; i < end; ++i) {
      const ScoredProduct& scored = *answer.candidates[i];
      if (std::find(pinned.begin(), pinned.end(), scored.product_id()) == pinned.end())
        add(scored.product_id(), &scored);
    }
    const Choice choice = Choose(candidates, ask.limit, ask.config->max_category_share);
    if (choice.settled || end == answer.candidates.size()) {
      for (const size_t i : choice.shown) answer.chosen.push_back(entries[i]);
      break;
    }
    next = end;
    end = answer.candidates.size();
  }
  for (const auto& [id, scored] : answer.chosen) {
    if (scored != nullptr) ids.push_back(scored->because_product_id());
  }
  co_await ReadProducts(context, ask, answer, std::move(ids), TitleMask());
}

v1::RecommendResponse RecommendationService::Write(const Ask& ask, Answer& answer) {
  // What the user did with a product, the deed that says most: the newest history, then the model.
  const auto deed = [&](const ScoredProduct& scored) {
    std::string_view most = scored.because_type();
    for (const auto& interaction : answer.history.interactions()) {
      if (interaction.product_id() == scored.because_product_id() &&
          (most.empty() ||
           WeightOf(interaction.type(), *ask.config) > WeightOf(most, *ask.config))) {
        most = interaction.type();
      }
    }
    return most;
  };
  v1::RecommendResponse response;
  response.set_recommendation_id(NewId());
  response.mutable_items()->Reserve(static_cast<int>(answer.chosen.size()));
  for (const auto& [id, scored] : answer.chosen) {
    v1::RecommendedItem& item = *response.add_items();
    if (scored == nullptr) {
      item.set_reason("chosen by the shop");
      continue;
    }
    item.set_score(scored->score());
    const auto because = answer.by_id.find(scored->because_product_id());
    const std::string_view title =
        because == answer.by_id.end() ? std::string_view() : because->second.product->title();
    item.set_reason(Reason(scored->source(), title.empty() ? std::string_view() : deed(*scored),
                           title, ask.placement));
  }
  // Last, since a title may be that of a product which is shown too.
  for (size_t i = 0; i < answer.chosen.size(); ++i) {
    const Answer::Known& known = answer.by_id.find(answer.chosen[i].first)->second;
    Product& product = *response.mutable_items(static_cast<int>(i))->mutable_product();
    products_.Keep(*known.product);
    if (known.own != nullptr) {
      product.Swap(known.own);
    } else {
      product = *known.product;
    }
  }
  if (answer.model_ranked) {
    response.mutable_model()->set_name(answer.ranked->model());
    response.mutable_model()->set_version(answer.ranked->version());
  }
  for (std::string& part : answer.degraded) response.add_degraded(std::move(part));
  return response;
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

#include "services/recommendation/recommendation_service.h"

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
constexpr Duration kLastGoodAge = std::chrono::seconds(1);

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

StatusOr<int> CheckLimit(int limit) {
  if (limit < 0 || limit > kMaxLimit)
    return InvalidField("limit", "{} is outside 0 to {}", limit, kMaxLimit);
  return limit == 0 ? kDefaultLimit : limit;
}

template <typename Range>
bool Contains(const Range& range, std::string_view value) {
  return std::find(range.begin(), range.end(), value) != range.end();
}

void Degrade(std::vector<std::string>& degraded, std::string_view part) {
  if (!Contains(degraded, part)) degraded.emplace_back(part);
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
  Ranked ranked;
  std::deque<ScoredProduct> popular;             // behind those
  std::vector<const ScoredProduct*> candidates;  // best first
  // What is shown, and the candidates that these are: nullptr for what the shop has pinned.
  struct Item {
    std::shared_ptr<const Product> card;
    const ScoredProduct* scored = nullptr;
  };
  std::vector<Item> items;
  Cards because;      // of each item, what counted most; nullptr when nothing or it is not known
  bool gone = false;  // the product that is looked at is not in the catalogue
  bool model_ranked = false;  // now, not for an earlier answer
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
  co_await AddPopular(context, ask, answer);
  co_await ChooseItems(context, ask, answer);
  if (answer.gone) {
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
    const auto call = rpc::StartCall(here, profile_, &profile::v1::Profile::GetHistory, context,
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
  request.set_limit(static_cast<int>(ask.limit * 2));
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
    answer.ranked = *std::move(call->answer());
    const Instant now = std::chrono::steady_clock::now();
    const auto is_news = [&](const LastGood* last) {
      return last == nullptr || now - last->at > kLastGoodAge ||
             last->knows_user != answer.ranked.knows_user() ||
             last->data_until != answer.ranked.data_until();
    };
    if (keeps && is_news(last_good_.Get(ask.user_id).get())) {
      last_good_.Put(ask.user_id, std::make_shared<const LastGood>(
                                      LastGood{.at = now,
                                               .knows_user = answer.ranked.knows_user(),
                                               .data_until = answer.ranked.data_until(),
                                               .ranked = answer.ranked.SerializeAsString()}));
    }
  } else {
    Degrade(answer.degraded, "inference");
    answer.ranked.Clear();
    const std::shared_ptr<const LastGood> last = keeps ? last_good_.Get(ask.user_id) : nullptr;
    if (last != nullptr) answer.ranked.ParseFromString(last->ranked);
  }
  answer.candidates.clear();
  answer.candidates.reserve(static_cast<size_t>(answer.ranked.products_size()));
  for (const ScoredProduct& product : answer.ranked.products())
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
    auto read = std::make_shared<Popular>();
    co_await ReadPopular(context, ask, answer, *read);
    if (read->source == inference::v1::SOURCE_POPULAR && !read->product_ids.empty())
      popular_.store(read);  // what is popular in a new shop may be known any moment
    if (!read->product_ids.empty()) popular = read;
  }
  absl::flat_hash_set<std::string_view> known;
  for (const ScoredProduct* product : answer.candidates) known.insert(product->product_id());
  for (const std::string& id : popular->product_ids) {
    if (answer.candidates.size() >= ask.wanted()) break;
    if (answer.excluded.contains(id) || !known.insert(id).second) continue;
    ScoredProduct& product = answer.popular.emplace_back();
    product.set_product_id(id);
    product.set_source(popular->source);
    answer.candidates.push_back(&product);
  }
}

// Where nobody ever did anything, the catalogue's first products.
Task<void> RecommendationService::ReadPopular(CallContext& context, const Ask& ask, Answer& answer,
                                              Popular& popular) {
  const Executor here = co_await CurrentExecutor();
  popular.read_at = std::chrono::steady_clock::now();
  features::v1::ListPopularRequest request;
  request.set_limit(kPopular);
  const auto call = rpc::StartCall(here, features_, &features::v1::Features::ListPopular, context,
                                   request, ask.config->inference_timeout);
  co_await call->Wait();
  if (!call->answer().ok()) {
    Degrade(answer.degraded, "features");
    co_return;
  }
  for (const auto& product : call->answer()->products())
    popular.product_ids.push_back(product.product_id());
  if (!popular.product_ids.empty() || !answer.candidates.empty()) co_return;
  catalog::v1::ListProductsRequest first;
  first.set_page_size(kPopular);
  const auto list = rpc::StartCall(here, catalog_, &catalog::v1::Catalog::ListProducts, context,
                                   first, ask.config->catalog_timeout);
  co_await list->Wait();
  if (!list->answer().ok()) {
    Degrade(answer.degraded, "catalog");
    co_return;
  }
  popular.source = inference::v1::SOURCE_UNSPECIFIED;
  for (const auto& product : list->answer()->products())
    popular.product_ids.push_back(product.product_id());
}

Task<void> RecommendationService::ReadCards(CallContext& context, const Ask& ask, Answer& answer,
                                            std::span<const std::string_view> ids, Cards& cards) {
  cards.assign(ids.size(), nullptr);
  catalog::v1::BatchGetProductsRequest request;
  std::vector<size_t> missing;
  const Instant now = std::chrono::steady_clock::now();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i].empty()) continue;
    cards[i] = products_.Find(ids[i], ask.config->product_age, now);
    if (cards[i] != nullptr) continue;
    missing.push_back(i);
    request.add_product_ids(std::string(ids[i]));
  }
  if (missing.empty()) co_return;
  *request.mutable_read_mask() = CardMask();
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, catalog_, &catalog::v1::Catalog::BatchGetProducts, context,
                                   std::move(request), ask.config->catalog_timeout);
  co_await call->Wait();
  if (!call->answer().ok()) {
    Degrade(answer.degraded, "catalog");
    for (const size_t i : missing)
      cards[i] = products_.Find(ids[i], ProductMemory::kHoweverOld, now);
    co_return;
  }
  // They come in the order in which they were asked for.
  auto next = missing.begin();
  for (Product& product : *call->answer()->mutable_products()) {
    while (next != missing.end() && ids[*next] != product.product_id()) ++next;
    if (next == missing.end()) break;
    cards[*next++] = products_.Keep(std::move(product), now);
  }
}

Task<void> RecommendationService::ChooseItems(CallContext& context, const Ask& ask,
                                              Answer& answer) {
  std::vector<std::string_view> ids;
  if (ask.placement == Placement::kProduct) ids.push_back(ask.seeds.front());
  size_t looked_at = ids.size();
  if (ask.placement == Placement::kHome) {
    for (const std::string& id : ask.config->pinned) {
      if (!answer.excluded.contains(id) && !Contains(ids, id)) ids.push_back(id);
    }
  }
  const std::vector<std::string_view> pinned(ids.begin() + static_cast<ptrdiff_t>(looked_at),
                                             ids.end());
  std::vector<Candidate> candidates;
  std::vector<Answer::Item> items;
  const auto add = [&](std::shared_ptr<const Product>& card, const ScoredProduct* scored) {
    if (card == nullptr || !CanBeBought(*card)) return;
    candidates.push_back({card.get(), scored == nullptr});
    items.push_back({std::move(card), scored});
  };
  // Mostly the first are enough, and each product costs.
  Cards cards;
  std::vector<const ScoredProduct*> asked(ids.size(), nullptr);
  size_t next = 0;
  size_t end = std::min(answer.candidates.size(), ask.wanted());
  while (true) {
    for (; next < end; ++next) {
      const std::string& id = answer.candidates[next]->product_id();
      if (Contains(pinned, id)) continue;
      ids.push_back(id);
      asked.push_back(answer.candidates[next]);
    }
    co_await ReadCards(context, ask, answer, ids, cards);
    // Without catalog nobody knows.
    if (looked_at > 0) answer.gone = cards[0] == nullptr && !Contains(answer.degraded, "catalog");
    for (size_t i = looked_at; i < ids.size(); ++i) add(cards[i], asked[i]);
    Choice choice = Choose(candidates, ask.limit, ask.config->max_category_share);
    if (choice.settled || end == answer.candidates.size()) {
      for (const size_t i : choice.shown) answer.items.push_back(std::move(items[i]));
      break;
    }
    ids.clear();
    asked.clear();
    looked_at = 0;
    end = answer.candidates.size();
  }
  // Titles, for the reasons: they hardly change.
  ids.assign(answer.items.size(), {});
  const Instant now = std::chrono::steady_clock::now();
  answer.because.resize(answer.items.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    const ScoredProduct* const scored = answer.items[i].scored;
    if (scored == nullptr || scored->because_product_id().empty()) continue;
    answer.because[i] =
        products_.Find(scored->because_product_id(), ProductMemory::kHoweverOld, now);
    if (answer.because[i] == nullptr) ids[i] = scored->because_product_id();
  }
  co_await ReadCards(context, ask, answer, ids, cards);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (cards[i] != nullptr) answer.because[i] = std::move(cards[i]);
  }
}

v1::RecommendResponse RecommendationService::Write(const Ask& ask, Answer& answer) {
  // What the user did with a product, the deed that says most: the newest history, then the model.
  const auto deed_with = [&](const ScoredProduct& scored) {
    inference::v1::Deed most = scored.because_deed();
    for (const auto& interaction : answer.history.interactions()) {
      if (interaction.product_id() != scored.because_product_id()) continue;
      const inference::v1::Deed deed = DeedOf(interaction.type());
      if (WeightOf(deed, *ask.config) > WeightOf(most, *ask.config)) most = deed;
    }
    return most;
  };
  v1::RecommendResponse response;
  response.set_recommendation_id(NewId());
  response.mutable_items()->Reserve(static_cast<int>(answer.items.size()));
  for (size_t i = 0; i < answer.items.size(); ++i) {
    v1::RecommendedItem& item = *response.add_items();
    *item.mutable_product() = *answer.items[i].card;
    const ScoredProduct* const scored = answer.items[i].scored;
    if (scored == nullptr) {
      item.set_reason("chosen by the shop");
      continue;
    }
    item.set_score(scored->score());
    const Product* const because = answer.because[i].get();
    item.set_reason(Reason(
        scored->source(), because == nullptr ? inference::v1::DEED_UNSPECIFIED : deed_with(*scored),
        because == nullptr ? std::string_view() : because->title(), ask.placement));
  }
  if (answer.model_ranked) {
    response.mutable_model()->set_name(answer.ranked.model());
    response.mutable_model()->set_version(answer.ranked.version());
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

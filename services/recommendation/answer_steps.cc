// The steps from a question to an answer: history, ranking, what is popular, products, rules,
// words.
#include <google/protobuf/field_mask.pb.h>

#include <algorithm>

#include "platform/base/hash.h"
#include "platform/base/id.h"
#include "platform/rpc/pending_call.h"
#include "services/recommendation/answer.h"

namespace starling::recommendation {
namespace {

constexpr int kHistory = 500;  // all that profile has: what was bought is not offered again
constexpr int kPopular = 200;
constexpr Duration kPopularAge = std::chrono::seconds(10);
constexpr Duration kLastGoodAge = std::chrono::seconds(1);
// Of what the model holds, so much is read all the same: events may come late, from a phone without
// network, and what was bought then is not offered again.
constexpr int64_t kLate = 86'400;  // seconds

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

template <typename Range>
bool Contains(const Range& range, std::string_view value) {
  return std::find(range.begin(), range.end(), value) != range.end();
}

void Degrade(std::vector<std::string>& degraded, std::string_view part) {
  if (!Contains(degraded, part)) degraded.emplace_back(part);
}

// Whether the call gave something; also names the part when it is of another time, by a fallback of
// the method's policy.
template <typename Call>
bool Gave(Call& call, std::vector<std::string>& degraded, std::string_view part) {
  if (!call.answer().ok() || !call.degraded().empty()) Degrade(degraded, part);
  return call.answer().ok();
}

}  // namespace

bool RecommendationService::Ask::in_experiment() const {
  const Experiment& experiment = config->experiment;
  if (experiment.version.empty() || user_id.empty()) return false;
  constexpr double kAll = 1'000'000;
  const uint64_t drawn = Hash64(user_id, Hash64(experiment.name)) % static_cast<uint64_t>(kAll);
  return static_cast<double>(drawn) < experiment.share * kAll;
}

Task<void> RecommendationService::ReadHistory(CallContext& context, const Ask& ask,
                                              Answer& answer) {
  answer.excluded.clear();
  answer.excluded.insert(ask.config->blocked.begin(), ask.config->blocked.end());
  answer.excluded.insert(ask.seeds.begin(), ask.seeds.end());
  if (ask.user_id.empty()) co_return;
  // Elsewhere the history only says what was bought.
  if (ask.placement == Placement::kHome || !ask.repeats()) {
    profile::v1::GetHistoryRequest request;
    request.set_user_id(ask.user_id);
    request.set_limit(kHistory);
    if (answer.after.has_value()) request.mutable_after()->set_seconds(*answer.after - kLate);
    const Executor here = co_await CurrentExecutor();
    const auto call = rpc::StartCall(here, profile_, &profile::v1::Profile::GetHistory, context,
                                     std::move(request), ask.config->profile_timeout);
    co_await call->Wait();
    if (Gave(*call, answer.degraded, "profile")) answer.history = *std::move(call->answer());
  }
  if (!ask.repeats()) {
    for (const auto& interaction : answer.history.interactions()) {
      if (interaction.type() == "purchase") answer.excluded.insert(interaction.product_id());
    }
  }
  if (ask.config->max_impressions > 0 && ask.placement == Placement::kHome) {
    answer.seen_too_often = impressions_.SeenTooOften(ask.user_id, ask.config->max_impressions);
    if (!answer.shows_seen)
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
  request.set_allow_repeats(ask.repeats());
  for (const std::string_view id : answer.excluded) request.add_excluded_ids(std::string(id));
  const Executor here = co_await CurrentExecutor();
  const auto start = [&](inference::v1::RecommendRequest question) {
    return rpc::StartCall(here, inference_, &inference::v1::Inference::Recommend, context,
                          std::move(question), ask.config->inference_timeout);
  };
  std::optional<inference::v1::RecommendRequest> as_everybody;
  if (ask.in_experiment()) {
    as_everybody = request;
    request.set_version(ask.config->experiment.version);
  }
  auto call = start(std::move(request));
  co_await call->Wait();
  if (as_everybody.has_value() && !call->answer().ok()) {
    Degrade(answer.degraded, "experiment");
    call = start(*std::move(as_everybody));
    co_await call->Wait();
  }
  // Only the home page has a last good answer: what goes with a product is asked anew.
  const bool keeps = ask.placement == Placement::kHome && !ask.user_id.empty();
  // What the policy's fallback gives is no answer of now, and not kept.
  answer.model_ranked = Gave(*call, answer.degraded, "inference") && call->degraded().empty();
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
    answer.ranked.Clear();
    const std::shared_ptr<const LastGood> last = keeps ? last_good_.Get(ask.user_id) : nullptr;
    if (call->answer().ok()) answer.ranked = *std::move(call->answer());
    if (last != nullptr) answer.ranked.ParseFromString(last->ranked);
  }
  answer.candidates.clear();
  answer.candidates.reserve(static_cast<size_t>(answer.ranked.products_size()));
  for (const ScoredProduct& product : answer.ranked.products())
    answer.candidates.push_back(&product);
}

// The model's answer ends with what it knows nothing of but that it is popular. Scores stay in the
// order of the answer: those found here lie above the lower half of the last that goes with the
// product, the popular ones in it.
Task<void> RecommendationService::AddNearest(CallContext& context, const Ask& ask, Answer& answer) {
  if (!answer.model_ranked) co_return;
  auto& ranked = *answer.ranked.mutable_products();
  int spoken = ranked.size();
  while (spoken > 0 && ranked[spoken - 1].source() == inference::v1::SOURCE_POPULAR) --spoken;
  const int wanted = static_cast<int>(ask.limit * 2);
  if (static_cast<size_t>(spoken) >= ask.wanted()) co_return;
  inference::v1::ListNearestRequest request;
  request.set_product_id(ask.seeds.front());
  request.set_version(answer.ranked.version());
  request.set_limit(wanted - spoken);
  for (const std::string_view id : answer.excluded) request.add_excluded_ids(std::string(id));
  for (int i = 0; i < spoken; ++i) request.add_excluded_ids(ranked[i].product_id());
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, inference_, &inference::v1::Inference::ListNearest,
                                   context, std::move(request), ask.config->inference_timeout);
  co_await call->Wait();
  if (!Gave(*call, answer.degraded, "vectors")) co_return;
  answer.nearest = *std::move(call->answer());
  if (!answer.nearest.error().empty()) Degrade(answer.degraded, "vectors");
  auto& nearest = *answer.nearest.mutable_products();
  if (nearest.empty()) co_return;
  const float last = spoken == 0 ? 1 : ranked[spoken - 1].score();
  const float best = nearest[0].score();
  absl::flat_hash_set<std::string_view> found;
  answer.candidates.resize(static_cast<size_t>(spoken));
  for (ScoredProduct& product : nearest) {
    product.set_score(last * 0.999F * (0.5F + 0.5F * product.score() / best));
    found.insert(product.product_id());
    answer.candidates.push_back(&product);
  }
  for (int i = spoken; i < ranked.size(); ++i) {
    if (found.contains(ranked[i].product_id())) continue;
    ranked[i].set_score(0.499F * ranked[i].score());
    answer.candidates.push_back(&ranked[i]);
  }
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
  if (!Gave(*call, answer.degraded, "features")) co_return;
  for (const auto& product : call->answer()->products())
    popular.product_ids.push_back(product.product_id());
  if (!popular.product_ids.empty() || !answer.candidates.empty()) co_return;
  catalog::v1::ListProductsRequest first;
  first.set_page_size(kPopular);
  const auto list = rpc::StartCall(here, catalog_, &catalog::v1::Catalog::ListProducts, context,
                                   first, ask.config->catalog_timeout);
  co_await list->Wait();
  if (!Gave(*list, answer.degraded, "catalog")) co_return;
  popular.source = inference::v1::SOURCE_UNSPECIFIED;
  for (const Product& product : list->answer()->products()) {
    if (CanBeBought(product)) popular.product_ids.push_back(product.product_id());
  }
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
  if (!Gave(*call, answer.degraded, "catalog")) {
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
      if (!Contains(ask.config->blocked, id) && !Contains(ids, id)) ids.push_back(id);
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
  if (answer.shows_seen) {
    std::stable_partition(answer.items.begin(), answer.items.end(), [&](const Answer::Item& item) {
      return !Contains(answer.seen_too_often, item.card->product_id());
    });
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
    InteractionType most = scored.because_type();
    for (const auto& interaction : answer.history.interactions()) {
      if (interaction.product_id() != scored.because_product_id()) continue;
      const InteractionType deed = TypeOf(interaction.type());
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
    item.set_reason(
        Reason(scored->source(),
               because == nullptr ? features::v1::INTERACTION_TYPE_UNSPECIFIED : deed_with(*scored),
               because == nullptr ? std::string_view() : because->title(), ask.placement));
  }
  if (answer.model_ranked) {
    response.mutable_model()->set_name(answer.ranked.model());
    response.mutable_model()->set_version(answer.ranked.version());
  }
  if (!ask.config->experiment.version.empty() && !ask.user_id.empty()) {
    response.mutable_experiment()->set_name(ask.config->experiment.name);
    response.mutable_experiment()->set_variant(
        ask.in_experiment() && !Contains(answer.degraded, "experiment") ? "treatment" : "control");
  }
  for (std::string& part : answer.degraded) response.add_degraded(std::move(part));
  return response;
}

}  // namespace starling::recommendation

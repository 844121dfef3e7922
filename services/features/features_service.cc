#include "services/features/features_service.h"

#include <utility>

#include "platform/async/runtime.h"
#include "platform/telemetry/log.h"
#include "services/features/affinity_reader.h"
#include "services/features/feature_reader.h"
#include "services/features/interaction_export.h"
#include "services/features/user_events.h"

namespace starling::features {
namespace {

constexpr char kName[] = "features";
constexpr char kTopic[] = "user-events";
constexpr int kDefaultPopular = 100;
constexpr Duration kStartWaits = std::chrono::seconds(1);
// An event adds an interaction and may push out another.
constexpr size_t kMaxBatch = 4'096;
static_assert(2 * kMaxBatch <= InteractionStore::kMaxChanges);

int64_t Seconds(Duration duration) { return duration / std::chrono::seconds(1); }

InteractionTable::Bounds BoundsOf(const FeaturesConfig& config) {
  return {static_cast<uint32_t>(config.max_interactions_per_user),
          static_cast<uint32_t>(config.max_impressions_per_user), Seconds(config.half_life)};
}

}  // namespace

StatusOr<std::shared_ptr<FeaturesService>> FeaturesService::Create(host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(auto store, InteractionStore::Open(environment));
  STARLING_ASSIGN_OR_RETURN(auto products, ProductStore::Open(environment));
  const auto config = environment.Config<FeaturesConfig>().Get();
  return std::make_shared<FeaturesService>(std::move(store), std::move(products), *config,
                                           environment);
}

FeaturesService::FeaturesService(std::unique_ptr<InteractionStore> store,
                                 std::unique_ptr<ProductStore> products,
                                 const FeaturesConfig& config, host::Environment& environment)
    : environment_(environment),
      store_(std::move(store)),
      table_(BoundsOf(config)),
      products_(std::move(products), environment),
      popular_(table_, Seconds(config.half_life), environment.runtime().blocking(),
               environment.clock()) {}

Status FeaturesService::Start() {
  catalog_ = environment_.Find<catalog::v1::Catalog>();
  started_ = true;
  Spawn(environment_.runtime().NextExecutor(), LoadAndSubscribe());
  if (load_result_.wait_for(kStartWaits) == std::future_status::ready) return load_result_.get();
  log::Info(kName, "interactions are still being loaded; calls are answered once they are");
  return OkStatus();
}

void FeaturesService::Stop() {
  stopping_ = true;
  if (started_) load_result_.wait();
  products_.Stop();
  subscription_.reset();
}

Status FeaturesService::Health() const {
  STARLING_RETURN_IF_ERROR(Loaded());
  if (caught_up_) return OkStatus();
  return WithRetryAfter(Unavailable("what happened before this start is still being read"),
                        std::chrono::seconds(1));
}

Status FeaturesService::Loaded() const {
  if (loaded_) return OkStatus();
  if (load_result_.wait_for(std::chrono::seconds(0)) == std::future_status::ready)
    return load_result_.get();
  return WithRetryAfter(Unavailable("the interactions are being loaded; try again"),
                        std::chrono::seconds(1));
}

Task<void> FeaturesService::LoadAndSubscribe() {
  const auto ended = load_;  // once it is told, the service may be gone
  const Status status = co_await Load();
  if (!status.ok() && !stopping_) {
    log::Error(kName, "what is stored cannot be loaded; no call is answered").With(status);
  }
  loaded_ = status.ok();
  if (status.ok()) {
    Status caught_up;
    if (environment_.events().FeedsViews()) caught_up = co_await catch_up_->Wait(pool(), stopping_);
    caught_up_ = caught_up.ok();
  }
  ended->set_value(status);
}

Task<Status> FeaturesService::Load() {
  CO_RETURN_IF_ERROR(co_await store_->Load(table_, stopping_));
  CO_RETURN_IF_ERROR(co_await products_.Load(stopping_));
  products_.Start(catalog_);
  co_return co_await pool().Run([this]() -> Status {
    popular_.Refresh();
    STARLING_ASSIGN_OR_RETURN(const std::string group, environment_.OwnGroup(kName));
    catch_up_.emplace(environment_.events(), kTopic, group);
    STARLING_ASSIGN_OR_RETURN(
        subscription_,
        environment_.events().Subscribe(
            kTopic, group, {.max_batch = kMaxBatch},
            [this](std::span<const messaging::Delivered> events) { return Consume(events); }));
    return OkStatus();
  });
}

Task<Status> FeaturesService::Consume(std::span<const messaging::Delivered> events) {
  CO_RETURN_IF_ERROR(co_await Store(events));
  catch_up_->Count(events.size());
  co_return OkStatus();
}

Task<Status> FeaturesService::Store(std::span<const messaging::Delivered> events) {
  std::optional<InteractionTable::Change> change;
  kv::Batch batch;
  CO_RETURN_IF_ERROR(co_await pool().Run([&]() -> Status {
    STARLING_ASSIGN_OR_RETURN(const UserEvents user_events, UserEvents::From(events));
    change = table_.Plan(user_events.incoming(), InteractionTable::kNew);
    batch = InteractionStore::BatchOf(table_, *change);
    return OkStatus();
  }));
  if (change->empty()) co_return OkStatus();
  // Durable first: what readers have seen, and what the group's place is beyond, survives a crash.
  CO_RETURN_IF_ERROR(co_await store_->Apply(batch));
  co_return co_await pool().Run([&]() -> Status {
    table_.Publish(*std::move(change));
    return OkStatus();
  });
}

Task<StatusOr<v1::ListFeaturesResponse>> FeaturesService::ListFeatures(
    CallContext&, const v1::ListFeaturesRequest&) {
  v1::ListFeaturesResponse response;
  for (const FeatureDefinition& definition : FeatureDefinitions()) {
    v1::Feature& feature = *response.add_features();
    feature.set_name(definition.name);
    feature.set_entity(definition.entity == FeatureDefinition::kUser ? v1::ENTITY_USER
                                                                     : v1::ENTITY_PRODUCT);
    feature.set_description(definition.description);
  }
  co_return response;
}

Task<StatusOr<v1::ReadFeaturesResponse>> FeaturesService::ReadFeatures(
    CallContext& context, const v1::ReadFeaturesRequest& request) {
  CO_RETURN_IF_ERROR(Loaded());
  CO_ASSIGN_OR_RETURN(const FeatureQuery query,
                      FeatureQuery::From(request, environment_.clock().Now()));
  const std::shared_ptr<const ProductTable> products = products_.table();
  co_return co_await ReadFeaturesFrom(table_, *products, pool(), context, request, query);
}

Task<StatusOr<v1::ReadAffinitiesResponse>> FeaturesService::ReadAffinities(
    CallContext& context, const v1::ReadAffinitiesRequest& request) {
  CO_RETURN_IF_ERROR(Loaded());
  const std::shared_ptr<const ProductTable> products = products_.table();
  const TimePoint now = environment_.clock().Now();
  co_return co_await ReadAffinitiesFrom(table_, *products, pool(), context, request, now);
}

Task<StatusOr<v1::ListPopularResponse>> FeaturesService::ListPopular(
    CallContext&, const v1::ListPopularRequest& request) {
  CO_RETURN_IF_ERROR(Loaded());
  if (request.limit() < 0 || request.limit() > PopularProducts::kMost) {
    co_return InvalidField("limit", "{} is outside 0 to {}", request.limit(),
                           PopularProducts::kMost);
  }
  const auto popular = co_await popular_.Get();
  const int limit =
      std::min(request.limit() == 0 ? kDefaultPopular : request.limit(), popular->products_size());
  v1::ListPopularResponse response;
  response.mutable_products()->Reserve(limit);
  for (int i = 0; i < limit; ++i) {
    v1::PopularProduct& product = *response.add_products();
    product.set_product_id(popular->products(i).product_id());
    product.set_score(popular->products(i).score());
  }
  co_return response;
}

Task<Status> FeaturesService::ExportInteractions(CallContext& context,
                                                 const v1::ExportInteractionsRequest&,
                                                 rpc::Stream<v1::UserInteractions>& out) {
  CO_RETURN_IF_ERROR(Loaded());
  co_return co_await ExportTo(table_, pool(), context, out);
}

Task<StatusOr<v1::Statistics>> FeaturesService::GetStatistics(CallContext&,
                                                              const v1::GetStatisticsRequest&) {
  CO_RETURN_IF_ERROR(Loaded());
  const InteractionTable::Statistics counted = table_.Count();
  v1::Statistics statistics;
  statistics.set_interactions(counted.interactions);
  statistics.set_users(counted.users);
  statistics.set_products(counted.products);
  if (counted.interactions > 0) {
    statistics.mutable_oldest()->set_seconds(counted.oldest);
    statistics.mutable_newest()->set_seconds(counted.newest);
  }
  co_return statistics;
}

}  // namespace starling::features

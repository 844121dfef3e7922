#include "services/inference/nearest_products.h"

#include <algorithm>
#include <charconv>

#include "platform/rpc/pending_call.h"
#include "platform/telemetry/log.h"
#include "services/inference/vector_index.h"

namespace starling::inference {
namespace {

constexpr size_t kStay = 3;
constexpr Duration kQuiet = std::chrono::seconds(1);
constexpr int kDefaultLimit = 10;
constexpr int kMaxLimit = 500;
constexpr int kMaxExcluded = vector::kMaxExcluded - 1;  // beside the product itself

int64_t NowNanos() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

std::string CollectionOf(const LoadedModel& model) {
  return fmt::format("{}-{}", model.version.version(),
                     model.version.artifact_sha256().substr(0, 16));
}

// Versions are numbers; others are the oldest.
uint64_t NumberOf(std::string_view collection) {
  uint64_t number = 0;
  std::from_chars(collection.data(), collection.data() + collection.size(), number);
  return number;
}

bool IsZero(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return value == 0; });
}

}  // namespace

Status CheckRequest(const v1::ListNearestRequest& request) {
  if (request.limit() < 0 || request.limit() > kMaxLimit) {
    return InvalidField("limit", "{} is outside 0 to {}", request.limit(), kMaxLimit);
  }
  if (request.excluded_ids_size() > kMaxExcluded) {
    return InvalidField("excluded_ids", "has {} entries; at most {} are taken",
                        request.excluded_ids_size(), kMaxExcluded);
  }
  return OkStatus();
}

StatusOr<std::shared_ptr<NearestProducts>> NearestProducts::Create(host::Environment& environment) {
  auto made = std::make_shared<NearestProducts>(environment);
  const Status opened = made->Open();
  if (opened.ok()) return made;
  if (opened.code() != StatusCode::kUnavailable) return opened;
  log::Warning("inference", "the vectors of products cannot be reached; answers do without them")
      .With(opened);
  return made;
}

NearestProducts::NearestProducts(host::Environment& environment)
    : environment_(environment), config_(environment.Config<InferenceConfig>()) {}

NearestProducts::Store NearestProducts::store() const {
  const std::lock_guard lock(mutex_);
  return store_;
}

Status NearestProducts::Open() {
  STARLING_ASSIGN_OR_RETURN(Store opened,
                            environment_.OpenVectors("inference", "nearest", MakeVectorIndex()));
  const std::lock_guard lock(mutex_);
  store_ = std::move(opened);
  return OkStatus();
}

Task<Status> NearestProducts::Keep(std::vector<Model> models) {
  std::erase_if(models,
                [](const Model& model) { return model->recommender.vector_dimension() == 0; });
  std::set<std::string> needed;
  for (const Model& model : models) needed.insert(CollectionOf(*model));
  {
    const std::lock_guard lock(mutex_);
    if (kept_ == needed) co_return OkStatus();
  }
  if (this->store() == nullptr) {
    const Status opened = co_await environment_.runtime().blocking().Run([&] { return Open(); });
    if (!opened.ok()) co_return opened;
  }
  const Store store = this->store();
  for (const Model& model : models) {
    const std::string collection = CollectionOf(*model);
    const StatusOr<vector::About> there = co_await store->Describe(collection);
    Status kept = there.status();
    if (kept.code() == StatusCode::kNotFound) kept = co_await Write(store, *model, collection);
    if (!kept.ok()) co_return kept;
  }
  const Status dropped = co_await DropOld(store, needed);
  if (!dropped.ok()) co_return dropped;
  quiet_until_ = 0;
  const std::lock_guard lock(mutex_);
  kept_ = std::move(needed);
  co_return OkStatus();
}

Task<Status> NearestProducts::Write(const Store& store, const LoadedModel& model,
                                    const std::string& collection) {
  const learning::Recommender& recommender = model.recommender;
  // A large catalogue takes milliseconds to copy: not on an io thread.
  StatusOr<vector::Batch> batch =
      co_await environment_.runtime().blocking().Run([&recommender]() -> StatusOr<vector::Batch> {
        vector::Batch made(recommender.vector_dimension());
        for (uint32_t item = 0; item < recommender.items(); ++item) {
          const std::span<const float> values = recommender.VectorOf(item);
          if (!IsZero(values)) made.Add(recommender.ItemId(item), values);
        }
        return made;
      });
  if (!batch.ok()) co_return batch.status();
  const size_t count = batch->size();
  const vector::Shape shape{.dimension = recommender.vector_dimension(),
                            .metric = vector::Metric::kInnerProduct};
  Status written = co_await store->Replace(collection, shape, *std::move(batch));
  if (written.ok())
    log::Info("inference", "{} vectors of version {} are kept", count, model.version.version());
  co_return written;
}

Task<Status> NearestProducts::DropOld(const Store& store, const std::set<std::string>& needed) {
  StatusOr<std::vector<std::string>> names = co_await store->List();
  if (!names.ok()) co_return names.status();
  std::sort(names->begin(), names->end(), [](const std::string& a, const std::string& b) {
    return NumberOf(a) != NumberOf(b) ? NumberOf(a) > NumberOf(b) : a < b;
  });
  for (size_t i = kStay; i < names->size(); ++i) {
    const std::string& name = (*names)[i];
    if (needed.contains(name)) continue;
    const Status dropped = co_await store->Drop(name);
    if (!dropped.ok()) co_return dropped;
  }
  co_return OkStatus();
}

Task<StatusOr<std::vector<vector::Hit>>> NearestProducts::Ask(rpc::CallContext&,
                                                              const Asked& asked) {
  const Store store = this->store();
  const vector::Query query{.values = asked.values, .k = asked.k, .excluded = asked.excluded};
  StatusOr<std::vector<vector::Hit>> hits = co_await store->Nearest(asked.collection, query);
  co_return hits;
}

Task<v1::ListNearestResponse> NearestProducts::List(rpc::CallContext& context, Model model,
                                                    const v1::ListNearestRequest& request) {
  v1::ListNearestResponse response;
  response.set_version(model->version.version());
  const auto item = model->recommender.FindItem(request.product_id());
  if (!item.has_value() || model->recommender.vector_dimension() == 0) co_return response;
  const std::span<const float> values = model->recommender.VectorOf(*item);
  if (IsZero(values)) co_return response;
  if (store() == nullptr || NowNanos() < quiet_until_) {
    response.set_error("the vectors of products cannot be reached");
    co_return response;
  }
  Asked asked{.collection = CollectionOf(*model),
              .values = {values.begin(), values.end()},
              .k = static_cast<size_t>(request.limit() == 0 ? kDefaultLimit : request.limit()),
              .excluded = {request.excluded_ids().begin(), request.excluded_ids().end()}};
  // What is no id is none of a product's either.
  std::erase_if(asked.excluded, [](const std::string& id) {
    return !vector::CheckIds("excluded_ids", {&id, 1}, 1).ok();
  });
  asked.excluded.push_back(request.product_id());
  const Executor here = co_await CurrentExecutor();
  const auto call = rpc::StartCall(here, shared_from_this(), &NearestProducts::Ask, context,
                                   std::move(asked), config_.Get()->vectors_timeout);
  co_await call->Wait();
  if (!call->answer().ok()) {
    const Status& status = call->answer().status();
    if (status.code() == StatusCode::kNotFound) {
      // Not yet written; or another instance, which has not loaded the version, thought it old.
      const std::lock_guard lock(mutex_);
      kept_.clear();
    } else {
      quiet_until_ = NowNanos() + kQuiet.count();
    }
    response.set_error(std::string(status.message()));
    co_return response;
  }
  for (const vector::Hit& hit : *call->answer()) {
    if (!(hit.score > 0)) break;
    v1::ScoredProduct& product = *response.add_products();
    product.set_product_id(hit.id);
    product.set_score(hit.score);
    product.set_source(v1::SOURCE_SIMILAR);
    product.set_because_product_id(request.product_id());
  }
  co_return response;
}

}  // namespace starling::inference

#include "services/inference/inference_service.h"

#include "platform/base/id.h"
#include "platform/security/token.h"
#include "platform/telemetry/log.h"
#include "services/inference/artifact_sink.h"
#include "services/inference/ranking.h"

namespace starling::inference {
namespace {

constexpr char kModel[] = "recommender";
constexpr char kTopic[] = "models";
constexpr size_t kOthers = 2;
constexpr Duration kFetchLimit = std::chrono::seconds(120);
constexpr Duration kFirstPause = std::chrono::milliseconds(50);
constexpr Duration kLongestPause = std::chrono::seconds(5);
constexpr Duration kLook = std::chrono::seconds(10);
constexpr Duration kRefusedPause = std::chrono::seconds(60);
constexpr Duration kStep = std::chrono::milliseconds(5);

Status NoModel() {
  return WithReason(
      FailedPrecondition("no model serves yet; train one with `starling train` or POST "
                         "/v1/models/{}:train",
                         kModel),
      "NO_MODEL");
}

// Waits, or until `look` is set, and gives false when the service stops meanwhile.
Task<bool> Pause(const CancellationToken& stopping, std::atomic<bool>& look, Duration pause) {
  for (Duration slept{0}; slept < pause && !look.exchange(false); slept += kStep * 4) {
    if (stopping.IsCancelled()) co_return false;
    co_await SleepFor(kStep * 4);
  }
  co_return !stopping.IsCancelled();
}

// Whether another try may go better.
bool MayPass(const Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded ||
         status.code() == StatusCode::kResourceExhausted || status.code() == StatusCode::kCancelled;
}

// Lets go of the mark when the coroutine that took it ends, however it does.
class Mark {
 public:
  explicit Mark(std::atomic<bool>& mark) : mark_(mark), taken_(!mark.exchange(true)) {}
  ~Mark() {
    if (taken_) mark_ = false;
  }
  Mark(const Mark&) = delete;
  Mark& operator=(const Mark&) = delete;
  bool taken() const { return taken_; }

 private:
  std::atomic<bool>& mark_;
  const bool taken_;
};

}  // namespace

InferenceService::Model InferenceService::Loaded::Find(std::string_view version) const {
  if (serving != nullptr && (version.empty() || serving->version.version() == version))
    return serving;
  for (const Model& other : others) {
    if (other->version.version() == version) return other;
  }
  return nullptr;
}

StatusOr<std::shared_ptr<InferenceService>> InferenceService::Create(
    host::Environment& environment) {
  STARLING_ASSIGN_OR_RETURN(const std::filesystem::path folder, environment.Folder("inference"));
  STARLING_ASSIGN_OR_RETURN(
      ModelFiles files,
      ModelFiles::Open(folder, environment.Config<InferenceConfig>().Get()->index_memory.count()));
  STARLING_ASSIGN_OR_RETURN(std::shared_ptr<NearestProducts> nearest,
                            NearestProducts::Create(environment));
  auto service =
      std::make_shared<InferenceService>(std::move(files), std::move(nearest), environment);
  STARLING_RETURN_IF_ERROR(service->LoadOwnCopy());
  return service;
}

InferenceService::InferenceService(ModelFiles files, std::shared_ptr<NearestProducts> nearest,
                                   host::Environment& environment)
    : environment_(environment), files_(std::move(files)), nearest_(std::move(nearest)) {}

Status InferenceService::LoadOwnCopy() {
  STARLING_ASSIGN_OR_RETURN(const auto version, files_.Serving(kModel));
  if (!version.has_value()) return OkStatus();
  Loaded loaded;
  auto own = files_.Load(kModel, *version, environment_.clock().Now());
  if (own.ok()) {
    loaded.serving = *std::move(own);
  } else {
    // Training has it too.
    loaded.error = std::string(own.status().message());
    log::Error("inference", "the own copy of version {} is not used", *version).With(own.status());
  }
  Publish(std::move(loaded));
  return OkStatus();
}

void InferenceService::Publish(Loaded loaded) {
  loaded_.store(std::make_shared<const Loaded>(std::move(loaded)));
}

Status InferenceService::Start() {
  training_ = environment_.Find<training::v1::Training>();
  Spawn(environment_.runtime().NextExecutor(),
        [self = shared_from_this()] { return self->KeepInSync(); });
  if (training_ == nullptr) {
    log::Warning("inference", "this process cannot reach training; what it has serves on");
    return OkStatus();
  }
  STARLING_ASSIGN_OR_RETURN(
      subscription_,
      environment_.Follow(kTopic, "inference", {},
                          [this](std::span<const messaging::Delivered>) -> Task<Status> {
                            const Status synced = co_await Sync();
                            look_ = true;
                            co_return MayPass(synced) ? synced : OkStatus();
                          }));
  return OkStatus();
}

Status InferenceService::Health() const {
  if (synced_ || training_ == nullptr || loaded_.load()->serving != nullptr) return OkStatus();
  return WithRetryAfter(Unavailable("it does not know yet which version serves: training has not "
                                    "answered, or the version is being fetched"),
                        std::chrono::seconds(1));
}

void InferenceService::Stop() {
  stopping_.Cancel();
  subscription_.reset();
}

std::vector<std::string> InferenceService::Models() const {
  const auto loaded = loaded_.load();
  if (loaded->serving == nullptr) return {};
  return {loaded->serving->version.version()};
}

// Events make a promotion known at once where the event log is shared; looking makes it known
// everywhere.
Task<void> InferenceService::KeepInSync() {
  const std::shared_ptr<InferenceService> self = shared_from_this();
  Duration pause = kFirstPause;
  while (true) {
    const Status synced = co_await Sync();
    if (synced.ok() || !MayPass(synced)) synced_ = true;
    if (synced.ok()) {
      pause = kFirstPause;
    } else {
      pause = MayPass(synced) ? std::min(pause * 2, kLongestPause) : kRefusedPause;
    }
    co_await KeepVectors();
    const bool go_on = co_await Pause(stopping_.token(), look_, synced.ok() ? kLook : pause);
    if (!go_on) co_return;
  }
}

// Of all versions that are loaded. What fails is tried again with the next look.
Task<void> InferenceService::KeepVectors() {
  const std::shared_ptr<const Loaded> now = loaded_.load();
  std::vector<Model> models = now->others;
  if (now->serving != nullptr) models.push_back(now->serving);
  const Status kept = co_await nearest_->Keep(std::move(models));
  if (!kept.ok()) log::Warning("inference", "vectors of products are not kept").With(kept);
}

// Makes what training says serves the version that serves here. The event is a hint only, so an old
// one that comes again turns nothing back.
Task<Status> InferenceService::Sync() {
  if (training_ == nullptr) co_return OkStatus();
  const Mark mark(busy_);
  if (!mark.taken()) co_return Unavailable("a version is being loaded");
  rpc::CallContext context = rpc::CallContext::ForService("inference", std::chrono::seconds(5));
  context.cancellation = stopping_.token();
  auto listed = co_await training_->ListModels(context, {});
  if (!listed.ok()) co_return listed.status();
  std::string wanted;
  for (const auto& model : listed->models()) {
    if (model.model() == kModel) wanted = model.serving_version();
  }
  const std::shared_ptr<const Loaded> now = loaded_.load();
  if (wanted.empty() || (now->serving != nullptr && now->serving->version.version() == wanted)) {
    if (!now->error.empty()) Publish({now->serving, now->others, ""});
    co_return OkStatus();
  }
  Model model = now->Find(wanted);
  Status status;
  if (model == nullptr) {
    StatusOr<Model> fetched = co_await Fetch(wanted);
    status = fetched.status();
    if (fetched.ok()) model = *std::move(fetched);
  }
  if (status.ok()) {
    std::set<std::string> keep = {wanted};
    for (const Model& other : now->others) keep.insert(other->version.version());
    status = co_await environment_.runtime().blocking().Run([&] {
      STARLING_RETURN_IF_ERROR(files_.SetServing(kModel, wanted));
      return files_.RemoveOthers(kModel, keep);
    });
  }
  if (!status.ok()) {
    log::Error("inference", "version {} is not served; what served serves on", wanted).With(status);
    Publish({now->serving, now->others,
             fmt::format("version {}: {}", wanted, std::string(status.message()))});
    co_return status;
  }
  const learning::RetrievalIndex* index = model->recommender.index();
  log::Info("inference", "version {} of {} serves{}", wanted, kModel,
            index == nullptr ? "" : "; its products are found by " + index->choice().why);
  Publish({std::move(model), now->others, ""});
  co_return OkStatus();
}

Task<StatusOr<InferenceService::Model>> InferenceService::Fetch(const std::string& version) {
  auto own = co_await environment_.runtime().blocking().Run(
      [&] { return files_.Load(kModel, version, environment_.clock().Now()); });
  if (own.ok()) co_return own;
  rpc::CallContext context = rpc::CallContext::ForService("inference", kFetchLimit);
  context.cancellation = stopping_.token();
  training::v1::ReadArtifactRequest request;
  request.set_model(kModel);
  request.set_version(version);
  auto file = co_await environment_.runtime().blocking().Run(
      [&] { return files_.Create(kModel, version); });
  if (!file.ok()) co_return file.status();
  ArtifactSink sink(*file, environment_.runtime().blocking());
  CO_RETURN_IF_ERROR(co_await training_->ReadArtifact(context, request, sink));
  CO_RETURN_IF_ERROR(sink.Check());
  co_return co_await environment_.runtime().blocking().Run(
      [&] { return files_.Keep(*std::move(file), sink.version(), environment_.clock().Now()); });
}

// Loads a version beside the one that serves; the calls that want it wait for it.
Task<void> InferenceService::LoadOther(std::shared_ptr<InferenceService> self,
                                       std::string version) {
  co_await self->LoadOther(std::move(version));
}

Task<void> InferenceService::LoadOther(std::string version) {
  const std::shared_ptr<InferenceService> self = shared_from_this();
  const Mark mark(busy_);
  if (!mark.taken() || loaded_.load()->Find(version) != nullptr) co_return;
  StatusOr<Model> fetched = co_await Fetch(version);
  if (!fetched.ok()) {
    log::Warning("inference", "version {} cannot be loaded", version).With(fetched.status());
    co_return;
  }
  const std::shared_ptr<const Loaded> now = loaded_.load();
  Loaded loaded{now->serving, {*std::move(fetched)}, now->error};
  for (const Model& other : now->others) {
    if (loaded.others.size() < kOthers) loaded.others.push_back(other);
  }
  Publish(std::move(loaded));
  look_ = true;
}

Task<StatusOr<InferenceService::Model>> InferenceService::Other(CallContext& context,
                                                                std::string version) {
  if (version.empty()) co_return NoModel();
  if (training_ == nullptr) co_return NotFound("version '{}' is not here", version);
  training::v1::ListVersionsRequest request;
  request.set_model(kModel);
  auto listed = co_await training_->ListVersions(context, request);
  if (!listed.ok()) co_return listed.status();
  bool known = false;
  for (const auto& candidate : listed->versions()) {
    known = known || (candidate.version() == version && candidate.problem().empty());
  }
  if (!known) co_return NotFound("model '{}' has no version '{}' that can serve", kModel, version);
  const Executor here = co_await CurrentExecutor();
  Spawn(here, LoadOther(shared_from_this(), version));
  while (context.Remaining() > kStep * 2) {
    if (Model model = loaded_.load()->Find(version)) co_return model;
    co_await SleepFor(kStep);
  }
  co_return WithRetryAfter(Unavailable("version '{}' is being loaded; ask again", version),
                           std::chrono::seconds(1));
}

Task<StatusOr<v1::RecommendResponse>> InferenceService::Recommend(
    CallContext& context, const v1::RecommendRequest& request) {
  CO_RETURN_IF_ERROR(CheckRequest(request));
  if (!request.model().empty() && request.model() != kModel) {
    co_return NotFound("there is no model '{}'; there is '{}'", request.model(), kModel);
  }
  Model model = loaded_.load()->Find(request.version());
  if (model == nullptr) {
    StatusOr<Model> other = co_await Other(context, request.version());
    if (!other.ok()) co_return other.status();
    model = *std::move(other);
  }
  co_return Rank(*model, request, environment_.clock().Now());
}

Task<StatusOr<v1::ListNearestResponse>> InferenceService::ListNearest(
    CallContext& context, const v1::ListNearestRequest& request) {
  CO_RETURN_IF_ERROR(CheckRequest(request));
  Model model = loaded_.load()->Find(request.version());
  if (model == nullptr) {
    StatusOr<Model> other = co_await Other(context, request.version());
    if (!other.ok()) co_return other.status();
    model = *std::move(other);
  }
  co_return co_await nearest_->List(context, std::move(model), request);
}

Task<StatusOr<v1::ListLoadedModelsResponse>> InferenceService::ListLoadedModels(
    CallContext&, const v1::ListLoadedModelsRequest&) {
  const std::shared_ptr<const Loaded> now = loaded_.load();
  v1::ListLoadedModelsResponse response;
  const auto add = [&](const Model& model) {
    v1::LoadedModel& out = *response.add_models();
    out.set_model(model->version.model());
    out.set_version(model->version.version());
    out.set_algorithm(std::string(model->recommender.algorithm()));
    out.set_products(static_cast<int64_t>(model->recommender.items()));
    const learning::RetrievalIndex* index = model->recommender.index();
    const uint64_t bytes = model->file->bytes().size() + (index == nullptr ? 0 : index->memory());
    out.set_bytes(static_cast<int64_t>(bytes));
    if (index != nullptr) out.set_retrieval(index->choice().why);
    out.mutable_load_time()->set_seconds(model->loaded_at.time_since_epoch() /
                                         std::chrono::seconds(1));
    return &out;
  };
  if (now->serving != nullptr) {
    add(now->serving)->set_error(now->error);
  } else if (!now->error.empty()) {
    v1::LoadedModel& out = *response.add_models();
    out.set_model(kModel);
    out.set_error(now->error);
  }
  for (const Model& other : now->others) add(other);
  co_return response;
}

}  // namespace starling::inference

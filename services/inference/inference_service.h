// Ranks products by the version of a model that serves.
//
// Loads what training promoted: at start from its own copy in DATA/inference, so that it serves
// without training too; then whatever training says serves, asked after each event on the topic
// "models", every ten seconds, and oftener until training answers. A version is fetched, its
// SHA-256 and every checksum in it verified, and then swapped in at once: calls go on with the
// version that they began with. One that is broken is refused, the old one serves on, and
// ListLoadedModels says why.
//
// The vectors of its products are in a vector store once a version is loaded (nearest_products.h).
//
// A call takes no lock and reads an immutable snapshot. Other versions are loaded when a call names
// them; the newest two stay.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "contracts/inference/v1/inference.service.h"
#include "contracts/training/v1/training.service.h"
#include "platform/async/cancellation.h"
#include "platform/base/snapshot.h"
#include "platform/host/hosted_service.h"
#include "platform/messaging/event_log.h"
#include "services/inference/inference_config.h"
#include "services/inference/model_files.h"
#include "services/inference/nearest_products.h"

namespace starling::inference {

class InferenceService final : public v1::Inference,
                               public host::HostedService,
                               public std::enable_shared_from_this<InferenceService> {
 public:
  using Contract = v1::Inference;
  using Config = InferenceConfig;
  static constexpr host::Keeps kKeeps = host::Keeps::kView | host::Keeps::kFolder;
  static StatusOr<std::shared_ptr<InferenceService>> Create(host::Environment& environment);
  InferenceService(ModelFiles files, std::shared_ptr<NearestProducts> nearest,
                   host::Environment& environment);

  Task<StatusOr<v1::RecommendResponse>> Recommend(CallContext& context,
                                                  const v1::RecommendRequest& request) override;
  Task<StatusOr<v1::ListNearestResponse>> ListNearest(
      CallContext& context, const v1::ListNearestRequest& request) override;
  Task<StatusOr<v1::ListLoadedModelsResponse>> ListLoadedModels(
      CallContext& context, const v1::ListLoadedModelsRequest& request) override;

  Status Start() override;
  void Stop() override;
  std::vector<std::string> Models() const override;
  // OK once it has a version, or knows that none serves.
  Status Health() const override;

 private:
  using Model = std::shared_ptr<const LoadedModel>;
  // What calls read. Immutable.
  struct Loaded {
    Model serving;
    std::vector<Model> others;  // the newest first
    std::string error;          // why the version that training promoted does not serve
    Model Find(std::string_view version) const;
  };

  Status LoadOwnCopy();
  Task<void> KeepInSync();
  Task<Status> Sync();
  Task<StatusOr<Model>> Fetch(const std::string& version);
  Task<void> KeepVectors();
  // What is not loaded: FAILED_PRECONDITION when nothing serves, for the empty version.
  Task<StatusOr<Model>> Other(CallContext& context, std::string version);
  Task<void> LoadOther(std::string version);
  // The same, holding the service while it goes on.
  static Task<void> LoadOther(std::shared_ptr<InferenceService> self, std::string version);
  void Publish(Loaded loaded);

  host::Environment& environment_;
  const ModelFiles files_;
  const std::shared_ptr<NearestProducts> nearest_;
  std::shared_ptr<training::v1::Training> training_;
  Snapshot<Loaded> loaded_{std::make_shared<const Loaded>()};
  std::atomic<bool> synced_{false};  // with training, once
  std::atomic<bool> busy_{false};    // one change of what is loaded at a time
  std::atomic<bool> look_{false};    // again at once, something has changed
  CancellationSource stopping_;
  std::unique_ptr<messaging::Subscription> subscription_;
};

}  // namespace starling::inference

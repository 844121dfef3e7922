// What is computed from events about users and products: features for models, what users like,
// popular products, and the interactions that models are trained on.
//
// Hears the topic "user-events" (starling.user.event.v1, data UserEvent as protobuf) as group
// "features" and keeps every interaction of a user with a product, within the bounds of its
// configuration, on its own disk (interaction_store.h) and in memory (interaction_table.h), from
// where everything is answered. A batch of events is one synced write; it becomes visible, and the
// group's place moves on, only after that. An event of one user with one id counts once, whatever
// it comes with. What the catalogue says of products it keeps too (product_follower.h).
//
// Start loads what the disk has: it waits a second at most and loads the rest while the process
// serves; until then calls are answered UNAVAILABLE with a retry delay, Health says so, and no
// event is consumed. Where there may be other instances, each keeps everything in a folder of its
// own and hears every event by a group of its own; Health then also waits until it has what the
// log had when it began.
#pragma once

#include <atomic>
#include <future>
#include <memory>
#include <optional>

#include "contracts/features/v1/features.service.h"
#include "platform/host/hosted_service.h"
#include "platform/messaging/catch_up.h"
#include "services/features/features_config.h"
#include "services/features/interaction_store.h"
#include "services/features/interaction_table.h"
#include "services/features/popular_products.h"
#include "services/features/product_follower.h"

namespace starling::features {

class FeaturesService final : public v1::Features, public host::HostedService {
 public:
  using Contract = v1::Features;
  static constexpr host::Keeps kKeeps = host::Keeps::kView | host::Keeps::kFolder;
  using Config = FeaturesConfig;
  static StatusOr<std::shared_ptr<FeaturesService>> Create(host::Environment& environment);
  FeaturesService(std::unique_ptr<InteractionStore> store, std::unique_ptr<ProductStore> products,
                  const FeaturesConfig& config, host::Environment& environment);

  Task<StatusOr<v1::ListFeaturesResponse>> ListFeatures(
      CallContext& context, const v1::ListFeaturesRequest& request) override;
  Task<StatusOr<v1::ReadFeaturesResponse>> ReadFeatures(
      CallContext& context, const v1::ReadFeaturesRequest& request) override;
  Task<StatusOr<v1::ReadAffinitiesResponse>> ReadAffinities(
      CallContext& context, const v1::ReadAffinitiesRequest& request) override;
  Task<StatusOr<v1::ListPopularResponse>> ListPopular(
      CallContext& context, const v1::ListPopularRequest& request) override;
  Task<Status> ExportInteractions(CallContext& context,
                                  const v1::ExportInteractionsRequest& request,
                                  rpc::Stream<v1::UserInteractions>& out) override;
  Task<StatusOr<v1::Statistics>> GetStatistics(CallContext& context,
                                               const v1::GetStatisticsRequest& request) override;

  Status Start() override;
  void Stop() override;
  Status Health() const override;

 private:
  Task<void> LoadAndSubscribe();
  Task<Status> Load();
  // OK once calls can be answered.
  Status Loaded() const;
  Task<Status> Store(std::span<const messaging::Delivered> events);
  Task<Status> Consume(std::span<const messaging::Delivered> events);
  BlockingPool& pool() const { return environment_.runtime().blocking(); }

  host::Environment& environment_;
  const std::unique_ptr<InteractionStore> store_;
  InteractionTable table_;
  ProductFollower products_;
  std::shared_ptr<catalog::v1::Catalog> catalog_;  // nullptr when this process cannot reach it
  PopularProducts popular_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> loaded_{false};
  const std::shared_ptr<std::promise<Status>> load_ = std::make_shared<std::promise<Status>>();
  const std::shared_future<Status> load_result_{load_->get_future()};
  bool started_ = false;
  std::optional<messaging::CatchUp> catch_up_;  // made by the load
  std::atomic<bool> caught_up_{false};
  std::unique_ptr<messaging::Subscription> subscription_;  // made by the load, once it is done
};

}  // namespace starling::features

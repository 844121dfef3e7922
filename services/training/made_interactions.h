// Interactions with a structure that a model can find, for tests: users have tastes, a taste has
// products, and what sells best of all is not what anyone in particular wants.
#pragma once

#include <string>
#include <vector>

#include "contracts/features/v1/features.service.h"
#include "learning/random.h"

namespace starling::training {

struct MadeShape {
  int users = 240;
  int tastes = 6;
  int products_per_taste = 25;
  int purchases = 24;  // of a user, over a year
  double repeats = 0;  // share of purchases that repeat an earlier one
  features::v1::InteractionType type = features::v1::INTERACTION_TYPE_PURCHASE;
  uint64_t seed = 1;
};

inline constexpr int64_t kMadeEnd = 1'767'000'000;  // the last purchase is at most here

// User u has taste u % tastes; product p-T-I is of taste T.
inline std::vector<features::v1::UserInteractions> MakeInteractions(const MadeShape& shape) {
  learning::Random random(shape.seed);
  std::vector<features::v1::UserInteractions> users;
  for (int u = 0; u < shape.users; ++u) {
    features::v1::UserInteractions& user = users.emplace_back();
    user.set_user_id(fmt::format("u-{:05}", u));
    const int64_t start = kMadeEnd - 365 * 86'400;
    for (int i = 0; i < shape.purchases; ++i) {
      std::string product;
      if (i > 0 && random.Unit() < shape.repeats) {
        product = user.product_ids(static_cast<int>(random.Below(static_cast<uint64_t>(i))));
      } else {
        const int taste = random.Below(6) == 0
                              ? static_cast<int>(random.Below(static_cast<uint64_t>(shape.tastes)))
                              : u % shape.tastes;
        product = fmt::format("p-{}-{:03}", taste,
                              random.Below(static_cast<uint64_t>(shape.products_per_taste)));
      }
      user.add_product_ids(product);
      user.add_types(shape.type);
      user.add_occurred_at(start + (static_cast<int64_t>(i) * 365 * 86'400 +
                                    static_cast<int64_t>(random.Below(30 * 86'400))) /
                                       shape.purchases);
      user.add_quantities(1);
      user.add_prices(1);
    }
  }
  return users;
}

// The features service as a training sees it.
class MadeFeatures final : public features::v1::Features {
 public:
  explicit MadeFeatures(std::vector<features::v1::UserInteractions> users)
      : users_(std::move(users)) {}
  // What is exported from now on; from the test's thread, while nothing trains.
  void Set(std::vector<features::v1::UserInteractions> users) { users_ = std::move(users); }

  // How often it is not ready yet.
  int loads = 0;

  Task<Status> ExportInteractions(CallContext&, const features::v1::ExportInteractionsRequest&,
                                  rpc::Stream<features::v1::UserInteractions>& out) override {
    if (loads-- > 0) co_return Unavailable("the interactions are being loaded");
    for (const auto& user : users_) CO_RETURN_IF_ERROR(co_await out.Write(user));
    co_return OkStatus();
  }
  Task<StatusOr<features::v1::Statistics>> GetStatistics(
      CallContext&, const features::v1::GetStatisticsRequest&) override {
    features::v1::Statistics statistics;
    for (const auto& user : users_)
      statistics.set_interactions(statistics.interactions() + user.product_ids_size());
    co_return statistics;
  }
  Task<StatusOr<features::v1::ListFeaturesResponse>> ListFeatures(
      CallContext&, const features::v1::ListFeaturesRequest&) override {
    co_return Unimplemented("not needed to train");
  }
  Task<StatusOr<features::v1::ReadFeaturesResponse>> ReadFeatures(
      CallContext&, const features::v1::ReadFeaturesRequest&) override {
    co_return Unimplemented("not needed to train");
  }
  Task<StatusOr<features::v1::ReadAffinitiesResponse>> ReadAffinities(
      CallContext&, const features::v1::ReadAffinitiesRequest&) override {
    co_return Unimplemented("not needed to train");
  }
  Task<StatusOr<features::v1::ListPopularResponse>> ListPopular(
      CallContext&, const features::v1::ListPopularRequest&) override {
    co_return Unimplemented("not needed to train");
  }

 private:
  std::vector<features::v1::UserInteractions> users_;
};

}  // namespace starling::training

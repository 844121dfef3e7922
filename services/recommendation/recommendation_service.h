// Personal recommendations: asks profile for what the user did last, inference for what that model
// ranks best, and catalog for what those products are; applies the business rules; and answers in
// time whatever of that fails.
//
//   part that fails or is slow      the answer does without it                  `degraded`
//   profile                         the newest history; the model knows older   "profile"
//   inference                       the user's last good answer, then popular   "inference"
//   vectors, which inference asks   popular products behind what the model says "vectors"
//   catalog                         products as they were when last read        "catalog"
//
// A user whom the model knows needs but the newest history: how far the model's knowledge goes is
// in the last good answer, and an answer that says otherwise has the whole history read.
//
// Owns no durable data: impressions and last good answers are kept in memory, bounded. Tells the
// topic "recommendations" what was served, off the path of the request.
#pragma once

#include <memory>

#include "contracts/catalog/v1/catalog.service.h"
#include "contracts/features/v1/features.service.h"
#include "contracts/inference/v1/inference.service.h"
#include "contracts/profile/v1/profile.service.h"
#include "contracts/recommendation/v1/recommendation.service.h"
#include "platform/base/bounded_cache.h"
#include "platform/base/snapshot.h"
#include "platform/host/hosted_service.h"
#include "services/recommendation/impressions.h"
#include "services/recommendation/product_memory.h"
#include "services/recommendation/rules.h"
#include "services/recommendation/served_log.h"

namespace starling::recommendation {

using rpc::CallContext;

class RecommendationService final : public v1::Recommendation, public host::HostedService {
 public:
  using Contract = v1::Recommendation;
  static constexpr host::Keeps kKeeps = host::Keeps::kView;
  using Config = RecommendationConfig;
  static StatusOr<std::shared_ptr<RecommendationService>> Create(host::Environment& environment);
  explicit RecommendationService(host::Environment& environment);

  Task<StatusOr<v1::RecommendResponse>> Recommend(CallContext& context,
                                                  const v1::RecommendRequest& request) override;
  Task<StatusOr<v1::RecommendResponse>> RecommendForUser(
      CallContext& context, const v1::RecommendForUserRequest& request) override;
  Task<StatusOr<v1::RecommendResponse>> ListSimilarProducts(
      CallContext& context, const v1::ListSimilarProductsRequest& request) override;

  Status Start() override;
  void Stop() override;

 private:
  struct Ask;     // what is asked for
  struct Answer;  // what is known so far
  using Ranked = inference::v1::RecommendResponse;
  struct Popular {
    std::vector<std::string> product_ids;
    inference::v1::Source source = inference::v1::SOURCE_POPULAR;
    Instant read_at{};
  };

  Task<StatusOr<v1::RecommendResponse>> Compose(CallContext& context, const Ask& ask);
  // What the user did after `answer.after`, and what of it keeps products out.
  Task<void> ReadHistory(CallContext& context, const Ask& ask, Answer& answer);
  Task<void> Rank(CallContext& context, const Ask& ask, Answer& answer);
  // What goes with the same others as the product that is looked at, behind what the model says of
  // it and before what is merely popular.
  Task<void> AddNearest(CallContext& context, const Ask& ask, Answer& answer);
  Task<void> AddPopular(CallContext& context, const Ask& ask, Answer& answer);
  Task<void> ReadPopular(CallContext& context, const Ask& ask, Answer& answer, Popular& popular);
  using Cards = std::vector<std::shared_ptr<const catalog::v1::Product>>;
  // Sets `cards` to what is shown of each product; nullptr for one that is not there.
  Task<void> ReadCards(CallContext& context, const Ask& ask, Answer& answer,
                       std::span<const std::string_view> ids, Cards& cards);
  // Reads products of the best candidates, more of them while the rules want more, and chooses.
  Task<void> ChooseItems(CallContext& context, const Ask& ask, Answer& answer);
  // Counts what the answer does without, and shows it in the call's span.
  void TellFallbacks(CallContext& context, const Answer& answer);
  v1::RecommendResponse Write(const Ask& ask, Answer& answer);
  void Tell(CallContext& context, const Ask& ask, const v1::RecommendResponse& response);
  Task<Status> Consume(std::span<const messaging::Delivered> events);

  struct Fallback {
    std::string_view part;   // as `degraded` names it
    std::string_view event;  // of the span
    telemetry::Counter& used;
  };

  host::Environment& environment_;
  const std::vector<Fallback> fallbacks_;
  const config::Handle<RecommendationConfig> config_;
  std::shared_ptr<profile::v1::Profile> profile_;
  std::shared_ptr<catalog::v1::Catalog> catalog_;
  std::shared_ptr<features::v1::Features> features_;
  std::shared_ptr<inference::v1::Inference> inference_;
  // What inference last gave of a user, at most a second older than that. Packed, since it lies
  // long and is rarely looked at: a tree of small pieces would cost more to free, cold, than to
  // make.
  struct LastGood {
    Instant at;
    bool knows_user = false;
    int64_t data_until = 0;
    std::string ranked;  // a serialised Ranked
  };
  BoundedCache<LastGood> last_good_;
  ProductMemory products_;
  Snapshot<Popular> popular_;
  Impressions impressions_;
  ServedLog served_;
  std::unique_ptr<messaging::Subscription> subscription_;
};

}  // namespace starling::recommendation

// What recommendations are worth: how many were served, seen, clicked and bought.
//
// Consumes the topics "recommendations" (what was served) and "user-events" (what followed), and
// joins them by recommendation_id in whichever order they come; an event that comes without its
// answer waits a day for it, an answer is remembered for 8 days, so that a purchase within 7 days
// counts. Each counts once, however often it comes: an answer by its id, an event through an inbox.
// Counts are kept for ever: one row a day, model version and context.
#pragma once

#include <memory>

#include "contracts/analytics/v1/analytics.service.h"
#include "platform/host/hosted_service.h"
#include "platform/messaging/inbox.h"
#include "platform/storage/sql/sql.h"

namespace starling::analytics {

using rpc::CallContext;

class AnalyticsService final : public v1::Analytics, public host::HostedService {
 public:
  using Contract = v1::Analytics;
  static constexpr host::Keeps kKeeps = host::Keeps::kDatabase;
  static StatusOr<std::shared_ptr<AnalyticsService>> Create(host::Environment& environment);
  AnalyticsService(std::unique_ptr<sql::Database> database, std::unique_ptr<messaging::Inbox> inbox,
                   host::Environment& environment);

  Task<StatusOr<v1::ListRecommendationStatisticsResponse>> ListRecommendationStatistics(
      CallContext& context, const v1::ListRecommendationStatisticsRequest& request) override;

  Status Start() override;
  void Stop() override;

 private:
  Task<Status> ConsumeServed(std::span<const messaging::Delivered> events);
  Task<Status> ConsumeUserEvents(std::span<const messaging::Delivered> events);
  Status Forget(sql::Transaction& transaction);

  host::Environment& environment_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<messaging::Inbox> inbox_;
  TimePoint forgotten_at_{};  // on the database's writer
  std::unique_ptr<messaging::Subscription> served_, user_events_;
};

}  // namespace starling::analytics

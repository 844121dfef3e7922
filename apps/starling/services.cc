#include "apps/starling/services.h"

#include "services/analytics/analytics_service.h"
#include "services/catalog/catalog_service.h"
#include "services/events/events_service.h"
#include "services/events/remote_event_log.h"
#include "services/features/features_service.h"
#include "services/inference/inference_service.h"
#include "services/ingestion/ingestion_service.h"
#include "services/profile/profile_service.h"
#include "services/recommendation/recommendation_service.h"
#include "services/training/training_service.h"

namespace starling {

std::vector<host::ServiceEntry> Services() {
  return {
      host::Serve<events::EventsService>(),
      host::Serve<profile::ProfileService>(),
      host::Serve<catalog::CatalogService>(),
      host::Serve<ingestion::IngestionService>(),
      host::Serve<features::FeaturesService>(),
      host::Serve<training::TrainingService>(),
      host::Serve<inference::InferenceService>(),
      host::Serve<recommendation::RecommendationService>(),
      host::Serve<analytics::AnalyticsService>(),
  };
}

std::unique_ptr<messaging::EventLog> MakeRemoteEvents(std::shared_ptr<rpc::Channel> channel,
                                                      Runtime& runtime) {
  return events::MakeRemoteEventLog(events::v1::Events::Connect(std::move(channel)), runtime, {});
}

}  // namespace starling

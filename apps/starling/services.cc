#include "apps/starling/services.h"

#include "services/analytics/analytics_service.h"
#include "services/catalog/catalog_service.h"
#include "services/features/features_service.h"
#include "services/inference/inference_service.h"
#include "services/ingestion/ingestion_service.h"
#include "services/profile/profile_service.h"
#include "services/recommendation/recommendation_service.h"
#include "services/training/training_service.h"

namespace starling {

std::vector<host::ServiceEntry> Services() {
  return {
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

}  // namespace starling

#include "apps/starling/services.h"

#include "services/catalog/catalog_service.h"
#include "services/ingestion/ingestion_service.h"
#include "services/profile/profile_service.h"

namespace starling {

std::vector<host::ServiceEntry> Services() {
  return {
      host::Serve<profile::ProfileService>(),
      host::Serve<catalog::CatalogService>(),
      host::Serve<ingestion::IngestionService>(),
  };
}

}  // namespace starling

// Linked into a service's tests, runs them with their vectors on pgvector: each environment on a
// database of its own.
#include "platform/host/test_environment.h"
#include "platform/storage/sql/postgres/test_server.h"

namespace starling::host {
namespace {

const bool chosen = [] {
  TestEnvironment::make_vectors = [] {
    return VectorStorageConfig{.engine = VectorStorageConfig::Engine::kPgVector,
                               .url = config::Secret(sql::TestServer::Get().MakeDatabase())};
  };
  return true;
}();

}  // namespace
}  // namespace starling::host

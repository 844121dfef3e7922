#include "platform/storage/sql/postgres/test_server.h"
#include "platform/storage/vector/conformance/vector_conformance.h"
#include "platform/storage/vector/pgvector/pgvector_store.h"

namespace starling::vector {
namespace {

class NewDatabase final : public Location {
 public:
  StatusOr<std::unique_ptr<Store>> Open(Runtime&) override { return OpenPgVector({.url = url_}); }

 private:
  const std::string url_ = sql::TestServer::Get().MakeDatabase();
};

INSTANTIATE_TEST_SUITE_P(
    PgVector, VectorConformance,
    testing::Values(Adapter{"pgvector", [] { return std::make_unique<NewDatabase>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

}  // namespace
}  // namespace starling::vector

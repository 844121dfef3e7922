#include "platform/storage/sql/conformance/sql_conformance.h"
#include "platform/storage/sql/postgres/test_server.h"

namespace starling::sql {
namespace {

class FreshDatabase final : public Location {
 public:
  StatusOr<std::unique_ptr<Database>> Open(Options options,
                                           std::span<const EmbeddedFile> migrations) override {
    options.url = url_;
    return Database::Open(std::move(options), migrations);
  }

 private:
  const std::string url_ = TestServer::Get().MakeDatabase();
};

INSTANTIATE_TEST_SUITE_P(
    Postgres, SqlConformance,
    testing::Values(Adapter{"postgres", [] { return std::make_unique<FreshDatabase>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

}  // namespace
}  // namespace starling::sql

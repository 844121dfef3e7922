#include "platform/base/id.h"
#include "platform/storage/sql/conformance/sql_conformance.h"

namespace starling::sql {
namespace {

class Folder final : public Location {
 public:
  Folder() { std::filesystem::create_directories(path_); }
  ~Folder() override { std::filesystem::remove_all(path_); }
  StatusOr<std::unique_ptr<Database>> Open(Options options,
                                           std::span<const EmbeddedFile> migrations) override {
    options.path = path_ / "test.db";
    return Database::Open(std::move(options), migrations);
  }

 private:
  const std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / NewId();
};

INSTANTIATE_TEST_SUITE_P(
    Embedded, SqlConformance,
    testing::Values(Adapter{"embedded", [] { return std::make_unique<Folder>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

}  // namespace
}  // namespace starling::sql

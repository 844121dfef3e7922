#include <gmock/gmock.h>

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

// What the embedded engine does beyond the port.

TEST_P(SqlConformance, ATableOthersReferToCanBeRebuilt) {
  const EmbeddedFile files[] = {
      {"0001_tables.sql",
       "CREATE TABLE item (id INTEGER PRIMARY KEY);"
       "CREATE TABLE child (id INTEGER REFERENCES item (id));"
       "INSERT INTO item VALUES (1); INSERT INTO child VALUES (1);"},
      {"0002_rebuild.sql",
       "CREATE TABLE fresh (id INTEGER PRIMARY KEY, name TEXT);"
       "INSERT INTO fresh SELECT id, 'x' FROM item; DROP TABLE item;"
       "ALTER TABLE fresh RENAME TO item;"},
  };
  const auto database = Open({}, files);
  EXPECT_THAT(Ids(*database), testing::ElementsAre(1));
  const Status status = database->WriteSync([](Transaction& transaction) -> Status {
    return transaction.Execute("INSERT INTO child VALUES (99)");
  });
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << "keys are checked again";
}

}  // namespace
}  // namespace starling::sql

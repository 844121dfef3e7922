// Migrations against a real database.
#include <gmock/gmock.h>

#include "platform/storage/sql/conformance/sql_conformance.h"

namespace starling::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr EmbeddedFile kFirst = {"0001_first.sql",
                                 "-- The first.\nCREATE TABLE first (id INTEGER PRIMARY KEY);\n"
                                 "INSERT INTO first VALUES (1);\n"};
constexpr EmbeddedFile kSecond = {"0002_second.sql", "INSERT INTO first VALUES (2);"};

std::vector<int64_t> First(Database& database) {
  return database
      .ReadSync([](Connection& connection) {
        return connection.QueryAll("SELECT id FROM first ORDER BY id",
                                   [](const Row& row) { return row.Int(0); });
      })
      .value();
}

TEST_P(SqlConformance, MigrationsRunOnceInOrder) {
  const EmbeddedFile one[] = {kFirst};
  const EmbeddedFile both[] = {kFirst, kSecond};
  EXPECT_THAT(First(*Open({}, one)), ElementsAre(1));
  EXPECT_THAT(First(*Open({}, one)), ElementsAre(1));
  EXPECT_THAT(First(*Open({}, both)), ElementsAre(1, 2));
  EXPECT_THAT(First(*Open({}, both)), ElementsAre(1, 2));
}

TEST_P(SqlConformance, AChangedMigrationIsRefusedAndSaysWhatToDo) {
  const EmbeddedFile before[] = {kFirst};
  const EmbeddedFile after[] = {{"0001_first.sql", "CREATE TABLE first (id TEXT);"}};
  Open({}, before);
  const Status status = OpenError(after);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("0001_first"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("new migration"));
}

TEST_P(SqlConformance, ADatabaseNewerThanTheProgramIsRefusedAndSaysWhatToDo) {
  const EmbeddedFile newer[] = {kFirst, kSecond};
  const EmbeddedFile older[] = {kFirst};
  Open({}, newer);
  const Status status = OpenError(older);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("0002_second"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("newer version"));
}

TEST_P(SqlConformance, AMigrationThatFailsLeavesNothingAndCanBeMended) {
  struct Case {
    std::string_view sql;
    std::string_view message;
  };
  const Case cases[] = {
      {"INSERT INTO first VALUES (3); INSERT INTO absent VALUES (1);", "absent"},
      {"INSERT INTO first VALUES (3); INSERT INTO first VALUES (3);", "first.id"},
      {"INSERT INTO first VALUES (3); COMMIT;", "COMMIT"},
      {"CREATE TABLE child (id INTEGER REFERENCES first (id)); INSERT INTO child VALUES (99);",
       "child"},
  };
  const EmbeddedFile first[] = {kFirst};
  Open({}, first);
  for (const Case& c : cases) {
    const EmbeddedFile broken[] = {kFirst, {"0002_broken.sql", c.sql}};
    const Status status = OpenError(broken);
    EXPECT_FALSE(status.ok()) << c.sql;
    EXPECT_THAT(std::string(status.message()), HasSubstr("0002_broken")) << c.sql;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(c.message)));
    EXPECT_THAT(First(*Open({}, first)), ElementsAre(1)) << c.sql;
  }
  const EmbeddedFile mended[] = {kFirst, kSecond};
  EXPECT_THAT(First(*Open({}, mended)), ElementsAre(1, 2));
}

}  // namespace
}  // namespace starling::sql

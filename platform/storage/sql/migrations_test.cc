#include "platform/storage/sql/migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace starling::sql {
namespace {

using testing::HasSubstr;

std::vector<Migration> Known(std::initializer_list<EmbeddedFile> files) {
  return ParseMigrations(std::vector<EmbeddedFile>(files)).value();
}

TEST(Migrations, AreNamedNumberedAndSummed) {
  const std::vector<Migration> known =
      Known({{"0001_products.sql", "a"}, {"0002_price_2.sql", "b"}});
  ASSERT_EQ(known.size(), 2u);
  EXPECT_EQ(known[1].version, 2);
  EXPECT_EQ(known[1].name, "price_2");
  EXPECT_EQ(known[1].sql, "b");
  EXPECT_EQ(known[0].checksum.size(), 16u);
  EXPECT_NE(known[0].checksum, known[1].checksum);
}

TEST(Migrations, RefuseNamesThatAreWrong) {
  for (const std::string_view name :
       {"", "products.sql", "001_products.sql", "0001-products.sql", "0001_.sql", "0001_products",
        "0001_Products.sql", "0001_pro ducts.sql", "00a1_products.sql", "0002_products.sql",
        "0000_products.sql", "0001_products.sql.bak"}) {
    const EmbeddedFile files[] = {{name, "x"}};
    const Status status = ParseMigrations(files).status();
    EXPECT_EQ(status.code(), StatusCode::kInternal) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("'" + std::string(name) + "'"));
  }
}

TEST(Migrations, RefuseGapsDoublesAndDisorder) {
  const std::vector<std::vector<EmbeddedFile>> cases = {
      {{"0001_a.sql", "a"}, {"0003_c.sql", "c"}},
      {{"0001_a.sql", "a"}, {"0001_b.sql", "b"}},
      {{"0002_b.sql", "b"}, {"0001_a.sql", "a"}},
  };
  for (const auto& files : cases) {
    EXPECT_THAT(std::string(ParseMigrations(files).status().message()), HasSubstr("is next"));
  }
}

TEST(Migrations, GiveTheTailThatIsMissing) {
  const std::vector<Migration> known = Known({{"0001_a.sql", "a"}, {"0002_b.sql", "b"}});
  const AppliedMigration first = {1, "a", known[0].checksum};
  const AppliedMigration second = {2, "b", known[1].checksum};
  EXPECT_EQ(MissingMigrations(known, {}, "db")->size(), 2u);
  const auto missing = MissingMigrations(known, std::vector{first}, "db");
  ASSERT_EQ(missing->size(), 1u);
  EXPECT_EQ(missing->front().version, 2);
  EXPECT_TRUE(MissingMigrations(known, std::vector{first, second}, "db")->empty());
}

TEST(Migrations, RefuseAnotherHistoryAndSayWhatToDo) {
  const std::vector<Migration> known = Known({{"0001_a.sql", "a"}});
  struct Case {
    std::vector<AppliedMigration> applied;
    std::string message;
  };
  const Case cases[] = {
      {{{1, "a", known[0].checksum}, {2, "b", "0"}}, "run the program's newer version"},
      {{{1, "a", "0123456789abcdef"}}, "put it into a new migration"},
      {{{2, "b", "0"}}, "lacks migration 0001"},
  };
  for (const Case& c : cases) {
    const Status status = MissingMigrations(known, c.applied, "catalog.db").status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
    EXPECT_THAT(std::string(status.message()), HasSubstr("'catalog.db'"));
  }
}

}  // namespace
}  // namespace starling::sql

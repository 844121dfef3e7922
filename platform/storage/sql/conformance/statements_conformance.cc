// Statements, values and errors.
#include <gmock/gmock.h>

#include <limits>

#include "platform/storage/sql/conformance/sql_conformance.h"

namespace starling::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_P(SqlConformance, EveryValueComesBackAsItWentIn) {
  const std::vector<Value> values = {
      nullptr,
      int64_t{0},
      std::numeric_limits<int64_t>::min(),
      std::numeric_limits<int64_t>::max(),
      0.1,
      -std::numeric_limits<double>::max(),
      std::string(),
      std::string("gr\xc3\xbc\xc3\x9f dich, \xe4\xb8\x96\xe7\x95\x8c"),
      Blob{std::string("\0\xff\x80", 3)},
      Blob{},
  };
  const auto database = Open();
  for (const Value& value : values) {
    const StatusOr<std::optional<Value>> back = database->ReadSync([&](Connection& connection) {
      return connection.QueryOne(
          "SELECT ?1", [](const Row& row) { return row.Get(0); }, value);
    });
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(**back, value) << "alternative " << value.index();
  }
}

TEST_P(SqlConformance, TextWithNulComesBackOrIsRefused) {
  const std::string text("nul\0inside", 10);
  const auto database = Open();
  const StatusOr<std::optional<std::string>> back = database->ReadSync([&](Connection& connection) {
    return connection.QueryOne(
        "SELECT ?1", [](const Row& row) { return std::string(row.Text(0)); }, text);
  });
  if (back.ok()) {
    EXPECT_EQ(**back, text);
  } else {
    EXPECT_EQ(back.status().code(), StatusCode::kInvalidArgument) << back.status();
  }
}

TEST_P(SqlConformance, TextIsInTheOrderOfItsBytes) {
  const auto database = Open();
  const std::vector<std::string> names = {"B",   "_",  "a",        "a b",
                                          "a-b", "ab", "\xc3\xa4", "\xf0\x9f\x8d\x9e"};
  for (size_t i = 0; i < names.size(); ++i)
    ASSERT_TRUE(Insert(*database, static_cast<int64_t>(names.size() - i), names[i]).ok());
  const auto sorted = database->ReadSync([](Connection& connection) {
    return connection.QueryAll(
        "SELECT name FROM item WHERE name > ?1 ORDER BY name",
        [](const Row& row) { return std::string(row.Text(0)); }, "A");
  });
  EXPECT_EQ(sorted.value(), names);
}

TEST_P(SqlConformance, AnUpsertMayUseTheRowThatIsThere) {
  const auto database = Open();
  const auto amount = database->WriteSync([](Transaction& transaction) -> StatusOr<int64_t> {
    for (int i = 0; i < 3; ++i) {
      STARLING_RETURN_IF_ERROR(
          transaction.Execute("INSERT INTO item (id, name, amount) VALUES (1, 'one', ?1) ON "
                              "CONFLICT (id) DO UPDATE SET "
                              "amount = item.amount + excluded.amount",
                              5));
      EXPECT_EQ(transaction.changes(), 1);
    }
    STARLING_ASSIGN_OR_RETURN(const std::optional<int64_t> sum,
                              transaction.QueryOne("SELECT sum(amount) FROM item",
                                                   [](const Row& row) { return row.Int(0); }));
    return sum.value_or(-1);
  });
  EXPECT_EQ(amount.value(), 15);
}

TEST_P(SqlConformance, ArgumentsOfEveryTypeBind) {
  const auto database = Open();
  const std::string text = "text";
  const Status status = database->ReadSync([&](Connection& connection) {
    return connection.Query(
        "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8",
        [](const Row& row) {
          EXPECT_EQ(row.columns(), 8);
          EXPECT_EQ(row.Int(0), -7);
          EXPECT_EQ(row.Int(1), 9);
          EXPECT_EQ(row.Real(2), 2.5);
          EXPECT_EQ(row.Text(3), "literal");
          EXPECT_EQ(row.Text(4), "text");
          EXPECT_EQ(row.Bytes(5), std::string_view("\0b", 2));
          EXPECT_TRUE(row.IsNull(6));
          EXPECT_EQ(row.Int(7), 3);
        },
        -7, size_t{9}, 2.5f, "literal", text, BlobView{std::string_view("\0b", 2)}, std::nullopt,
        std::optional<int>(3));
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(SqlConformance, NullAndEmptyViewsAreNotTheSame) {
  const auto database = Open();
  const Status status = database->ReadSync([&](Connection& connection) {
    return connection.Query(
        "SELECT ?1, ?2, ?3",
        [](const Row& row) {
          EXPECT_FALSE(row.IsNull(0));
          EXPECT_FALSE(row.IsNull(1));
          EXPECT_TRUE(row.IsNull(2));
          EXPECT_EQ(row.Int(2), 0);
          EXPECT_EQ(row.Text(2), "");
          EXPECT_EQ(row.Bytes(2), "");
        },
        std::string_view(), BlobView{}, nullptr);
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(SqlConformance, QueriesGiveRowsAndStopAtTheFirstError) {
  const auto database = Open();
  for (int id = 1; id <= 5; ++id) {
    ASSERT_TRUE(Insert(*database, id, std::to_string(id)).ok());
  }
  const Status status = database->ReadSync([&](Connection& connection) -> Status {
    const auto name = [](const Row& row) { return std::string(row.Text(0)); };
    const auto two = connection.QueryOne("SELECT name FROM item WHERE id = ?1", name, 2);
    EXPECT_EQ(two.value(), std::optional<std::string>("2"));
    const auto none = connection.QueryOne("SELECT name FROM item WHERE id = ?1", name, 99);
    EXPECT_EQ(none.value(), std::nullopt);
    const auto first = connection.QueryOne("SELECT name FROM item ORDER BY id DESC", name);
    EXPECT_EQ(first.value(), std::optional<std::string>("5"));
    const auto all =
        connection.QueryAll("SELECT name FROM item WHERE id > ?1 ORDER BY id", name, 3);
    EXPECT_THAT(all.value(), ElementsAre("4", "5"));
    int seen = 0;
    const Status stopped =
        connection.Query("SELECT id FROM item ORDER BY id", [&](const Row& row) -> Status {
          ++seen;
          return row.Int(0) < 3 ? OkStatus() : NotFound("at {}", row.Int(0));
        });
    EXPECT_EQ(stopped, NotFound("at 3"));
    EXPECT_EQ(seen, 3);
    const auto mapped =
        connection.QueryOne("SELECT id FROM item WHERE id = 1",
                            [](const Row&) -> StatusOr<int> { return DataLoss("cannot parse"); });
    EXPECT_EQ(mapped.status(), DataLoss("cannot parse"));
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(SqlConformance, AStatementMayRunInsideItsOwnRows) {
  const auto database = Open();
  for (int id = 1; id <= 3; ++id) {
    ASSERT_TRUE(Insert(*database, id, std::to_string(id)).ok());
  }
  const StatusOr<int64_t> pairs =
      database->ReadSync([](Connection& connection) -> StatusOr<int64_t> {
        int64_t count = 0;
        const std::string_view sql = "SELECT id FROM item";
        STARLING_RETURN_IF_ERROR(connection.Query(sql, [&](const Row&) -> Status {
          return connection.Query(sql, [&](const Row&) { ++count; });
        }));
        return count;
      });
  EXPECT_EQ(pairs.value(), 9);
}

TEST_P(SqlConformance, SaysWhatAStatementChanged) {
  const auto database = Open();
  const Status status = database->WriteSync([](Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(transaction.Execute("INSERT INTO item (name) VALUES ('a'), ('b')"));
    EXPECT_EQ(transaction.changes(), 2);
    STARLING_RETURN_IF_ERROR(transaction.Execute("UPDATE item SET amount = 1 WHERE name = 'x'"));
    EXPECT_EQ(transaction.changes(), 0);
    const auto id = transaction.QueryOne(
        "INSERT INTO item (name) VALUES (?1) RETURNING id",
        [](const Row& row) { return row.Int(0); }, "c");
    EXPECT_EQ(id.value(), std::optional<int64_t>(3));
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(SqlConformance, MoreStatementsThanTheCacheHoldsStillRun) {
  const auto database = Open({.statement_cache = 4});
  const Status status = database->ReadSync([](Connection& connection) -> Status {
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 20; ++i) {
        const auto value = connection.QueryOne(
            fmt::format("SELECT {} + ?1", i), [](const Row& row) { return row.Int(0); }, round);
        if (!value.ok()) return value.status();
        EXPECT_EQ(**value, i + round);
      }
    }
    return OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST_P(SqlConformance, BrokenRulesHaveTheirOwnErrors) {
  struct Case {
    std::string_view sql;
    StatusCode code;
    std::string_view message;
  };
  const Case cases[] = {
      {"INSERT INTO item (id, name) VALUES (1, 'other')", StatusCode::kAlreadyExists, "item.id"},
      {"INSERT INTO item (id, name) VALUES (2, 'one')", StatusCode::kAlreadyExists, "item.name"},
      {"INSERT INTO item (id, name) VALUES (2, NULL)", StatusCode::kInvalidArgument, "item.name"},
      {"UPDATE item SET amount = -1 WHERE id = 1", StatusCode::kInvalidArgument, "amount"},
      {"INSERT INTO part (item_id) VALUES (7)", StatusCode::kFailedPrecondition, "FOREIGN KEY"},
      {"SELECT * FROM absent", StatusCode::kInternal, "absent"},
      {"SELEC 1", StatusCode::kInternal, "SELEC"},
      {"", StatusCode::kInternal, "no statement"},
      {"-- a remark", StatusCode::kInternal, "no statement"},
      {"SELECT 1; SELECT 2", StatusCode::kInternal, "more than one statement"},
      {"SELECT ?1", StatusCode::kInternal, "0 arguments are given for the 1 parameters"},
      {"BEGIN", StatusCode::kInternal, "BEGIN"},
      {"COMMIT", StatusCode::kInternal, "COMMIT"},
      {"ROLLBACK", StatusCode::kInternal, "ROLLBACK"},
      {"SAVEPOINT mine", StatusCode::kInternal, "the database does it"},
  };
  const auto database = Open();
  ASSERT_TRUE(Insert(*database, 1, "one").ok());
  for (const Case& c : cases) {
    const Status status = database->WriteSync(
        [&](Transaction& transaction) -> Status { return transaction.Execute(c.sql); });
    EXPECT_EQ(status.code(), c.code) << c.sql << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(c.message))) << c.sql;
  }
  EXPECT_THAT(Ids(*database), ElementsAre(1));
}

TEST_P(SqlConformance, ASeparatorAndARemarkMayFollowAStatement) {
  const auto database = Open();
  EXPECT_TRUE(database
                  ->ReadSync([](Connection& connection) -> Status {
                    return connection.Execute("SELECT 1; -- done\n");
                  })
                  .ok());
}

TEST_P(SqlConformance, AnIntegerThatDoesNotFitIsRefused) {
  const auto database = Open();
  const Status status = database->ReadSync([](Connection& connection) -> Status {
    return connection.Execute("SELECT ?1", uint64_t{1} << 63);
  });
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("9223372036854775808"));
}

TEST_P(SqlConformance, AReadMayNotWrite) {
  const auto database = Open();
  const Status status = database->ReadSync(
      [](Connection& connection) -> Status { return Insert(connection, 1, "a"); });
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("use Write"));
  EXPECT_TRUE(Ids(*database).empty());
}

TEST_P(SqlConformance, AStatementThatTakesTooLongIsStopped) {
  // Long enough for the others on a busy machine.
  const auto database = Open({.statement_timeout = std::chrono::milliseconds(300)});
  constexpr std::string_view kEndless =
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
  const Status read =
      database->ReadSync([&](Connection& connection) { return connection.Execute(kEndless); });
  EXPECT_EQ(read.code(), StatusCode::kDeadlineExceeded) << read;
  const Status write = database->WriteSync([&](Transaction& transaction) -> Status {
    STARLING_RETURN_IF_ERROR(Insert(transaction, 1, "a"));
    return transaction.Execute(kEndless);
  });
  EXPECT_EQ(write.code(), StatusCode::kDeadlineExceeded) << write;
  EXPECT_TRUE(Ids(*database).empty());
}

}  // namespace
}  // namespace starling::sql

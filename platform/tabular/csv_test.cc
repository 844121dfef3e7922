#include "platform/tabular/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "platform/tabular/read_all.h"

namespace starling::tabular {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Cells = std::vector<std::string>;

StatusOr<std::unique_ptr<RowSource>> Open(std::string_view text, CsvOptions options = {},
                                          size_t chunk = SIZE_MAX) {
  return OpenCsv(BytesOf(text, "shop.csv", chunk), std::move(options));
}

AllRows ReadCsv(std::string_view text, CsvOptions options = {}) {
  return ReadAll(Open(text, std::move(options)));
}

TEST(Csv, ReadsPlainRowsWithTheLineOfEach) {
  const AllRows all = ReadCsv("id,name\n1,Ada\n2,Grace\n");
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_THAT(all.rows, ElementsAre(Cells{"1", "Ada"}, Cells{"2", "Grace"}));
  EXPECT_THAT(all.lines, ElementsAre(2, 3));
  EXPECT_TRUE(all.bad.empty());
}

TEST(Csv, CountsTheLinesWithinQuotedFields) {
  const AllRows all = ReadCsv("a,b\n\"1\n\n1\",\"\n\"\n3,4\nbad\n");
  EXPECT_THAT(all.lines, ElementsAre(2, 6));
  ASSERT_EQ(all.bad.size(), 1u);
  EXPECT_EQ(all.bad[0].line, 7);
  EXPECT_EQ(all.bad[0].number, 3);
}

struct GoodCase {
  std::string_view name;
  std::string_view text;
  std::vector<Cells> rows;
};

TEST(Csv, ReadsWhatPeopleWrite) {
  const GoodCase cases[] = {
      {"CRLF", "a,b\r\n1,2\r\n3,4\r\n", {{"1", "2"}, {"3", "4"}}},
      {"no newline at the end", "a,b\n1,2", {{"1", "2"}}},
      {"CR at the end", "a,b\n1,2\r", {{"1", "2"}}},
      {"byte order mark",
       "\xef\xbb\xbf"
       "a,b\n1,2\n",
       {{"1", "2"}}},
      {"blank lines", "\n\na,b\n\n1,2\r\n\r\n\n", {{"1", "2"}}},
      {"nothing and empty text", "a,b\n,\n\"\",\"\"\n", {{"-", "-"}, {"", ""}}},
      {"quoted delimiter", "a,b\n\"1,5\",2\n", {{"1,5", "2"}}},
      {"quoted newlines", "a,b\n\"1\n\r\n2\",3\n", {{"1\n\r\n2", "3"}}},
      {"doubled quotes", "a,b\n\"say \"\"hi\"\"\",\"\"\"\"\n", {{"say \"hi\"", "\""}}},
      {"doubled quotes, then a plain field", "a,b\n\"\"\"\",x\n", {{"\"", "x"}}},
      {"quote within a plain field", "a,b\n15\" screen,2\n", {{"15\" screen", "2"}}},
      {"quoted last field and CRLF", "a,b\r\n1,\"2\"\r\n", {{"1", "2"}}},
      {"quoted at the end", "a,b\n1,\"2\"", {{"1", "2"}}},
      {"quoted at the end with CR", "a,b\n1,\"2\"\r", {{"1", "2"}}},
      {"spaces stay", "a,b\n 1 , 2 \n", {{" 1 ", " 2 "}}},
      {"other scripts", "a,b\n\xc3\xa4,\xe6\x97\xa5\n", {{"\xc3\xa4", "\xe6\x97\xa5"}}},
      {"zero bytes", std::string_view("a,b\n\0,2\n", 8), {{std::string(1, '\0'), "2"}}},
      {"header only", "a,b\n", {}},
      {"one column", "a\n1\n\"\"\n", {{"1"}, {""}}},
      {"CR within a field", "a,b\n1\r2,3\n", {{"1\r2", "3"}}},
  };
  for (const GoodCase& one : cases) {
    const AllRows all = ReadCsv(one.text);
    EXPECT_EQ(all.status, OkStatus()) << one.name;
    EXPECT_EQ(all.rows, one.rows) << one.name;
    EXPECT_TRUE(all.bad.empty()) << one.name << ": " << all.bad[0].reason;
  }
}

struct BadCase {
  std::string_view name;
  std::string_view text;
  Fault fault;
  int64_t number;
  int64_t line;
  int64_t byte;
  std::string_view column;
  std::string_view value;
  std::string_view reason;
  std::vector<Cells> rows;  // that are read beside
};

TEST(Csv, HandsOutBadRowsAndGoesOn) {
  const BadCase cases[] = {
      {"too few fields",
       "a,b\n1\n3,4\n",
       Fault::kFieldCount,
       1,
       2,
       0,
       "",
       "1",
       "1 of 2 fields",
       {{"3", "4"}}},
      {"too many fields",
       "a,b\n1,2\n1,2,3\r\n3,4\n",
       Fault::kFieldCount,
       2,
       3,
       0,
       "",
       "1,2,3",
       "3 fields for 2 columns",
       {{"1", "2"}, {"3", "4"}}},
      {"text behind a quote",
       "a,b\n\"x\"y,2\n3,4\n",
       Fault::kQuote,
       1,
       2,
       4,
       "a",
       "\"x\"y,2",
       "text stands behind a closing quote",
       {{"3", "4"}}},
      {"quote never closed",
       "a,b\n1,\"x\n3,4\n5,6\n",
       Fault::kQuote,
       1,
       2,
       3,
       "b",
       "\"x",
       "not closed before the end of the file",
       {{"3", "4"}, {"5", "6"}}},
      {"quote never closed in the last line",
       "a,b\n3,4\n1,\"",
       Fault::kQuote,
       2,
       3,
       3,
       "b",
       "\"",
       "not closed before the end of the file",
       {{"3", "4"}}},
      {"stray quote that meets another",
       "a,b\n1,\"x\n3,\"4\"\n5,6\n",
       Fault::kQuote,
       1,
       3,
       4,
       "b",
       "\"x",
       "text stands behind a closing quote",
       {{"3", "4"}, {"5", "6"}}},
      {"no UTF-8",
       "a,b\n1,caf\xe9\n3,4\n",
       Fault::kUtf8,
       1,
       2,
       6,
       "b",
       "caf\\xe9",
       "no UTF-8",
       {{"3", "4"}}},
      {"no UTF-8 on the second line of a row",
       "a,b\n\"1\n\xff\",2\n3,4\n",
       Fault::kUtf8,
       1,
       3,
       1,
       "a",
       "1\n\\xff",
       "no UTF-8",
       {{"3", "4"}}},
      {"the beginning of a character, behind a doubled quote",
       "a,b\n\"x\"\"\xef\xbb\",2\n3,4\n",
       Fault::kUtf8,
       1,
       2,
       5,
       "a",
       "x\"\\xef\\xbb",
       "no UTF-8",
       {{"3", "4"}}},
      {"no UTF-8 in the last row",
       "a,b\n3,4\n1,\xe2\x82",
       Fault::kUtf8,
       2,
       3,
       3,
       "b",
       "\\xe2\\x82",
       "no UTF-8",
       {{"3", "4"}}},
  };
  for (const BadCase& one : cases) {
    const AllRows all = ReadCsv(one.text);
    EXPECT_EQ(all.status, OkStatus()) << one.name;
    EXPECT_EQ(all.rows, one.rows) << one.name;
    ASSERT_EQ(all.bad.size(), 1u) << one.name;
    const BadRow& bad = all.bad[0];
    EXPECT_EQ(bad.fault, one.fault) << one.name;
    EXPECT_EQ(bad.source, "shop.csv") << one.name;
    EXPECT_EQ(bad.number, one.number) << one.name;
    EXPECT_EQ(bad.line, one.line) << one.name;
    EXPECT_EQ(bad.byte, one.byte) << one.name;
    EXPECT_EQ(bad.column, one.column) << one.name;
    EXPECT_EQ(bad.value, one.value) << one.name;
    EXPECT_THAT(bad.reason, HasSubstr(std::string(one.reason))) << one.name;
  }
}

TEST(Csv, RefusesWhatIsNoCsvAndSaysWhatToDo) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "'shop.csv' is empty"},
      {"\n\n", "'shop.csv' is empty"},
      {"\xff\xfe"
       "a",
       "iconv -f UTF-16"},
      {"PK\x03\x04rest", "zip archive or a spreadsheet"},
      {"PAR1rest", "Parquet"},
      {"\"a,b\n1,2\n", "line 1, byte 1"},
      {"a,caf\xe9\n1,2\n", "no UTF-8"},
  };
  for (const auto& [text, message] : cases) {
    const AllRows all = ReadCsv(text);
    EXPECT_EQ(all.status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(all.status.message()), HasSubstr(std::string(message)));
  }
}

TEST(Csv, RefusesOptionsThatCannotBe) {
  EXPECT_EQ(FieldViolations(Open("a\n", {.delimiter = '"'}).status())[0].field, "delimiter");
  EXPECT_EQ(FieldViolations(Open("a\n", {.delimiter = '\xe9'}).status())[0].field, "delimiter");
  EXPECT_EQ(FieldViolations(Open("a\n", {.max_row_bytes = 10}).status())[0].field, "max_row_bytes");
  EXPECT_EQ(FieldViolations(Open("a,b\n", {.column_names = {"x"}}).status())[0].field,
            "column_names");
}

TEST(Csv, NamesColumnsByHeaderByNumberOrAsTold) {
  EXPECT_THAT(Open(" id ,\"Customer ID\"\n1,2\n").value()->columns(),
              ElementsAre("id", "Customer ID"));
  const auto numbered = Open("1,2\n3,4\n", {.header = Header::kNone}).value();
  EXPECT_THAT(numbered->columns(), ElementsAre("1", "2"));
  const AllRows all = ReadAll(*numbered);
  EXPECT_THAT(all.rows, ElementsAre(Cells{"1", "2"}, Cells{"3", "4"}));
  EXPECT_THAT(all.lines, ElementsAre(1, 2));
  EXPECT_THAT(
      ReadAll(*Open("1,2\n", {.header = Header::kNone, .column_names = {"a", "b"}}).value()).rows,
      ElementsAre(Cells{"1", "2"}));
  EXPECT_THAT(Open("x,y\n1,2\n", {.column_names = {"a", "b"}}).value()->columns(),
              ElementsAre("a", "b"));
}

TEST(Csv, DetectsTheDelimiterThatDividesEvenly) {
  const std::pair<std::string_view, char> cases[] = {
      {"a,b\n1,2\n", ','},
      {"a;b\n1,5;2\n", ';'},
      {"a\tb\tc\n1,5\t2\t3\n", '\t'},
      {"a|b\n1|2\n", '|'},
      {"name;price\n\"a;b\";1,5\n\"x\";2,5\n", ';'},
      {"title, subtitle;price;stock\nx;1;2\ny;3;4\n", ';'},
      {"alone\n1\n", ','},
      {"", ','},
  };
  for (const auto& [text, delimiter] : cases) EXPECT_EQ(DetectDelimiter(text), delimiter) << text;
  EXPECT_THAT(ReadCsv("a;b\n1,5;2\n").rows, ElementsAre(Cells{"1,5", "2"}));
}

TEST(Csv, ARowBeyondTheLimitIsOneBadRow) {
  const std::string large(5000, 'x');
  const AllRows all =
      ReadCsv("a,b\n1,2\n" + large + "," + large + "\n3,4\n", {.max_row_bytes = 2048});
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_THAT(all.rows, ElementsAre(Cells{"1", "2"}, Cells{"3", "4"}));
  EXPECT_THAT(all.lines, ElementsAre(2, 4));
  ASSERT_EQ(all.bad.size(), 1u);
  EXPECT_EQ(all.bad[0].fault, Fault::kTooLarge);
  EXPECT_EQ(all.bad[0].line, 3);
  EXPECT_EQ(all.bad[0].value, std::string(197, 'x') + "...");
}

TEST(Csv, AQuoteThatIsNeverClosedCostsItsLineAlone) {
  std::string text = "a,b\n1,\"open\n";
  for (int i = 0; i < 2000; ++i) text += "3,4\n";
  const AllRows all = ReadCsv(text, {.max_row_bytes = 2048});
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_EQ(all.rows.size(), 2000u);
  EXPECT_EQ(all.lines.front(), 3);
  EXPECT_EQ(all.lines.back(), 2002);
  ASSERT_EQ(all.bad.size(), 1u);
  EXPECT_EQ(all.bad[0].fault, Fault::kQuote);
  EXPECT_THAT(all.bad[0].reason, HasSubstr("not closed within 2048 bytes"));
}

TEST(Csv, GoesOnFromEveryPositionAsIfItHadNotStopped) {
  const std::string text =
      "a,b\n1,2\n\n\"x\ny\",\"\"\"\"\n1\n5,\"open\n7,8\r\n9,\xff\n\"v\"w,1\n11,12";
  const AllRows whole = ReadCsv(text);
  EXPECT_EQ(whole.status, OkStatus());
  EXPECT_EQ(whole.rows.size(), 4u);
  EXPECT_EQ(whole.bad.size(), 4u);
  for (size_t i = 0; i < whole.positions.size(); ++i) {
    for (const bool by_row : {false, true}) {
      Position start = whole.positions[i];
      if (by_row) start = {.row = start.row};
      const AllRows rest = ReadCsv(text, {.start = start});
      EXPECT_EQ(rest.status, OkStatus());
      EXPECT_EQ(rest.rows.size() + rest.bad.size(), whole.positions.size() - i - 1) << i;
      EXPECT_TRUE(std::equal(rest.rows.rbegin(), rest.rows.rend(), whole.rows.rbegin())) << i;
      EXPECT_TRUE(std::equal(rest.lines.rbegin(), rest.lines.rend(), whole.lines.rbegin())) << i;
      EXPECT_TRUE(
          std::equal(rest.positions.rbegin(), rest.positions.rend(), whole.positions.rbegin()))
          << i;
      if (!rest.bad.empty()) {
        EXPECT_EQ(rest.bad.back().line, whole.bad.back().line) << i;
      }
    }
  }
}

TEST(Csv, RefusesToGoOnWhereNoRowBegins) {
  const std::string text = "a,b\n1,2\n3,4\n";
  for (const Position& start : {Position{0, 1, 2, 9}, Position{0, 9, 9, 900}, Position{.row = 9}}) {
    const AllRows all = ReadCsv(text, {.start = start});
    EXPECT_EQ(all.status.code(), StatusCode::kFailedPrecondition) << PositionText(start);
    EXPECT_THAT(std::string(all.status.message()), HasSubstr("the file has changed"));
  }
}

TEST(Csv, PositionsSurviveBeingWritten) {
  const Position position{3, 1234567, 1234570, 98765432101};
  EXPECT_EQ(PositionText(position), "3:1234567:1234570:98765432101");
  EXPECT_EQ(ParsePosition(PositionText(position)), position);
  for (const std::string_view text : {"", "1", "1:2:3", "1:2:3:4:5", "1:2:3:x", "-1:2:3:4",
                                      "1:-2:3:4", "1:2:3:4 ", "99999999999:1:1:1"}) {
    EXPECT_EQ(ParsePosition(text), std::nullopt) << text;
  }
}

// Rows of any text, in any sizes of reads and windows, come back as they were written.
TEST(Csv, RowsWrittenAndReadBackAreEqual) {
  std::mt19937 random(20260102);
  const std::string_view pieces[] = {"a", "\"",        "\"\"",        ",",
                                     ";", "\n",        "\r",          "\r\n",
                                     " ", "long text", "\xc3\xa9",    "\xf0\x9f\x8d\x9e",
                                     "0", "-1.5",      "\xef\xbb\xbf"};
  for (int round = 0; round < 400; ++round) {
    const size_t columns = 1 + random() % 6;
    const size_t rows = random() % 60;
    CsvOptions options{.max_row_bytes = 1024 + random() % 4096};
    options.delimiter = ",;\t|"[random() % 4];
    std::vector<std::vector<std::optional<std::string>>> written;
    std::string text;
    for (size_t r = 0; r <= rows; ++r) {
      auto& row = written.emplace_back();
      std::vector<std::optional<std::string_view>> views;
      for (size_t c = 0; c < columns; ++c) {
        auto& cell = row.emplace_back(std::string());
        if (r == 0) {
          *cell = fmt::format("c{}", c);
        } else if (columns > 1 && random() % 8 == 0) {
          cell.reset();
        } else {
          for (size_t n = random() % 12; n > 0; --n) *cell += pieces[random() % std::size(pieces)];
        }
      }
      for (const auto& cell : row) views.push_back(cell);
      AppendCsvRow(views, text, options.delimiter);
    }
    const auto source = Open(text, options, 1 + random() % 300);
    ASSERT_EQ(source.status(), OkStatus());
    const AllRows all = ReadAll(**source);
    ASSERT_EQ(all.status, OkStatus());
    ASSERT_TRUE(all.bad.empty()) << all.bad[0].reason << " in round " << round;
    ASSERT_EQ(all.rows.size(), rows) << round;
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns; ++c) {
        const auto& cell = written[r + 1][c];
        ASSERT_EQ(all.rows[r][c], cell.has_value() ? *cell : "-") << "round " << round;
      }
    }
    EXPECT_EQ(all.positions.empty() ? text.size() : all.positions.back().offset, text.size());
  }
}

}  // namespace
}  // namespace starling::tabular

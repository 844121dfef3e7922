#include "platform/tabular/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "platform/tabular/packed_files.h"
#include "platform/tabular/read_all.h"

namespace starling::tabular {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Cells = std::vector<std::string>;

StatusOr<std::unique_ptr<RowSource>> Open(std::string_view text, JsonLinesOptions options = {},
                                          size_t chunk = SIZE_MAX) {
  return OpenJsonLines(BytesOf(text, "users.jsonl", chunk), std::move(options));
}

TEST(JsonLines, GivesTypedCellsUnderTheKeysOfAllRows) {
  const auto source = Open(R"({"id": 7, "name": "Ada", "ok": true})"
                           "\r\n\n"
                           R"({"tags": ["a", {"b": 1.50}], "id": -1, "score": 0.5, "name": null})"
                           "\n"
                           R"({"id": 18446744073709551615, "score": 1e3, "name": "q\"\u00e9\n"})")
                          .value();
  EXPECT_THAT(source->columns(), ElementsAre("id", "name", "ok", "tags", "score"));
  const AllRows all = ReadAll(*source);
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_TRUE(all.bad.empty());
  EXPECT_THAT(
      all.rows,
      ElementsAre(Cells{"whole number 7", "Ada", "true or false true", "-", "-"},
                  Cells{"whole number -1", "-", "-", R"(JSON ["a",{"b":1.5}])", "number 0.5"},
                  Cells{"18446744073709551615", "q\"\xc3\xa9\n", "-", "-", "number 1000"}));
  EXPECT_THAT(all.lines, ElementsAre(1, 3, 4));
}

struct BadCase {
  std::string_view name;
  std::string_view line;
  Fault fault;
  int64_t byte;
  std::string_view reason;
};

TEST(JsonLines, HandsOutBadRowsAndGoesOn) {
  const std::string deep = R"({"a": )" + std::string(70, '[') + std::string(70, ']') + "}";
  const BadCase cases[] = {
      {"no JSON", "hello", Fault::kSyntax, 1, "JSON"},
      {"cut off", R"({"a": 1)", Fault::kSyntax, 8, "expected ',' or '}'"},
      {"no colon", R"({"a" 1})", Fault::kSyntax, 6, "expected ':'"},
      {"open text", R"({"a": "x})", Fault::kSyntax, 0, ""},
      {"a list", "[1,2]", Fault::kSyntax, 0, "a JSON object"},
      {"a number", "12", Fault::kSyntax, 0, "a JSON object"},
      {"two objects", R"({"a":1} {"a":2})", Fault::kSyntax, 9, "expected the end"},
      {"a key twice", R"({"a":1,"a":2})", Fault::kDuplicateKey, 0, "'a' is there twice"},
      {"a bad number", R"({"a":01})", Fault::kSyntax, 0, ""},
      {"a number beyond", R"({"a":1e999})", Fault::kSyntax, 0, ""},
      {"no UTF-8", "{\"a\":\"caf\xe9\"}", Fault::kUtf8, 10, "no UTF-8"},
      {"too deep", deep, Fault::kSyntax, 0, ""},
      {"a trailing comma", R"({"a":1,})", Fault::kSyntax, 8, "expected"},
  };
  for (const BadCase& one : cases) {
    const std::string text = "{\"a\":1}\n" + std::string(one.line) + "\n{\"a\":3}\n";
    const AllRows all = ReadAll(Open(text));
    EXPECT_EQ(all.status, OkStatus()) << one.name;
    EXPECT_THAT(all.rows, ElementsAre(Cells{"whole number 1"}, Cells{"whole number 3"}))
        << one.name;
    ASSERT_EQ(all.bad.size(), 1u) << one.name;
    EXPECT_EQ(all.bad[0].fault, one.fault) << one.name;
    EXPECT_EQ(all.bad[0].line, 2) << one.name;
    EXPECT_EQ(all.bad[0].number, 2) << one.name;
    if (one.byte > 0) {
      EXPECT_EQ(all.bad[0].byte, one.byte) << one.name << all.bad[0].reason;
    }
    EXPECT_THAT(all.bad[0].reason, HasSubstr(std::string(one.reason))) << one.name;
    EXPECT_FALSE(all.bad[0].reason.empty()) << one.name;
    EXPECT_FALSE(all.bad[0].value.empty()) << one.name;
  }
}

TEST(JsonLines, KeysBehindTheSampleAreBadRowsUnlessToldOtherwise) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "{\"id\": 1}\n";
  text += "{\"id\": 2, \"brand\": \"x\"}\n{\"id\": 3}\n";
  const JsonLinesOptions small{.sample_bytes = 200};

  const AllRows strict = ReadAll(Open(text, small));
  EXPECT_EQ(strict.rows.size(), 101u);
  ASSERT_EQ(strict.bad.size(), 1u);
  EXPECT_EQ(strict.bad[0].fault, Fault::kUnknownKey);
  EXPECT_EQ(strict.bad[0].value, "brand");

  JsonLinesOptions passing = small;
  passing.unknown_keys = UnknownKeys::kPass;
  EXPECT_EQ(ReadAll(Open(text, passing)).rows.size(), 102u);

  JsonLinesOptions named = small;
  named.more_columns = {"id", "brand"};
  const auto source = Open(text, named).value();
  EXPECT_THAT(source->columns(), ElementsAre("id", "brand"));
  EXPECT_THAT(ReadAll(*source).rows[100], ElementsAre("whole number 2", "x"));
}

TEST(JsonLines, RefusesWhatIsNoJsonLinesAndSaysWhatToDo) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "no JSON object"},
      {"\n \n", "no JSON object"},
      {"a,b\n1,2\n", "no JSON object"},
      {" [\n{\"a\":1}\n]", "jq -c '.[]'"},
  };
  for (const auto& [text, message] : cases) {
    const Status status = Open(text).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(message)));
  }
  std::string many = "{";
  for (int i = 0; i < 50; ++i) many += fmt::format("{}\"k{}\":1", i > 0 ? "," : "", i);
  many += "}\n";
  EXPECT_THAT(std::string(Open(many, {.max_columns = 20}).status().message()),
              HasSubstr("more than 20 keys"));
  EXPECT_EQ(FieldViolations(Open("{}", {.max_row_bytes = 1}).status())[0].field, "max_row_bytes");
}

TEST(JsonLines, ALineBeyondTheLimitIsOneBadRow) {
  const std::string large = "{\"a\":\"" + std::string(100'000, 'x') + "\"}";
  const AllRows all =
      ReadAll(Open("{\"a\":1}\n" + large + "\n{\"a\":3}\n" + large, {.max_row_bytes = 2048}));
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_THAT(all.rows, ElementsAre(Cells{"whole number 1"}, Cells{"whole number 3"}));
  ASSERT_EQ(all.bad.size(), 2u);
  EXPECT_EQ(all.bad[0].fault, Fault::kTooLarge);
  EXPECT_EQ(all.bad[0].value.size(), kMaxShownBytes);
  EXPECT_EQ(all.bad[1].line, 4);
}

TEST(JsonLines, GoesOnFromEveryPositionAsIfItHadNotStopped) {
  const std::string text = "{\"a\":1}\n\n{\"a\":2,\"b\":[1]}\r\nbad\n{\"a\":4}\n{\"a\":5}";
  const AllRows whole = ReadAll(Open(text));
  EXPECT_EQ(whole.positions.size(), 5u);
  for (size_t i = 0; i < whole.positions.size(); ++i) {
    for (const bool by_row : {false, true}) {
      Position start = whole.positions[i];
      if (by_row) start = {.row = start.row};
      const AllRows rest = ReadAll(Open(text, {.start = start}));
      EXPECT_EQ(rest.status, OkStatus());
      EXPECT_EQ(rest.positions.size(), whole.positions.size() - i - 1) << i;
      EXPECT_TRUE(std::equal(rest.rows.rbegin(), rest.rows.rend(), whole.rows.rbegin())) << i;
      EXPECT_TRUE(std::equal(rest.lines.rbegin(), rest.lines.rend(), whole.lines.rbegin())) << i;
    }
  }
  for (const Position& start : {Position{0, 1, 1, 3}, Position{0, 9, 9, 900}, Position{.row = 9}}) {
    EXPECT_EQ(ReadAll(Open(text, {.start = start})).status.code(), StatusCode::kFailedPrecondition);
  }
}

TEST(JsonLines, RowsComeBackInAnySizesOfReads) {
  std::mt19937 random(5);
  for (int round = 0; round < 100; ++round) {
    std::string text;
    std::vector<Cells> written;
    for (size_t row = 0, rows = 1 + random() % 60; row < rows; ++row) {
      const std::string word(random() % 200, static_cast<char>('a' + random() % 26));
      const int number = static_cast<int>(random() % 1000);
      const bool swapped = random() % 4 == 0;
      text += swapped ? fmt::format("{{\"n\": {}, \"w\": \"{}\"}}\n", number, word)
                      : fmt::format("{{\"w\":\"{}\",\"n\":{}}}\n", word, number);
      const std::string shown = fmt::format("whole number {}", number);
      written.push_back({word, shown});
    }
    const auto source = Open(text, {.max_row_bytes = 1024}, 1 + random() % 100).value();
    AllRows all = ReadAll(*source);
    ASSERT_TRUE(all.bad.empty()) << all.bad[0].reason;
    if (source->columns()[0] == "n") {
      for (Cells& row : all.rows) std::swap(row[0], row[1]);
    }
    ASSERT_EQ(all.rows, written);
  }
}

TEST(JsonLines, ReadsCompressedFiles) {
  const TestFolder folder;
  for (const std::string& packed : {Gzip("{\"a\":1}\n"), Zstd("{\"a\":1}\n")}) {
    const AllRows all = ReadAll(OpenJsonLines(OpenBytes(folder.Write("x", packed)).value()));
    EXPECT_THAT(all.rows, ElementsAre(Cells{"whole number 1"}));
  }
}

}  // namespace
}  // namespace starling::tabular

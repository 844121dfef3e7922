// Parquet files that Arrow writes, read through the module.
#include "platform/tabular/parquet.h"

#include <arrow/api.h>
#include <arrow/io/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <parquet/arrow/writer.h>

#include "platform/tabular/mapping.h"
#include "platform/tabular/open.h"
#include "platform/tabular/packed_files.h"
#include "platform/tabular/read_all.h"

namespace starling::tabular {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Cells = std::vector<std::string>;

// A column of one type from JSON-like values is not in Arrow's C++ API of the wheel; builders are.
template <typename Builder, typename Value>
std::shared_ptr<arrow::Array> Column(const std::shared_ptr<arrow::DataType>& type,
                                     const std::vector<std::optional<Value>>& values) {
  Builder builder(type, arrow::default_memory_pool());
  for (const std::optional<Value>& value : values) {
    if (value.has_value()) {
      EXPECT_TRUE(builder.Append(*value).ok());
    } else {
      EXPECT_TRUE(builder.AppendNull().ok());
    }
  }
  return *builder.Finish();
}

struct NamedColumn {
  std::string name;
  std::shared_ptr<arrow::Array> array;
};

std::string WriteParquet(const std::string& path, const std::vector<NamedColumn>& columns,
                         int64_t rows_of_group = 1 << 20, bool int96 = false) {
  std::vector<std::shared_ptr<arrow::Field>> fields;
  std::vector<std::shared_ptr<arrow::Array>> arrays;
  for (const NamedColumn& column : columns) {
    fields.push_back(arrow::field(column.name, column.array->type()));
    arrays.push_back(column.array);
  }
  const auto table = arrow::Table::Make(arrow::schema(fields), arrays);
  auto file = *arrow::io::FileOutputStream::Open(path);
  parquet::WriterProperties::Builder properties;
  properties.compression(parquet::Compression::SNAPPY);
  properties.max_row_group_length(rows_of_group);
  parquet::ArrowWriterProperties::Builder arrow_properties;
  if (int96) arrow_properties.enable_deprecated_int96_timestamps();
  arrow_properties.store_schema();
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), file, rows_of_group,
                                         properties.build(), arrow_properties.build())
                  .ok());
  EXPECT_TRUE(file->Close().ok());
  return path;
}

std::shared_ptr<arrow::Array> Integers(const std::vector<std::optional<int64_t>>& values) {
  return Column<arrow::Int64Builder, int64_t>(arrow::int64(), values);
}

std::shared_ptr<arrow::Array> Texts(const std::vector<std::optional<std::string>>& values) {
  return Column<arrow::StringBuilder, std::string>(arrow::utf8(), values);
}

AllRows Read(const std::string& path, const ParquetOptions& options = {}) {
  return ReadAll(OpenParquet(path, options));
}

TEST(Parquet, GivesTypedCells) {
  const TestFolder folder;
  const auto nanos = arrow::timestamp(arrow::TimeUnit::NANO);
  const std::string path = WriteParquet(
      (folder.path() / "x.parquet").string(),
      {{"int64", Integers({7, std::nullopt})},
       {"int8", Column<arrow::Int8Builder, int8_t>(arrow::int8(), {-1, std::nullopt})},
       {"uint64", Column<arrow::UInt64Builder, uint64_t>(arrow::uint64(), {~0ull, 1ull})},
       {"float", Column<arrow::FloatBuilder, float>(arrow::float32(), {0.5f, std::nullopt})},
       {"double", Column<arrow::DoubleBuilder, double>(arrow::float64(), {0.1, std::nullopt})},
       {"bool", Column<arrow::BooleanBuilder, bool>(arrow::boolean(), {true, std::nullopt})},
       {"text", Texts({"caf\xc3\xa9", std::nullopt})},
       {"large", Column<arrow::LargeStringBuilder, std::string>(arrow::large_utf8(), {"", "b"})},
       {"bytes", Column<arrow::BinaryBuilder, std::string>(arrow::binary(), {"ok", std::nullopt})},
       {"date", Column<arrow::Date32Builder, int32_t>(arrow::date32(), {14579, std::nullopt})},
       {"millis", Column<arrow::TimestampBuilder, int64_t>(
                      arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), {1259653500123, -1})},
       {"nanos", Column<arrow::TimestampBuilder, int64_t>(nanos, {1, std::nullopt})},
       {"price", Column<arrow::Decimal128Builder, arrow::Decimal128>(
                     arrow::decimal128(10, 2), {arrow::Decimal128(-1234), std::nullopt})}});
  const AllRows all = Read(path);
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_THAT(all.rows,
              ElementsAre(Cells{"whole number 7", "whole number -1", "18446744073709551615",
                                "number 0.5", "number 0.1", "true or false true", "caf\xc3\xa9", "",
                                "ok", "time 2009-12-01T00:00:00Z", "time 2009-12-01T07:45:00.123Z",
                                "time 1970-01-01T00:00:00.000000001Z", "-12.34"},
                          Cells{"-", "-", "whole number 1", "-", "-", "-", "-", "b", "-", "-",
                                "time 1969-12-31T23:59:59.999Z", "-", "-"}));
}

TEST(Parquet, ReadsInt96TimesAsSparkAndPandasWroteThem) {
  const TestFolder folder;
  const std::string path = WriteParquet(
      (folder.path() / "x.parquet").string(),
      {{"at", Column<arrow::TimestampBuilder, int64_t>(arrow::timestamp(arrow::TimeUnit::NANO),
                                                       {1483271606000000000, std::nullopt})}},
      1000, true);
  EXPECT_THAT(Read(path).rows, ElementsAre(Cells{"time 2017-01-01T11:53:26Z"}, Cells{"-"}));
}

TEST(Parquet, GivesListsStructsMapsAndCategories) {
  const TestFolder folder;
  auto* const pool = arrow::default_memory_pool();
  arrow::ListBuilder lists(pool, std::make_shared<arrow::StringBuilder>(pool));
  auto& words = static_cast<arrow::StringBuilder&>(*lists.value_builder());
  EXPECT_TRUE(lists.Append().ok() && words.Append("a \"b\"\n").ok() && words.AppendNull().ok());
  EXPECT_TRUE(lists.AppendNull().ok() && lists.AppendEmptyValue().ok());
  arrow::MapBuilder maps(pool, std::make_shared<arrow::StringBuilder>(pool),
                         std::make_shared<arrow::DoubleBuilder>(pool));
  EXPECT_TRUE(maps.Append().ok() &&
              static_cast<arrow::StringBuilder&>(*maps.key_builder()).Append("k").ok() &&
              static_cast<arrow::DoubleBuilder&>(*maps.item_builder()).Append(0.5).ok());
  EXPECT_TRUE(maps.AppendNull().ok() && maps.AppendNull().ok());
  const auto structs =
      *arrow::StructArray::Make({Integers({1, 2, std::nullopt}), Texts({"x", std::nullopt, "z"})},
                                std::vector<std::string>{"n", "s"});
  arrow::StringDictionary32Builder categories(pool);
  EXPECT_TRUE(categories.Append("red").ok() && categories.AppendNull().ok() &&
              categories.Append("red").ok());
  const std::string path =
      WriteParquet((folder.path() / "x.parquet").string(), {{"list", *lists.Finish()},
                                                            {"map", *maps.Finish()},
                                                            {"struct", structs},
                                                            {"category", *categories.Finish()}});
  const AllRows all = Read(path);
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_THAT(all.rows, ElementsAre(Cells{R"(JSON ["a \"b\"\u000a",null])", R"(JSON {"k":0.5})",
                                          R"(JSON {"n":1,"s":"x"})", "red"},
                                    Cells{"-", "-", R"(JSON {"n":2,"s":null})", "-"},
                                    Cells{"JSON []", "-", R"(JSON {"n":null,"s":"z"})", "red"}));
}

TEST(Parquet, HandsOutRowsWithoutUtf8AndTimesBeyondAsBad) {
  const TestFolder folder;
  const std::string path = WriteParquet(
      (folder.path() / "x.parquet").string(),
      {{"text", Texts({"ok", "\xff", "fine", "late"})},
       {"at", Column<arrow::TimestampBuilder, int64_t>(arrow::timestamp(arrow::TimeUnit::MICRO),
                                                       {0, 0, std::nullopt, 253402214400000000})}});
  const AllRows all = Read(path);
  EXPECT_EQ(all.status, OkStatus());
  EXPECT_THAT(all.rows, ElementsAre(Cells{"ok", "time 1970-01-01T00:00:00Z"}, Cells{"fine", "-"}));
  ASSERT_EQ(all.bad.size(), 2u);
  EXPECT_EQ(all.bad[0].fault, Fault::kUtf8);
  EXPECT_EQ(all.bad[0].column, "text");
  EXPECT_EQ(all.bad[0].value, "\\xff");
  EXPECT_EQ(all.bad[0].line, 2);
  EXPECT_EQ(all.bad[1].column, "at");
  EXPECT_THAT(all.bad[1].reason, HasSubstr("1678 to 2261"));
}

TEST(Parquet, HalvesOfACharacterInNeighboursAreNoUtf8ThoughTheirBytesTogetherAre) {
  const TestFolder folder;
  const std::string path = WriteParquet((folder.path() / "x.parquet").string(),
                                        {{"text", Texts({"ok", "\xc3", "\xa9", "fine"})}});
  const AllRows all = Read(path);
  EXPECT_THAT(all.rows, ElementsAre(Cells{"ok"}, Cells{"fine"}));
  ASSERT_EQ(all.bad.size(), 2u);
  EXPECT_EQ(all.bad[0].value, "\\xc3");
  EXPECT_EQ(all.bad[1].value, "\\xa9");
}

std::vector<NamedColumn> Numbered(int64_t rows) {
  std::vector<std::optional<int64_t>> ids;
  std::vector<std::optional<std::string>> names;
  for (int64_t i = 0; i < rows; ++i) {
    ids.emplace_back(i);
    names.emplace_back(i % 10 == 0 ? std::optional<std::string>() : fmt::format("name {}", i % 77));
  }
  return {{"id", Integers(ids)}, {"name", Texts(names)}};
}

TEST(Parquet, GoesOnFromAnyRowAcrossRowGroups) {
  const TestFolder folder;
  const std::string path =
      WriteParquet((folder.path() / "x.parquet").string(), Numbered(5000), 1300);
  const AllRows whole = Read(path);
  ASSERT_EQ(whole.rows.size(), 5000u);
  EXPECT_EQ(whole.rows[4999][0], "whole number 4999");
  EXPECT_EQ(whole.positions[2599].row, 2600);
  for (const int64_t start : {0, 1, 1023, 1299, 1300, 1301, 2600, 4999, 5000}) {
    for (const int64_t batch : {1, 100, 16384}) {
      const AllRows rest = Read(path, {.batch_rows = batch, .start = {.row = start}});
      EXPECT_EQ(rest.status, OkStatus());
      ASSERT_EQ(rest.rows.size(), static_cast<size_t>(5000 - start)) << start << " " << batch;
      EXPECT_TRUE(std::equal(rest.rows.rbegin(), rest.rows.rend(), whole.rows.rbegin())) << start;
      EXPECT_TRUE(std::equal(rest.lines.rbegin(), rest.lines.rend(), whole.lines.rbegin()));
    }
  }
  EXPECT_EQ(Read(path, {.start = {.row = 5001}}).status.code(), StatusCode::kFailedPrecondition);
}

TEST(Parquet, ReadsOnlyTheNamedColumns) {
  const TestFolder folder;
  const std::string path = WriteParquet(
      (folder.path() / "x.parquet").string(),
      {{"a", Integers({1})},
       {"odd", Column<arrow::Time32Builder, int32_t>(arrow::time32(arrow::TimeUnit::SECOND), {5})},
       {"c", Texts({"x"})}});
  const Status refused = Read(path).status;
  EXPECT_EQ(refused.code(), StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("column 'odd'"));
  const auto source = OpenParquet(path, {.columns = {"c", "a"}}).value();
  EXPECT_THAT(source->columns(), ElementsAre("a", "c"));
  EXPECT_THAT(ReadAll(*source).rows, ElementsAre(Cells{"whole number 1", "x"}));
  const Status unknown = Read(path, {.columns = {"oddd"}}).status;
  EXPECT_EQ(FieldViolations(unknown)[0].field, "columns");
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("did you mean 'odd'?"));
}

TEST(Parquet, ReadsMembersOfAWheelThroughAMapping) {
  const TestFolder folder;
  const std::string path = WriteParquet((folder.path() / "x.parquet").string(), Numbered(3));
  const std::string wheel = (folder.path() / "tables-1.0.whl").string();
  WriteZip(wheel, {{"tables/data/x.parquet", ReadFile(path)}});
  const Mapping mapping =
      Mapping::FromYaml("fields: {product_id: {from: [ID], required: true}, title: [name]}", "m")
          .value();
  const AllRows all = ReadAll(Mapped(OpenRows(wheel + "!tables/data/x.parquet").value(), mapping));
  EXPECT_THAT(all.rows, ElementsAre(Cells{"0", "-"}, Cells{"1", "name 1"}, Cells{"2", "name 2"}));
}

TEST(Parquet, NoParquetAndDamagedFilesAreNamed) {
  const TestFolder folder;
  EXPECT_EQ(Read((folder.path() / "none.parquet").string()).status.code(), StatusCode::kNotFound);
  for (const std::string& bytes : {std::string(), std::string("PAR1"), std::string(5000, 'x')}) {
    const Status status = Read(folder.Write("x.parquet", bytes)).status;
    EXPECT_EQ(status.code(), StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("x.parquet"));
  }
  const std::string good =
      ReadFile(WriteParquet((folder.path() / "good.parquet").string(), Numbered(5000)));
  int refused = 0;
  for (size_t at = 4; at < good.size(); at += good.size() / 40) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x41);
    const AllRows all = Read(folder.Write("x.parquet", bytes));  // no crash, and mostly an error
    refused += all.status.ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 5);
}

TEST(Parquet, ProgressCountsRows) {
  const TestFolder folder;
  const std::string path = WriteParquet((folder.path() / "x.parquet").string(), Numbered(1000));
  const auto source = OpenParquet(path).value();
  EXPECT_EQ(source->progress().rows_total, 1000);
  for (int i = 0; i < 250; ++i) EXPECT_EQ(source->Next().value(), Read::kRow);
  EXPECT_EQ(source->progress().Fraction(), 0.25);
  EXPECT_EQ(source->progress().bytes_total, std::filesystem::file_size(path));
}

TEST(Parquet, MemoryIsBoundedInARowGroupOfAnySize) {
  const TestFolder folder;
  std::string path = (folder.path() / "x.parquet").string();
  {
    std::vector<std::optional<int64_t>> values(6'000'000);
    uint64_t state = 1;
    for (auto& value : values) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      value = static_cast<int64_t>(state);
    }
    WriteParquet(path, {{"a", Integers(values)}}, int64_t{1} << 40);
  }
  ASSERT_GT(std::filesystem::file_size(path), 40u << 20);
  ASSERT_EQ(OpenParquet(path).value()->progress().rows_total, 6'000'000);
  // The module allocates here and nothing else does: the writer has the default pool.
  const arrow::MemoryPool& pool = *arrow::system_memory_pool();
  const auto source = OpenParquet(path).value();
  int64_t most = 0;
  for (int64_t row = 0; source->Next().value() == Read::kRow; ++row) {
    if (row % 1000 == 0) most = std::max(most, pool.bytes_allocated());
  }
  EXPECT_GT(most, 1 << 10) << "the module's pool is looked at";
  EXPECT_LT(most, 8 << 20) << "bytes of a row group of 48 MB";
}

}  // namespace
}  // namespace starling::tabular

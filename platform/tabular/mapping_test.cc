#include "platform/tabular/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/tabular/csv.h"
#include "platform/tabular/json_lines.h"
#include "platform/tabular/read_all.h"

namespace starling::tabular {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Cells = std::vector<std::string>;

constexpr std::string_view kRetail = R"(
fields:
  order_id: {from: [Invoice, InvoiceNo], required: true}
  price: {from: [Price, UnitPrice], type: number}
  customer: [Customer ID, CustomerID]
  bought_at: {from: InvoiceDate, type: time, format: [auto, "%d/%m/%Y %H:%M"]}
  country: {from: Country, default: GB}
  quantity: {type: integer}
)";

Mapping Retail() { return Mapping::FromYaml(kRetail, "retail.yaml").value(); }

AllRows Read(std::string_view csv, const Mapping& mapping) {
  StatusOr<std::unique_ptr<RowSource>> source = OpenCsv(BytesOf(csv, "retail.csv"));
  if (source.ok()) source = Mapped(*std::move(source), mapping);
  return ReadAll(source);
}

TEST(Mapping, FindsColumnsByAnyAcceptedNameAndGivesTypes) {
  const AllRows first = Read(
      "Invoice,Price,Customer ID,InvoiceDate,Country,Quantity\n"
      "489434,6.95,13085,2009-12-01T07:45:00,France,12\n",
      Retail());
  EXPECT_EQ(first.status, OkStatus());
  const Cells expected{"489434", "number 6.95",    "13085", "time 2009-12-01T07:45:00Z",
                       "France", "whole number 12"};
  EXPECT_THAT(first.rows, ElementsAre(expected));
  const AllRows second = Read(
      "extra,InvoiceNo,UnitPrice,customer_id,invoice_date,COUNTRY,quantity\n"
      "x,489434,6.95,13085,01/12/2009 07:45,France,12.0\n",
      Retail());
  EXPECT_EQ(second.status, OkStatus());
  EXPECT_THAT(second.rows, ElementsAre(expected));
}

TEST(Mapping, NothingBecomesTheDefaultAlsoWithoutAColumn) {
  EXPECT_THAT(
      Read("Invoice,Country,Quantity\n1,,\n2,France, \n", Retail()).rows,
      ElementsAre(Cells{"1", "-", "-", "-", "GB", "-"}, Cells{"2", "-", "-", "-", "France", "-"}));
  EXPECT_THAT(Read("Invoice\n1\n", Retail()).rows,
              ElementsAre(Cells{"1", "-", "-", "-", "GB", "-"}));
}

TEST(Mapping, AMissingColumnNamesThoseThatAreThereAndTheNearest) {
  const Status status = Read("InvoiceNr,Price\n1,2\n", Retail()).status;
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  ASSERT_EQ(FieldViolations(status).size(), 1u);
  EXPECT_EQ(FieldViolations(status)[0].field, "order_id");
  EXPECT_EQ(FieldViolations(status)[0].description,
            "'retail.csv' has no column 'Invoice' or 'InvoiceNo'; it has 'InvoiceNr', 'Price' "
            "(did you mean 'InvoiceNr'?)");
}

TEST(Mapping, TwoColumnsForOneNameAreRefused) {
  const Status status = Read("Invoice,customer_id,CUSTOMER ID\n1,2,3\n", Retail()).status;
  EXPECT_EQ(FieldViolations(status)[0].field, "customer");
  EXPECT_THAT(std::string(status.message()), HasSubstr("number 2 'customer_id' and number 3"));
  // The very name wins.
  EXPECT_EQ(Read("Invoice,CustomerID,customer id\n1,2,3\n",
                 Mapping::Make({{.target = "CustomerID"}}).value())
                .rows[0][0],
            "2");
}

TEST(Mapping, ARowTakesTheFirstAcceptedColumnThatIsNotEmpty) {
  EXPECT_THAT(Read("Invoice,InvoiceNo\n1,2\n,3\n\"\",4\n", Retail()).rows.size(), 3u);
  const AllRows all = Read("Invoice,InvoiceNo\n1,2\n,3\n\"\",4\n", Retail());
  EXPECT_EQ(all.rows[0][0], "1");
  EXPECT_EQ(all.rows[1][0], "3");
  EXPECT_EQ(all.rows[2][0], "4");
}

TEST(Mapping, WrongAndMissingValuesAreBadRowsThatSayWhatWasExpected) {
  const AllRows all = Read(
      "Invoice,Price,Quantity,InvoiceDate\n"
      "1,cheap,1,\n"
      "2,1,1.5,\n"
      "3,1,1,2009-02-30\n"
      ",1,1,\n"
      "5\n"
      "6,1,1,\n",
      Retail());
  EXPECT_EQ(all.rows.size(), 1u);
  ASSERT_EQ(all.bad.size(), 5u);
  EXPECT_EQ(all.bad[0].column, "Price");
  EXPECT_EQ(all.bad[0].value, "cheap");
  EXPECT_EQ(all.bad[0].reason, "expected a number for 'price'");
  EXPECT_EQ(all.bad[0].line, 2);
  EXPECT_EQ(all.bad[1].reason, "expected a whole number for 'quantity'");
  EXPECT_EQ(all.bad[2].reason, "expected a time (auto or %d/%m/%Y %H:%M) for 'bought_at'");
  EXPECT_EQ(all.bad[3].fault, Fault::kMissing);
  EXPECT_EQ(all.bad[3].column, "Invoice");
  EXPECT_EQ(all.bad[4].fault, Fault::kFieldCount);
}

struct ValueCase {
  FieldType type;
  std::string_view text;
  std::string_view shown;  // "!": refused
  std::vector<std::string> formats = {};
};

TEST(Mapping, ReadsValuesOfEachType) {
  const ValueCase cases[] = {
      {FieldType::kInteger, "7", "whole number 7"},
      {FieldType::kInteger, " -7 ", "whole number -7"},
      {FieldType::kInteger, "+7", "whole number 7"},
      {FieldType::kInteger, "13085.0", "whole number 13085"},
      {FieldType::kInteger, "1e3", "whole number 1000"},
      {FieldType::kInteger, "9223372036854775807", "whole number 9223372036854775807"},
      {FieldType::kInteger, "9223372036854775808", "!"},
      {FieldType::kInteger, "1e18", "!"},
      {FieldType::kInteger, "7a", "!"},
      {FieldType::kInteger, "+-7", "!"},
      {FieldType::kInteger, "++7", "!"},
      {FieldType::kInteger, "0x10", "!"},
      {FieldType::kNumber, "1.25", "number 1.25"},
      {FieldType::kNumber, "1,25", "!"},
      {FieldType::kNumber, "nan", "!"},
      {FieldType::kNumber, "inf", "!"},
      {FieldType::kNumber, "1e999", "!"},
      {FieldType::kNumber, "1.234,50", "number 1234.5", {"comma"}},
      {FieldType::kNumber, "-0,5", "number -0.5", {"comma"}},
      {FieldType::kBoolean, "YES", "true or false true"},
      {FieldType::kBoolean, "f", "true or false false"},
      {FieldType::kBoolean, "0", "true or false false"},
      {FieldType::kBoolean, "maybe", "!"},
      {FieldType::kBoolean, "2", "!"},
      {FieldType::kText, " as is ", " as is "},
      {FieldType::kTime, "2009-12-01", "time 2009-12-01T00:00:00Z"},
      {FieldType::kTime, "2009-12-01 07:45", "time 2009-12-01T07:45:00Z"},
      {FieldType::kTime, "2009-12-01 07:45:30.250", "time 2009-12-01T07:45:30.250Z"},
      {FieldType::kTime, "2009-12-01T07:45:30+02:00", "time 2009-12-01T05:45:30Z"},
      {FieldType::kTime, "2009-12-01 07:45:30 +0200", "time 2009-12-01T05:45:30Z"},
      {FieldType::kTime, "2009-12-01 07:45:30 UTC", "time 2009-12-01T07:45:30Z"},
      {FieldType::kTime, "2009-13-01", "!"},
      {FieldType::kTime, "2009-12-01T", "!"},
      {FieldType::kTime, "2009-12-01 25:00", "!"},
      {FieldType::kTime, "9999-12-31", "!"},
      {FieldType::kTime, "20091201", "!"},
      {FieldType::kTime, "1259653500", "!"},
      {FieldType::kTime, "1259653500", "time 2009-12-01T07:45:00Z", {"unix"}},
      {FieldType::kTime, "1259653500.5", "time 2009-12-01T07:45:00.500Z", {"unix"}},
      {FieldType::kTime, "-1", "time 1969-12-31T23:59:59Z", {"unix"}},
      {FieldType::kTime, "1e300", "!", {"unix"}},
      {FieldType::kTime, "1259653500123", "time 2009-12-01T07:45:00.123Z", {"unix_ms"}},
      {FieldType::kTime, "12/1/2010 8:26", "time 2010-12-01T08:26:00Z", {"%m/%d/%Y %H:%M"}},
      {FieldType::kTime, "31/12/2010", "!", {"%m/%d/%Y"}},
      {FieldType::kTime, "30/02/2010", "!", {"%d/%m/%Y"}},
      {FieldType::kTime, "1/12/2010 x", "!", {"%d/%m/%Y"}},
      {FieldType::kTime,
       "01 Dec 2010 10:00 +0100",
       "time 2010-12-01T09:00:00Z",
       {"%d %b %Y %H:%M %z"}},
  };
  for (const ValueCase& one : cases) {
    const Mapping mapping =
        Mapping::Make({{.target = "v", .type = one.type, .formats = one.formats}, {.target = "x"}})
            .value();
    std::string csv = "v,x\n";
    AppendCsvRow({one.text, "x"}, csv);
    const AllRows all = Read(csv, mapping);
    if (one.shown == "!") {
      EXPECT_THAT(all.rows, IsEmpty()) << one.text;
      ASSERT_EQ(all.bad.size(), 1u) << one.text;
      EXPECT_EQ(all.bad[0].fault, Fault::kValue);
    } else {
      ASSERT_EQ(all.rows.size(), 1u) << one.text << ": " << all.bad[0].reason;
      EXPECT_EQ(all.rows[0][0], one.shown) << one.text;
    }
  }
}

TEST(Mapping, TakesTypedCellsOfOtherFormats) {
  const Mapping mapping =
      Mapping::Make({{.target = "id"},
                     {.target = "n", .type = FieldType::kNumber},
                     {.target = "b", .type = FieldType::kBoolean},
                     {.target = "t", .type = FieldType::kTime, .formats = {"unix"}},
                     {.target = "list"}})
          .value();
  const std::string text = R"({"id":13085.0,"n":3,"b":1,"t":1259653500,"list":[1,2]})"
                           "\n"
                           R"({"id":true,"n":1,"b":7})"
                           "\n";
  auto source = OpenJsonLines(BytesOf(text, "x.jsonl"), {.more_columns = mapping.SourceNames()});
  const AllRows all = ReadAll(Mapped(*std::move(source), mapping));
  EXPECT_THAT(all.rows, ElementsAre(Cells{"13085", "number 3", "true or false true",
                                          "time 2009-12-01T07:45:00Z", "[1,2]"}));
  EXPECT_EQ(all.bad[0].column, "b");
}

TEST(Mapping, MistakesInTheYamlAreNamedWithTheirPlace) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "fields: expected a map"},
      {"fields: [a]", "fields: expected a map"},
      {"fields: {}", "there is none"},
      {"feilds: {a: b}", "fields: expected a map"},
      {"fields: {a: b}\nmore: 1", "is unknown; known is fields"},
      {"fields: {a: {form: b}}", "did you mean 'from'?"},
      {"fields: {a: {type: numbr}}", "did you mean 'number'?"},
      {"fields: {a: {required: yes}}", "neither true nor false"},
      {"fields: {a: {from: []}}", "a list of texts"},
      {"fields: {a: {from: [[b]]}}", "expected a text"},
      {"fields: {a: {default: [b]}}", "expected a text"},
      {"fields: {a: {type: time, format: \"%H:%M\"}}", "neither auto, unix, unix_ms nor a pattern"},
      {"fields: {a: {type: time, format: yesterday}}", "'yesterday' is neither auto"},
      {"fields: {a: {type: integer, format: auto}}", "is none for integer"},
      {"fields: {a: {type: integer, default: many}}", "the default 'many' is not a whole number"},
  };
  for (const auto& [yaml, message] : cases) {
    const Status status = Mapping::FromYaml(yaml, "map.yaml").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << yaml;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(message))) << yaml;
  }
  EXPECT_THAT(
      std::string(Mapping::FromYaml("fields: {a: {form: b}}", "map.yaml").status().message()),
      HasSubstr("map.yaml:1:"));
  EXPECT_EQ(FieldViolations(Mapping::Make({{.target = "a"}, {.target = "a"}}).status())[0].field,
            "a");
}

TEST(Mapping, SaysWhichColumnsNoFieldTakes) {
  EXPECT_THAT(Retail().Resolve({"Invoice", "Colour", "Price", "Size"}, "x").value().unused,
              ElementsAre("Colour", "Size"));
}

}  // namespace
}  // namespace starling::tabular

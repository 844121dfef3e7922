// What stands around reading: rejects, batches, files by name, folders.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/tabular/open.h"
#include "platform/tabular/packed_files.h"
#include "platform/tabular/read_all.h"
#include "platform/tabular/reject_file.h"
#include "platform/tabular/row_batch.h"

namespace starling::tabular {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Cells = std::vector<std::string>;

TEST(RejectFile, HoldsBadRowsAsCsvAndSumsThemUpByReason) {
  const TestFolder folder;
  const std::string path = (folder.path() / "rejects.csv").string();
  const auto rejects = RejectFile::Create(path).value();
  EXPECT_FALSE(std::filesystem::exists(path)) << "no bad row, no file";
  ASSERT_EQ(rejects->Add({"a.csv", 1, 2, "price", 0, "1,5", Fault::kValue, "expected a number"}),
            OkStatus());
  ASSERT_EQ(rejects->Add({"a.csv", 2, 3, "", 9, "say \"x\"", Fault::kQuote, "text behind"}),
            OkStatus());
  ASSERT_EQ(rejects->Add({"a.csv", 5, 6, "price", 0, "", Fault::kValue, "expected a number"}),
            OkStatus());
  ASSERT_EQ(rejects->Close(), OkStatus());
  EXPECT_EQ(ReadFile(path),
            "file,line,column,value,reason\r\n"
            "a.csv,2,price,\"1,5\",expected a number\r\n"
            "a.csv,3,\"\",\"say \"\"x\"\"\",byte 9: text behind\r\n"
            "a.csv,6,price,\"\",expected a number\r\n");
  EXPECT_EQ(rejects->summary().total(), 3);
  EXPECT_EQ(rejects->summary().count(Fault::kValue), 2);
  EXPECT_EQ(rejects->summary().Text(),
            "2 wrong value, first: a.csv line 2, column 'price', '1,5': expected a number\n"
            "1 quote, first: a.csv line 3, 'say \"x\"': text behind\n");
  EXPECT_EQ(RejectSummary().Text(), "");
}

TEST(RejectFile, WritesNoMoreThanItsBoundAndCountsTheRest) {
  const TestFolder folder;
  const auto rejects = RejectFile::Create((folder.path() / "r.csv").string(), 2).value();
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(rejects->Add({"a", i, i, "", 0, "", Fault::kUtf8, "x"}), OkStatus());
  }
  ASSERT_EQ(rejects->Close(), OkStatus());
  EXPECT_EQ(rejects->written(), 2);
  EXPECT_EQ(rejects->summary().total(), 5);
  EXPECT_EQ(ReadAll(OpenRows(rejects->path())).rows.size(), 2u);
}

BadRow BadPrice(int64_t line) {
  return {"a.csv", line - 1, line, "price", 0, "x", Fault::kValue, "expected a number"};
}

TEST(RejectFile, GoesOnWhereAnImportWasCutAndTellsEachRowOnce) {
  const TestFolder folder;
  const std::string path = (folder.path() / "r.csv").string();
  const std::string until_mark =
      "file,line,column,value,reason\r\n"
      "a.csv,2,price,x,expected a number\r\n";
  RejectMark mark;
  {
    const auto rejects = RejectFile::Create(path).value();
    ASSERT_EQ(rejects->Add(BadPrice(2)), OkStatus());
    mark = rejects->mark();
    ASSERT_EQ(rejects->Flush(), OkStatus());
    EXPECT_EQ(ReadFile(path), until_mark);
    ASSERT_EQ(rejects->Add(BadPrice(3)), OkStatus());  // past the mark: it will be read once more
  }
  const auto rejects = RejectFile::Resume(path, mark).value();
  EXPECT_EQ(ReadFile(path), until_mark);
  ASSERT_EQ(rejects->Add(BadPrice(3)), OkStatus());
  ASSERT_EQ(rejects->Add({"a.csv", 4, 5, "", 0, "", Fault::kUtf8, "bytes"}), OkStatus());
  ASSERT_EQ(rejects->Close(), OkStatus());
  EXPECT_EQ(ReadFile(path), until_mark +
                                "a.csv,3,price,x,expected a number\r\n"
                                "a.csv,5,\"\",\"\",bytes\r\n");
  EXPECT_EQ(rejects->summary().total(), 3);
  EXPECT_THAT(rejects->summary().Text(), HasSubstr("2 wrong value, first: a.csv line 2,"));
}

TEST(RejectFile, ResumedBeforeItsFirstRowItIsANewOne) {
  const TestFolder folder;
  const std::string path = folder.Write("r.csv", "told past the mark\r\n");
  const auto rejects = RejectFile::Resume(path, RejectMark()).value();
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_EQ(rejects->summary().total(), 0);
}

TEST(RejectFile, GoesOnWithNoFileButItsOwn) {
  const TestFolder folder;
  const std::string path = (folder.path() / "r.csv").string();
  const auto rejects = RejectFile::Create(path).value();
  ASSERT_EQ(rejects->Add(BadPrice(2)), OkStatus());
  ASSERT_EQ(rejects->Close(), OkStatus());
  const std::string own = ReadFile(path);
  for (const std::string& other : {own.substr(0, own.size() - 1), "F" + own.substr(1) + "more"}) {
    folder.Write("r.csv", other);
    const Status status = RejectFile::Resume(path, rejects->mark()).status();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("1 rejected rows"));
    EXPECT_EQ(ReadFile(path), other) << "another's file is left as it is";
  }
  std::filesystem::remove(path);
  EXPECT_EQ(RejectFile::Resume(path, rejects->mark()).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST(RejectFile, SaysAtOnceWhenItCannotBeWritten) {
  const TestFolder folder;
  EXPECT_EQ(RejectFile::Create((folder.path() / "none" / "r.csv").string()).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(RejectFile::Create(folder.path().string()).status().code(),
            StatusCode::kInvalidArgument);
}

TEST(RejectFile, AFullDiskIsSaid) {
  if (!std::filesystem::exists("/dev/full")) FAIL() << "this machine has no /dev/full";
  const TestFolder folder;
  const auto rejects = RejectFile::Create((folder.path() / "full.csv").string()).value();
  std::filesystem::create_symlink("/dev/full", folder.path() / "full.csv");
  Status status;
  for (int i = 0; i < 1000 && status.ok(); ++i) {
    status = rejects->Add({"a", i, i, "", 0, "value", Fault::kUtf8, "reason"});
  }
  if (status.ok()) status = rejects->Close();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
}

TEST(RowBatch, KeepsRowsUntilItsLimitsAndSaysWhereToGoOn) {
  std::string text = "id,name\n";
  for (int i = 0; i < 2500; ++i) text += fmt::format("{},\"name {}\"\n", i, i);
  text += "bad\n";
  const auto source = OpenCsv(BytesOf(text, "x.csv")).value();
  int64_t next = 0;
  for (int round = 0; round < 3; ++round) {
    const RowBatch batch = ReadBatch(*source).value();
    EXPECT_EQ(batch.size() + batch.bad_rows().size(), round < 2 ? 1000u : 501u);
    EXPECT_EQ(batch.at_end(), round == 2);
    for (size_t i = 0; i < batch.size(); ++i, ++next) {
      EXPECT_EQ(batch[i][0].text(), fmt::format("{}", next));
      EXPECT_EQ(batch[i][1].text(), fmt::format("name {}", next));
      EXPECT_EQ(batch[i].number, next + 1);
      EXPECT_EQ(batch[i].line, next + 2);
    }
    EXPECT_EQ(batch.after(), source->position());
  }
  EXPECT_EQ(next, 2500);
}

TEST(RowBatch, EndsAtItsBytesAndHoldsLargeTexts) {
  std::string text = "a,b\n";
  for (int i = 0; i < 10; ++i) text += std::string(100'000, 'x') + fmt::format(",{}\n", i);
  const auto source = OpenCsv(BytesOf(text, "x.csv")).value();
  const RowBatch batch = ReadBatch(*source, {.rows = 100, .bytes = 250'000}).value();
  EXPECT_EQ(batch.size(), 3u);
  EXPECT_FALSE(batch.at_end());
  EXPECT_EQ(batch[2][0].text().size(), 100'000u);
  EXPECT_EQ(batch[2][1].text(), "2");
}

TEST(OpenRows, TellsTheFormatByTheName) {
  const TestFolder folder;
  const std::string csv = "a,b\n1,2\n";
  const std::string json = "{\"a\":\"1\",\"b\":\"2\"}\n";
  const std::pair<std::string, std::string> files[] = {
      {"x.csv", csv},           {"x.TSV", "a\tb\n1\t2\n"}, {"x.csv.gz", Gzip(csv)},
      {"x.csv.zst", Zstd(csv)}, {"x.jsonl", json},         {"x.ndjson.zst", Zstd(json)},
  };
  for (const auto& [name, bytes] : files) {
    const AllRows all = ReadAll(OpenRows(folder.Write(name, bytes)));
    EXPECT_EQ(all.status, OkStatus()) << name;
    EXPECT_THAT(all.rows, ElementsAre(Cells{"1", "2"})) << name;
  }
  const std::string archive = (folder.path() / "x.whl").string();
  WriteZip(archive, {{"data/x.csv", csv}});
  EXPECT_THAT(ReadAll(OpenRows(archive + "!data/x.csv")).rows, ElementsAre(Cells{"1", "2"}));

  const std::string other = folder.Write("x.dat", csv);
  const Status status = OpenRows(other).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(".jsonl"));
  EXPECT_EQ(ReadAll(OpenRows(other, {.format = Format::kCsv})).rows.size(), 1u);
  EXPECT_EQ(OpenRows((folder.path() / "none.csv").string()).status().code(), StatusCode::kNotFound);
}

TEST(OpenRows, ReadsAFolderAsOneWithTheFirstFilesColumns) {
  const TestFolder folder;
  folder.Write("1.csv", "a,b\n1,2\n3,4\n");
  folder.Write("2.csv.zst", Zstd("b,a\n6,5\n"));
  folder.Write("3.jsonl", "{\"a\":\"7\",\"b\":\"8\"}\nbad\n");
  folder.Write("README", "not a table");
  folder.Write(".hidden.csv", "x\n1\n");
  const auto source = OpenRows(folder.path().string()).value();
  const AllRows all = ReadAll(*source);
  EXPECT_EQ(all.status, OkStatus());
  const std::vector<Cells> rows{{"1", "2"}, {"3", "4"}, {"5", "6"}, {"7", "8"}};
  EXPECT_EQ(all.rows, rows);
  ASSERT_EQ(all.bad.size(), 1u);
  EXPECT_THAT(all.bad[0].source, HasSubstr("3.jsonl"));
  EXPECT_EQ(source->progress().rows_done, 5);
  EXPECT_EQ(source->progress().Fraction(), 1.0);

  for (size_t i = 0; i < all.positions.size(); ++i) {
    const auto rest = OpenRows(folder.path().string(), {.start = all.positions[i]});
    ASSERT_EQ(rest.status(), OkStatus());
    EXPECT_THAT((*rest)->columns(), ElementsAre("a", "b"));
    const AllRows going_on = ReadAll(**rest);
    EXPECT_EQ(going_on.rows.size() + going_on.bad.size(), all.positions.size() - i - 1);
    EXPECT_TRUE(std::equal(going_on.rows.rbegin(), going_on.rows.rend(), rows.rbegin())) << i;
    EXPECT_EQ((*rest)->progress().Fraction(), 1.0);
  }
  EXPECT_EQ(OpenRows(folder.path().string(), {.start = {.file = 7}}).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST(OpenRows, RefusesAFolderWithoutTablesOrWithOtherColumns) {
  const TestFolder folder;
  EXPECT_EQ(OpenRows(folder.path().string()).status().code(), StatusCode::kNotFound);
  folder.Write("1.csv", "a,b\n1,2\n");
  folder.Write("2.csv", "a,c\n1,2\n");
  const AllRows all = ReadAll(OpenRows(folder.path().string()));
  EXPECT_EQ(all.rows.size(), 1u);
  EXPECT_EQ(all.status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(all.status.message()), HasSubstr("2.csv"));
}

TEST(ShownValue, IsShortAndAlwaysUtf8) {
  EXPECT_EQ(ShownValue("caf\xc3\xa9"), "caf\xc3\xa9");
  EXPECT_EQ(ShownValue(std::string_view("\0\x1b\xff", 3)), "\\x00\\x1b\\xff");
  EXPECT_EQ(ShownValue(std::string(200, 'x')), std::string(200, 'x'));
  EXPECT_EQ(ShownValue(std::string(201, 'x')), std::string(197, 'x') + "...");
  std::string accents;
  for (int i = 0; i < 150; ++i) accents += "\xc3\xa9";
  const std::string shown = ShownValue(accents);
  EXPECT_LE(shown.size(), kMaxShownBytes);
  EXPECT_EQ(FirstInvalidUtf8(shown), shown.size());
}

TEST(Progress, GoesFromNothingToAll) {
  std::string text = "a\n";
  for (int i = 0; i < 500'000; ++i) text += "some value\n";
  const auto source = OpenCsv(BytesOf(text, "x.csv")).value();
  double before = 0;
  while (source->Next().value() == Read::kRow) {
    ASSERT_GE(source->progress().Fraction(), before);
    before = source->progress().Fraction();
    if (source->progress().rows_done == 250'000) {
      EXPECT_NEAR(before, 0.5, 0.06);
    }
  }
  EXPECT_EQ(before, 1.0);
  EXPECT_EQ(source->progress().bytes_total, text.size());
  EXPECT_EQ(source->Next().value(), Read::kEnd) << "the end stays the end";
}

}  // namespace
}  // namespace starling::tabular

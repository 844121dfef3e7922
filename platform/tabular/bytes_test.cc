// Bytes of plain, compressed and zipped files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <random>

#include "platform/tabular/byte_source.h"
#include "platform/tabular/csv.h"
#include "platform/tabular/packed_files.h"
#include "platform/tabular/read_all.h"
#include "platform/tabular/zip.h"

namespace starling::tabular {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

StatusOr<std::string> ReadBytes(ByteSource& bytes, size_t chunk = 1000) {
  std::string all;
  std::vector<char> buffer(chunk);
  for (;;) {
    STARLING_ASSIGN_OR_RETURN(const size_t read, bytes.Read(buffer));
    if (read == 0) return all;
    all.append(buffer.data(), read);
  }
}

StatusOr<std::string> ReadLocation(const std::string& location) {
  STARLING_ASSIGN_OR_RETURN(const auto bytes, OpenBytes(location));
  return ReadBytes(*bytes);
}

std::string Lines(int count) {
  std::string text = "a,b\n";
  std::mt19937 random(7);
  for (int i = 0; i < count; ++i) text += fmt::format("{},row {}\n", random(), i);
  return text;
}

TEST(Bytes, ComeBackAsTheyWereFromEveryPacking) {
  const TestFolder folder;
  const std::string text = Lines(20'000);
  const std::pair<std::string, std::string> packings[] = {
      {"plain", text},
      {"gzip", Gzip(text)},
      {"gzip, two members", Gzip(text.substr(0, 1000)) + Gzip(text.substr(1000))},
      {"zstd", Zstd(text)},
      {"zstd, two frames", Zstd(text.substr(0, 1000)) + Zstd(text.substr(1000))},
  };
  for (const auto& [name, packed] : packings) {
    const auto bytes = OpenBytes(folder.Write("file", packed));
    ASSERT_EQ(bytes.status(), OkStatus()) << name;
    for (const size_t chunk : {1u, 777u, 1u << 20}) {
      EXPECT_EQ(ReadBytes(**bytes, chunk).value(), text) << name;
      EXPECT_EQ((*bytes)->bytes_done(), packed.size()) << name;
      EXPECT_EQ((*bytes)->bytes_total(), packed.size()) << name;
      ASSERT_EQ((*bytes)->Rewind(), OkStatus());
    }
    EXPECT_EQ((*bytes)->Skip(5000).value(), 5000u);
    EXPECT_EQ(ReadBytes(**bytes).value(), text.substr(5000)) << name;
    ASSERT_EQ((*bytes)->Rewind(), OkStatus());
    EXPECT_EQ((*bytes)->Skip(text.size() + 9).value(), text.size()) << name;
  }
  EXPECT_EQ(ReadLocation(folder.Write("empty", "")).value(), "");
  EXPECT_EQ(ReadLocation(folder.Write("empty.gz", Gzip(""))).value(), "");
  EXPECT_EQ(ReadLocation(folder.Write("empty.zst", Zstd(""))).value(), "");
}

TEST(Bytes, DamageAndMissingEndsAreSaidWithTheFile) {
  const TestFolder folder;
  const std::string text = Lines(5000);
  for (const std::string& whole : {Gzip(text), Zstd(text)}) {
    for (const size_t size : {size_t{6}, whole.size() / 2, whole.size() - 1}) {
      const StatusOr<std::string> cut = ReadLocation(folder.Write("cut", whole.substr(0, size)));
      EXPECT_EQ(cut.status().code(), StatusCode::kDataLoss) << size;
      EXPECT_THAT(std::string(cut.status().message()), HasSubstr("get the file again"));
    }
    std::string damaged = whole;
    for (size_t i = 100; i < 400; ++i) damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
    EXPECT_EQ(ReadLocation(folder.Write("damaged", damaged)).status().code(),
              StatusCode::kDataLoss);
  }
  // A row source gives the rows before the damage, then the status, for ever.
  const std::string whole = Zstd(Lines(200'000));
  const std::string path = folder.Write("cut.csv.zst", whole.substr(0, whole.size() / 2));
  const auto source = OpenCsv(OpenBytes(path).value());
  const AllRows all = ReadAll(source);
  EXPECT_EQ(all.status.code(), StatusCode::kDataLoss);
  EXPECT_GT(all.rows.size(), 1000u);
  EXPECT_EQ((*source)->Next().status().code(), StatusCode::kDataLoss);
}

TEST(Bytes, FilesThatCannotBeReadAreNamed) {
  const TestFolder folder;
  const auto missing = OpenBytes((folder.path() / "none.csv").string());
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("none.csv"));
  EXPECT_EQ(OpenBytes(folder.path().string()).status().code(), StatusCode::kInvalidArgument);
}

TEST(Zip, MembersAreFoundByNameStoredAndDeflated) {
  const TestFolder folder;
  const std::string text = Lines(20'000);
  for (const int level : {0, 6}) {
    const std::string archive = (folder.path() / "tables.whl").string();
    WriteZip(archive, {{"data/a.csv", "x\n1\n"}, {"data/big.csv", text}, {"b.zst", Zstd(text)}},
             level);
    EXPECT_THAT(ListZip(archive).value(), ElementsAre("data/a.csv", "data/big.csv", "b.zst"));
    EXPECT_EQ(ReadLocation(archive + "!data/a.csv").value(), "x\n1\n");
    EXPECT_EQ(ReadLocation(archive + "!b.zst").value(), text);
    const auto member = OpenZipMember({archive, "data/big.csv"}).value();
    EXPECT_EQ(ReadBytes(*member).value(), text);
    EXPECT_EQ(member->Read(std::span<char>()).value(), 0u);
    std::vector<char> more(10);
    EXPECT_EQ(member->Read(more).value(), 0u) << "the end stays the end";
    ASSERT_EQ(member->Rewind(), OkStatus());
    EXPECT_EQ(member->Skip(1234).value(), 1234u);
    EXPECT_EQ(ReadBytes(*member).value(), text.substr(1234));
    std::filesystem::remove(archive);
  }
}

TEST(Zip, WhatIsWrongIsNamed) {
  const TestFolder folder;
  const std::string archive = (folder.path() / "tables.zip").string();
  WriteZip(archive, {{"data/products.csv", Lines(1000)}}, 0);
  const Status unknown = OpenBytes(archive + "!data/product.csv").status();
  EXPECT_EQ(unknown.code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("did you mean 'data/products.csv'?"));

  const std::string no_zip = folder.Write("text.zip", "no zip at all");
  EXPECT_EQ(OpenBytes(no_zip + "!a").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenBytes((folder.path() / "none.whl").string() + "!a").status().code(),
            StatusCode::kNotFound);

  std::string bytes = ReadFile(archive);
  bytes[200] = static_cast<char>(bytes[200] ^ 1);  // inside the member: its checksum tells
  const std::string damaged = folder.Write("damaged.zip", bytes);
  EXPECT_EQ(ReadLocation(damaged + "!data/products.csv").status().code(), StatusCode::kDataLoss);
}

TEST(Zip, LocationsAreAnArchiveAndAMember) {
  EXPECT_EQ(ParseZipLocation("a/b.whl!c/d.csv")->archive, "a/b.whl");
  EXPECT_EQ(ParseZipLocation("a/b.whl!c/d.csv")->member, "c/d.csv");
  EXPECT_FALSE(ParseZipLocation("b.csv").has_value());
  EXPECT_FALSE(ParseZipLocation("wow!b.csv").has_value());
  EXPECT_FALSE(ParseZipLocation("b.zip").has_value());
}

TEST(Zip, ATemporaryFileHasTheBytesAndNoName) {
  const TestFolder folder;
  const std::string text = Lines(50'000);
  const int file = CopyToTemporaryFile(*BytesOf(text, "memory")).value();
  std::string read(text.size() + 1, '\0');
  EXPECT_EQ(::pread(file, read.data(), read.size(), 0), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(read.substr(0, text.size()), text);
  ::close(file);
}

// 200 MB of rows out of 20 kB, and a row without end: neither is held.
TEST(Bytes, MemoryIsBoundedWhateverTheFileHolds) {
  const TestFolder folder;
  std::string rows;
  for (int i = 0; i < 100'000; ++i) rows += "1,the same row again and again\n";
  std::string packed = Zstd("a,b\n");
  const std::string block = Zstd(rows);
  for (int i = 0; i < 60; ++i) packed += block;
  packed += Zstd("1,\"");
  const std::string endless = Zstd(std::string(20 << 20, 'x'));
  for (int i = 0; i < 5; ++i) packed += endless;
  const std::string path = folder.Write("bomb.csv.zst", packed);
  rows = std::string();

  rusage before{};
  getrusage(RUSAGE_SELF, &before);
  const auto source = OpenCsv(OpenBytes(path).value()).value();
  int64_t good = 0;
  int64_t bad = 0;
  for (;;) {
    const Read read = source->Next().value();
    if (read == Read::kEnd) break;
    ++(read == Read::kRow ? good : bad);
  }
  EXPECT_EQ(good, 6'000'000);
  EXPECT_EQ(bad, 1);
  rusage after{};
  getrusage(RUSAGE_SELF, &after);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 24 << 10) << "kB beyond what the process had";
}

}  // namespace
}  // namespace starling::tabular

#include "learning/artifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "learning/id_table.h"

namespace starling::learning {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

Status OpenStatus(const std::string& bytes, Checksums checksums = Checksums::kVerify) {
  return Artifact::Open(Bytes(bytes), nullptr, checksums).status();
}

std::string Example() {
  const std::vector<float> factors = {1, 2, 3, 4, 5, 6};
  const std::vector<uint32_t> items = {7, 8, 9};
  const std::vector<uint8_t> empty;
  ArtifactWriter writer("als");
  writer.Add<float>("factors", factors, 3, 2);
  writer.Add<uint8_t>("nothing", empty);
  writer.Add<uint32_t>("items", items);
  return std::move(writer).Finish();
}

TEST(Artifact, GivesBackWhatWasWrittenWithoutCopyingIt) {
  const std::string bytes = Example();
  const Artifact artifact = Artifact::Open(Bytes(bytes), nullptr).value();
  EXPECT_EQ(artifact.kind(), "als");
  EXPECT_EQ(artifact.size(), bytes.size());
  const Matrix<float> factors = artifact.Get<float>("factors").value();
  EXPECT_EQ(factors.rows, 3);
  EXPECT_EQ(factors.columns, 2);
  EXPECT_THAT(factors.values, ElementsAre(1, 2, 3, 4, 5, 6));
  const auto* first = reinterpret_cast<const char*>(factors.values.data());
  EXPECT_GE(first, bytes.data());
  EXPECT_LT(first, bytes.data() + bytes.size());
  EXPECT_EQ((first - bytes.data()) % 64, 0);
  EXPECT_THAT(artifact.Get<uint32_t>("items", 3).value(), ElementsAre(7, 8, 9));
  EXPECT_EQ(artifact.Get<uint8_t>("nothing").value().values.size(), 0);
  EXPECT_TRUE(artifact.Has("items"));
}

TEST(Artifact, KeepsItsOwnerAliveThroughItsArrays) {
  auto owner = std::make_shared<const std::string>(Example());
  const std::weak_ptr<const std::string> watched = owner;
  Array<float> values;
  {
    const Artifact artifact = Artifact::Open(Bytes(*owner), owner).value();
    values = artifact.Get<float>("factors").value().values;
  }
  owner.reset();
  EXPECT_FALSE(watched.expired());
  EXPECT_EQ(values[5], 6);
  values = {};
  EXPECT_TRUE(watched.expired());
}

TEST(Artifact, SaysWhichSectionIsNotThereOrOfAnotherType) {
  const std::string bytes = Example();
  const Artifact artifact = Artifact::Open(Bytes(bytes), nullptr).value();
  EXPECT_THAT(artifact.Get<float>("gram").status().message(), HasSubstr("no section 'gram'"));
  EXPECT_THAT(artifact.Get<float>("items").status().message(), HasSubstr("holds u32 and not f32"));
  EXPECT_THAT(artifact.Get<float>("factors", 5).status().message(),
              HasSubstr("has 6 values and not 5"));
}

TEST(Artifact, RefusesEveryTruncation) {
  const std::string whole = Example();
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(OpenStatus(whole.substr(0, size)).code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(OpenStatus(whole + std::string(64, '\0')).code(), StatusCode::kDataLoss);
}

TEST(Artifact, RefusesEveryFlippedBit) {
  std::string bytes = Example();
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(OpenStatus(bytes).ok()) << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
  EXPECT_TRUE(OpenStatus(bytes).ok());
}

TEST(Artifact, SaysWhatIsWrongWithALayoutThatNoChecksumGuards) {
  struct Row {
    size_t offset;
    uint64_t value;
    size_t size;
    StatusCode code;
    std::string message;
  };
  constexpr size_t kFirst = 64;           // the entry of "factors"
  constexpr size_t kThird = 64 + 2 * 64;  // the entry of "items"
  const uint64_t huge = ~uint64_t{0};
  const std::string good = Example();
  for (const Row& row : std::vector<Row>{
           {0, 'X', 1, StatusCode::kDataLoss, "do not start with 'STRLMODL'"},
           {8, 2, 4, StatusCode::kFailedPrecondition, "format version 2 and this program reads 1"},
           {12, 1'000'000, 4, StatusCode::kDataLoss, "1000000 sections"},
           {12, 2, 4, StatusCode::kDataLoss, "starts at 256 and the one before ends at 192"},
           {16, 1, 8, StatusCode::kDataLoss, "says that it has 1 bytes"},
           {kFirst + 24, 9, 4, StatusCode::kDataLoss, "unknown type 9"},
           {kFirst + 32, huge, 8, StatusCode::kDataLoss, "does not fit"},
           {kFirst + 40, huge, 8, StatusCode::kDataLoss, "does not fit"},
           {kFirst + 48, 0, 8, StatusCode::kDataLoss, "starts at 0 and the one before ends at 256"},
           {kFirst + 48, huge, 8, StatusCode::kDataLoss, "starts at"},
           {kThird + 32, 0, 8, StatusCode::kDataLoss, "64 bytes follow the last section"},
           {kThird, 0, 8, StatusCode::kOk, ""},
       }) {
    std::string bytes = good;
    std::memcpy(bytes.data() + row.offset, &row.value, row.size);
    const Status status = OpenStatus(bytes, Checksums::kTrustBytes);
    EXPECT_EQ(status.code(), row.code) << row.offset << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.message));
  }
}

TEST(Artifact, RefusesTwoSectionsOfOneName) {
  std::string bytes = Example();
  std::memcpy(bytes.data() + 128, bytes.data() + 64, 24);
  EXPECT_THAT(std::string(OpenStatus(bytes, Checksums::kTrustBytes).message()),
              HasSubstr("'factors' is there twice"));
}

TEST(Artifact, RefusesAnAddressThatItsValuesCannotLieAt) {
  const std::string shifted = "x" + Example();
  const Status status = Artifact::Open(Bytes(shifted).subspan(1), nullptr).status();
  EXPECT_EQ(FieldViolations(status)[0].field, "bytes");
}

TEST(ArtifactWriterDeathTest, EndsTheProcessOnAMistakeOfIt) {
  const std::vector<float> values = {1, 2};
  EXPECT_DEATH(ArtifactWriter("a kind of 17 byte"), "1 to 16 bytes");
  EXPECT_DEATH(ArtifactWriter("als").Add<float>("factors", values, 2, 2), "not rows");
}

std::string WithIds(const IdTable& ids) {
  ArtifactWriter writer("ids");
  ids.AddTo(writer);
  return std::move(writer).Finish();
}

TEST(IdTable, FindsEveryNameAndNoOther) {
  std::vector<std::string> names = {"", "85123A", "85123B", std::string(300, 'x')};
  for (int i = 0; i < 1000; ++i) {
    names.push_back(fmt::format("item-{}", i));
  }
  const IdTable made = IdTable::Make(names).value();
  const std::string bytes = WithIds(made);
  const Artifact artifact = Artifact::Open(Bytes(bytes), nullptr).value();
  for (const IdTable& ids : {made, IdTable::Open(artifact).value()}) {
    EXPECT_EQ(ids.size(), names.size());
    for (uint32_t index = 0; index < names.size(); ++index) {
      EXPECT_EQ(ids.Id(index), names[index]);
      EXPECT_EQ(ids.Find(names[index]), index);
    }
    EXPECT_EQ(ids.Find("85123C"), std::nullopt);
  }
  EXPECT_EQ(IdTable().Find("x"), std::nullopt);
  EXPECT_EQ(IdTable::Make({}).value().Find("x"), std::nullopt);
}

TEST(IdTable, RefusesANameThatIsThereTwice) {
  const Status status = IdTable::Make({{"a", "b", "a"}}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("'a' is the name of both 0 and 2"));
}

TEST(IdTable, RefusesSectionsThatContradictEachOther) {
  struct Row {
    std::vector<uint64_t> offsets;
    std::vector<uint32_t> slots;
    std::string section;
  };
  const uint32_t free = ~uint32_t{0};
  const std::vector<uint8_t> text = {'a', 'b'};
  for (const Row& row : std::vector<Row>{
           {{}, {0, 1, free, free}, "ids.offsets"},
           {{0, 1, 3}, {0, 1, free, free}, "ids.offsets"},
           {{0, 3, 2}, {0, 1, free, free}, "ids.offsets"},
           {{1, 1, 2}, {0, 1, free, free}, "ids.offsets"},
           {{0, 1, 2}, {0, 2, free, free}, "ids.slots"},
           {{0, 1, 2}, {0, 1, free}, "ids.slots"},
           {{0, 1, 2}, {0, free}, "ids.slots"},
           {{0, 1, 2}, {0, 1, 0, 1}, "ids.slots"},
           {{0, 1, 2}, {}, "ids.slots"},
       }) {
    ArtifactWriter writer("ids");
    writer.Add<uint64_t>("ids.offsets", row.offsets);
    writer.Add<uint8_t>("ids.text", text);
    writer.Add<uint32_t>("ids.slots", row.slots);
    const std::string bytes = std::move(writer).Finish();
    const Artifact artifact = Artifact::Open(Bytes(bytes), nullptr).value();
    const Status status = IdTable::Open(artifact).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.section));
  }
}

}  // namespace
}  // namespace starling::learning

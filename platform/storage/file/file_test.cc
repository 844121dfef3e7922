#include <gtest/gtest.h>

#include <fstream>

#include "platform/base/id.h"
#include "platform/storage/file/durable_file.h"
#include "platform/storage/file/mapped_file.h"

namespace starling {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("starling-" + NewId());
};

std::string Text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(FileTest, AppearsWithItsCommitAndNotBefore) {
  auto file = DurableFile::Create(folder_ / "a");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append("one ").ok());
  ASSERT_TRUE(file->Append("two").ok());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a"));
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(*ReadWhole(folder_ / "a"), "one two");
}

TEST_F(FileTest, ADroppedFileLeavesTheOldOneAndNothingElse) {
  ASSERT_TRUE(WriteDurably(folder_ / "a", "old").ok());
  {
    auto file = DurableFile::Create(folder_ / "a");
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Append("new").ok());
  }
  EXPECT_EQ(*ReadWhole(folder_ / "a"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, WhatACrashLeftIsRemoved) {
  std::ofstream(folder_ / "a.unfinished") << "half";
  std::ofstream(folder_ / "b") << "whole";
  EXPECT_EQ(*RemoveUnfinished(folder_), 1);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.unfinished"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "b"));
}

TEST_F(FileTest, AMappingOutlivesTheFileThatReplacesIt) {
  ASSERT_TRUE(WriteDurably(folder_ / "a", "old").ok());
  const auto mapped = MappedFile::Open(folder_ / "a");
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  ASSERT_TRUE(WriteDurably(folder_ / "a", "new").ok());
  EXPECT_EQ(Text(**mapped), "old");
  std::filesystem::remove(folder_ / "a");
  EXPECT_EQ(Text(**mapped), "old");
}

TEST_F(FileTest, AMissingFileIsNamed) {
  EXPECT_EQ(MappedFile::Open(folder_ / "none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(ReadWhole(folder_ / "none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(DurableFile::Create(folder_ / "no" / "file").status().code(), StatusCode::kNotFound);
}

TEST_F(FileTest, AnEmptyFileCanBeMapped) {
  ASSERT_TRUE(WriteDurably(folder_ / "empty", "").ok());
  const auto mapped = MappedFile::Open(folder_ / "empty");
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_TRUE((*mapped)->bytes().empty());
}

}  // namespace
}  // namespace starling

#include "platform/storage/blob/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "platform/base/id.h"
#include "platform/storage/blob/conformance/blob_conformance.h"

namespace starling::blob {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class NewFolder final : public Location {
 public:
  ~NewFolder() override { fs::remove_all(path_); }
  StatusOr<std::unique_ptr<Store>> Open(Runtime&) override { return OpenFolder(path_); }

 private:
  const fs::path path_ = fs::path(testing::TempDir()) / NewId();
};

INSTANTIATE_TEST_SUITE_P(
    Folder, BlobConformance,
    testing::Values(Adapter{"folder", [] { return std::make_unique<NewFolder>(); }}),
    [](const testing::TestParamInfo<Adapter>& info) { return info.param.name; });

class FolderTest : public testing::Test {
 protected:
  ~FolderTest() override { fs::remove_all(path_); }
  Status Put(std::string_view key, std::string_view bytes) {
    Bytes source(bytes);
    return store_->Put(key, source).status();
  }
  size_t Files() {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

  const fs::path path_ = fs::path(testing::TempDir()) / NewId();
  std::unique_ptr<Store> store_ = OpenFolder(path_).value();
};

TEST_F(FolderTest, ABlobIsOneFileOfTheFolder) {
  ASSERT_TRUE(Put("recommender/7.model", "bytes").ok());
  EXPECT_EQ(fs::file_size(path_ / "recommender%7.model"), 5u + 48u);
  EXPECT_EQ(Files(), 1u);
}

TEST_F(FolderTest, WhatACrashLeftIsRemovedAtTheNextStart) {
  ASSERT_TRUE(Put("kept", "bytes").ok());
  std::ofstream(path_ / ".new-123") << "half";
  store_ = OpenFolder(path_).value();
  EXPECT_EQ(Files(), 1u);
  EXPECT_EQ(store_->GetAll("kept").value(), "bytes");
}

TEST_F(FolderTest, ATornFileIsToldByHeadAndAnAlteredOneByGet) {
  ASSERT_TRUE(Put("torn", "a whole blob").ok());
  ASSERT_TRUE(Put("tiny", "x").ok());
  ASSERT_TRUE(Put("altered", "another one").ok());
  fs::resize_file(path_ / "torn", 20);
  fs::resize_file(path_ / "tiny", 3);
  std::fstream(path_ / "altered", std::ios::in | std::ios::out) << "bnother";
  for (const char* key : {"torn", "tiny"}) {
    EXPECT_EQ(store_->Head(key).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(store_->Read(key, {.size = 1}).status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(store_->GetAll(key).status().code(), StatusCode::kDataLoss);
  }
  EXPECT_TRUE(store_->Head("altered").ok());
  const Status altered = store_->GetAll("altered").status();
  EXPECT_EQ(altered.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(altered.message()), HasSubstr("'altered'"));
  EXPECT_EQ(store_->List({})->entries.size(), 3u);
  ASSERT_TRUE(Put("altered", "another one").ok()) << "restored";
  EXPECT_EQ(store_->GetAll("altered").value(), "another one");
}

TEST_F(FolderTest, AWriteThatFailsLeavesWhatWasThereAndNothingElse) {
  ASSERT_TRUE(Put("key", "old").ok());
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1 << 20, before.rlim_max};  // the disk is full after a MiB
  setrlimit(RLIMIT_FSIZE, &small);
  const Status full = Put("key", std::string(3 << 20, 'x'));
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted) << full;
  EXPECT_EQ(store_->GetAll("key").value(), "old");
  EXPECT_EQ(Files(), 1u);
  EXPECT_TRUE(Put("key", std::string(3 << 20, 'x')).ok());
}

// A source whose second part cannot be read.
class Broken final : public Source {
 public:
  uint64_t size() const override { return 3 << 20; }
  StatusOr<std::string_view> Read(uint64_t offset, size_t size) override {
    if (offset > 0) return Unavailable("the source broke");
    bytes_.assign(size, 'x');
    return bytes_;
  }

 private:
  std::string bytes_;
};

TEST_F(FolderTest, ASourceThatBreaksIsNoBlob) {
  Broken source;
  EXPECT_EQ(store_->Put("key", source).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Files(), 0u);
}

TEST_F(FolderTest, AFolderThatCannotBeIsSaid) {
  std::ofstream(path_ / "file") << "x";
  EXPECT_FALSE(OpenFolder(path_ / "file" / "below").ok());
}

}  // namespace
}  // namespace starling::blob

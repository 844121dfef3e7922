#include "platform/host/data_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/base/id.h"

namespace starling::host {
namespace {

using testing::HasSubstr;

class DataFolderTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(folder_); }
  const std::filesystem::path folder_ = std::filesystem::path(testing::TempDir()) / NewId();
};

TEST_F(DataFolderTest, RefusesASecondProcessAndNamesTheFirst) {
  const auto first = DataFolder::Open(folder_, "starling up");
  ASSERT_TRUE(first.ok());
  const pid_t child = fork();
  if (child == 0) {
    const auto second = DataFolder::Open(folder_, "starling serve");
    const bool named =
        std::string(second.status().message()).find(fmt::format("process {}", getppid())) !=
        std::string::npos;
    _exit(second.status().code() == StatusCode::kFailedPrecondition && named ? 0 : 1);
  }
  int exit_code = 0;
  waitpid(child, &exit_code, 0);
  EXPECT_EQ(exit_code, 0);
  EXPECT_THAT(DataFolder::Holder(folder_), HasSubstr("starling up"));
}

TEST_F(DataFolderTest, IsFreeOnceItsHolderIsGone) {
  { ASSERT_TRUE(DataFolder::Open(folder_, "a").ok()); }
  EXPECT_EQ(DataFolder::Holder(folder_), "");
  EXPECT_TRUE(DataFolder::Open(folder_, "b").ok());
}

TEST_F(DataFolderTest, SaysWhatIsWrongWithAPathThatIsAFile) {
  std::filesystem::create_directories(folder_);
  const auto file = folder_ / "file";
  std::fclose(std::fopen(file.c_str(), "w"));
  const auto folder = DataFolder::Open(file, "a");
  EXPECT_EQ(folder.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(folder.status().message(), HasSubstr(file.string()));
  EXPECT_THAT(folder.status().message(), HasSubstr("--data"));
}

}  // namespace
}  // namespace starling::host

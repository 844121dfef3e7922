#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "platform/base/id.h"
#include "platform/telemetry/log.h"

namespace starling::log {
namespace {

using testing::HasSubstr;

constexpr Duration kPatience = std::chrono::seconds(60);

class LogFile : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override {
    SetClock(nullptr);
    ASSERT_TRUE(SetOutput({}).ok());
    Flush(kPatience);
    std::filesystem::remove_all(folder_);
  }
  std::string Path(std::string_view name) const { return (folder_ / name).string(); }
  static std::string Read(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / ("log_" + NewId());
};

TEST_F(LogFile, HoldsEveryLineOfEveryThreadOnceFlushed) {
  ASSERT_TRUE(SetOutput({.kind = Output::kFile, .path = Path("a.log")}).ok());
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < 200; ++i) Info(fmt::format("thread{}", t), "line {}", i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(Flush(kPatience));
  const std::string text = Read(Path("a.log"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 800);
  EXPECT_THAT(text, HasSubstr("thread3    line 199\n"));
}

TEST_F(LogFile, StartsANewFileAtItsSizeAndKeepsAsManyAsAsked) {
  ASSERT_TRUE(
      SetOutput({.kind = Output::kFile, .path = Path("a.log"), .max_bytes = 2'000, .max_files = 2})
          .ok());
  for (int i = 0; i < 100; ++i) Info("rotate", "a line of some length, number {}", i);
  ASSERT_TRUE(Flush(kPatience));
  EXPECT_THAT(Read(Path("a.log")), HasSubstr("number 99\n"));
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    names.push_back(entry.path().filename());
    EXPECT_LE(entry.file_size(), 2'000u);
  }
  EXPECT_EQ(names.size(), 3u);
}

TEST_F(LogFile, StaysWhereItWasWhenTheNextCannotBeOpened) {
  ASSERT_TRUE(SetOutput({.kind = Output::kFile, .path = Path("a.log")}).ok());
  std::ofstream(Path("no_folder")) << "a file";
  const Status refused = SetOutput({.kind = Output::kFile, .path = Path("no_folder/b.log")});
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(Path("no_folder/b.log")));
  EXPECT_EQ(SetOutput({.kind = Output::kFile}).code(), StatusCode::kInvalidArgument);
  Info("test", "still here");
  ASSERT_TRUE(Flush(kPatience));
  EXPECT_THAT(Read(Path("a.log")), HasSubstr("still here"));
}

// The output is a pipe that nobody reads: the writer blocks, the callers must not.
TEST_F(LogFile, DropsAndCountsWhenItsOutputStandsStill) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  const int reader = open(Path("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  ASSERT_TRUE(
      SetOutput({.kind = Output::kFile, .path = Path("pipe"), .max_bytes = size_t{1} << 40}).ok());
  FakeClock clock(*ParseRfc3339("2026-01-02T03:04:05Z"));
  SetClock(&clock);
  const uint64_t before = DroppedLines();
  const std::string payload(4'000, 'x');
  for (int i = 0; i < 4'000; ++i) {  // 16 MB into a pipe of 64 kB and a queue of 8 MB
    if (i % 500 == 0) clock.Advance(std::chrono::seconds(1));
    Info("stuck", "{}", payload);
  }
  const uint64_t dropped = DroppedLines() - before;
  EXPECT_GT(dropped, 1'000u);
  EXPECT_FALSE(Flush(Duration(0)));

  // Read on, the writer goes on, and the next line tells of the loss.
  ASSERT_EQ(fcntl(reader, F_SETFL, 0), 0);
  std::string text;
  std::thread drain([&] {
    std::string buffer(1 << 16, '\0');
    while (!text.ends_with("the end\n")) {
      const ssize_t bytes = read(reader, buffer.data(), buffer.size());
      if (bytes <= 0) break;
      text.append(buffer, 0, static_cast<size_t>(bytes));
      if (text.find("\"told\"") != std::string::npos || text.find(" told") != std::string::npos)
        break;
    }
  });
  ASSERT_TRUE(Flush(kPatience));
  clock.Advance(std::chrono::seconds(1));
  Info("stuck", "told");
  ASSERT_TRUE(Flush(kPatience));
  drain.join();
  EXPECT_THAT(text.substr(text.size() - 200),
              HasSubstr(fmt::format("told lines_dropped={}", dropped)));
  ASSERT_TRUE(SetOutput({}).ok());
  close(reader);
}

}  // namespace
}  // namespace starling::log

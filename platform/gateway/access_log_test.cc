#include "platform/gateway/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "platform/base/id.h"

namespace starling::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() { std::filesystem::create_directories(folder_); }
  ~AccessLogTest() override { std::filesystem::remove_all(folder_); }

  static std::string TextOf(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  static http::DetachedExchange Some(int status = 200) {
    http::DetachedExchange exchange;
    exchange.request.verb_text = "GET";
    exchange.request.path = "/a\nb\"";
    exchange.request.target = "/a?token=secret1";
    exchange.request.query = "token=secret1";
    exchange.request.remote_address = "10.0.0.9";
    exchange.request.headers.Set("Authorization", "Bearer secret2");
    exchange.request.headers.Set("Cookie", "secret3");
    exchange.request.headers.Set("Host", "shop.example");
    exchange.request.headers.Set("User-Agent", "curl\x1b[31m");
    exchange.request.body = "secret4";
    exchange.route = "/{rest=**}";
    exchange.response.status = status;
    exchange.response.body = "12345";
    exchange.response.headers.Set("Set-Cookie", "secret5");
    exchange.response.headers.Set("traceparent",
                                  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    return exchange;
  }

  const std::filesystem::path folder_ = std::filesystem::temp_directory_path() / NewId();
  const std::string file_ = (folder_ / "access.jsonl").string();
};

TEST_F(AccessLogTest, WritesALineOfJsonForEachRequestAndNoSecret) {
  {
    auto log = AccessLog::Open({.file = file_}).value();
    for (int i = 0; i < 3; ++i) log->Write(Some(), std::chrono::microseconds(87));
  }
  const std::string text = TextOf(file_);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_THAT(text, StartsWith("{\"time\":\"20"));
  EXPECT_THAT(text,
              HasSubstr(R"(Z","method":"GET","path":"/a\nb\"","route":"/{rest=**}","status":200,)"
                        R"("bytes":5,"us":87,"from":"10.0.0.9","host":"shop.example",)"
                        R"("agent":"curl\u001b[31m",)"
                        R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"})"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
}

TEST_F(AccessLogTest, SamplesButKeepsFailures) {
  {
    auto log = AccessLog::Open({.file = file_, .sample = 0.1}).value();
    for (int i = 0; i < 2000; ++i) log->Write(Some(), Duration(1));
    for (int i = 0; i < 50; ++i) log->Write(Some(503), Duration(1));
  }
  const std::string text = TextOf(file_);
  EXPECT_NEAR(std::count(text.begin(), text.end(), '\n'), 250, 70);
  size_t failures = 0;
  for (size_t at = text.find("\"status\":503"); at != std::string::npos;
       at = text.find("\"status\":503", at + 1))
    ++failures;
  EXPECT_EQ(failures, 50u);
}

TEST_F(AccessLogTest, LosesNoLineOfSeveralThreads) {
  {
    auto log = AccessLog::Open({.file = file_}).value();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        http::DetachedExchange exchange = Some();
        exchange.request.thread_index = t;
        for (int i = 0; i < 5000; ++i) log->Write(exchange, Duration(1));
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(log->dropped(), 0u);
  }
  std::ifstream in(file_);
  size_t lines = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    ASSERT_TRUE(line.starts_with("{\"time\"") && line.ends_with("}")) << line;
  }
  EXPECT_EQ(lines, 20'000u);
}

TEST_F(AccessLogTest, WritesToANewFileOnceItsOwnWasMoved) {
  auto log = AccessLog::Open({.file = file_}).value();
  log->Write(Some(), Duration(1));
  const auto wait_for = [](const std::filesystem::path& file) {
    const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (TextOf(file).empty() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return !TextOf(file).empty();
  };
  EXPECT_TRUE(wait_for(file_));
  std::filesystem::rename(file_, folder_ / "old");
  const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!std::filesystem::exists(file_) && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  log->Write(Some(), Duration(1));
  EXPECT_TRUE(wait_for(file_));
}

TEST_F(AccessLogTest, CountsWhatADiskThatIsFullDoesNotTake) {
  auto log = AccessLog::Open({.file = "/dev/full"}).value();
  for (int i = 0; i < 10; ++i) log->Write(Some(), Duration(1));
  const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (log->dropped() < 10 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(log->dropped(), 10u);
}

TEST_F(AccessLogTest, SaysWhichFileCannotBeWritten) {
  const auto log = AccessLog::Open({.file = (folder_ / "none/access").string()});
  EXPECT_EQ(log.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(log.status().message()), HasSubstr("none/access"));
}

}  // namespace
}  // namespace starling::gateway

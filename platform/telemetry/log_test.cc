#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "platform/telemetry/log.h"

namespace starling::log {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string>& Lines() {
  static std::vector<std::string> lines;
  return lines;
}

class Log : public testing::Test {
 protected:
  void SetUp() override {
    Lines().clear();
    SetSink([](std::string_view line) { Lines().emplace_back(line); });
  }
  void TearDown() override {
    SetSink(nullptr);
    Configure({});
  }
};

TEST_F(Log, WritesOneJsonObjectALine) {
  Configure({.format = Format::kJson});
  const auto trace = telemetry::TraceContext::NewRoot();
  Info("catalog", "loaded {} \"products\"", 7).With("path", "a\nb").With("ms", 12).In(trace);
  ASSERT_EQ(Lines().size(), 1u);
  simdjson::dom::parser parser;
  const auto line = parser.parse(Lines()[0]);
  EXPECT_EQ(std::string_view(line["message"]), "loaded 7 \"products\"");
  EXPECT_EQ(std::string_view(line["level"]), "info");
  EXPECT_EQ(std::string_view(line["path"]), "a\nb");
  EXPECT_EQ(std::string_view(line["trace_id"]), trace.TraceIdHex());
}

TEST_F(Log, CannotBeForgedByAValueWithANewline) {
  Warning("http", "path {}", "x\n2026 error fake").With("who", "a\r\nb");
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_EQ(std::count(Lines()[0].begin(), Lines()[0].end(), '\n'), 1);
  EXPECT_THAT(Lines()[0], EndsWith("\n"));
}

TEST_F(Log, MasksSecrets) {
  for (const char* name : {"password", "access_token", "Authorization", "api_key", "cluster_key", "Set-Cookie"}) {
    Info("security", "called").With(name, "hunter2");
  }
  ASSERT_EQ(Lines().size(), 6u);
  for (const std::string& line : Lines()) EXPECT_THAT(line, Not(HasSubstr("hunter2")));
}

TEST_F(Log, LeavesOutWhatIsBelowItsLevel) {
  Configure({.level = Level::kWarning});
  Info("a", "no");
  Error("a", "yes");
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_FALSE(ParseLevel("loud").ok());
  EXPECT_EQ(*ParseLevel("error"), Level::kError);
}

TEST_F(Log, DropsAFloodAndSaysHowMuch) {
  for (int i = 0; i < 5'000; ++i) Info("flood", "again");
  EXPECT_LT(Lines().size(), 5'000u);
  EXPECT_GE(Lines().size(), 1'000u);
}

}  // namespace
}  // namespace starling::log

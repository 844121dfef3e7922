#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <limits>

#include "platform/telemetry/log.h"
#include "platform/telemetry/log_throttle.h"
#include "platform/telemetry/text.h"

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
    SetClock(nullptr);
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
  for (const char* name :
       {"password", "access_token", "Authorization", "api_key", "cluster_key", "Set-Cookie"}) {
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
  FakeClock clock(*ParseRfc3339("2026-01-02T03:04:05Z"));
  SetClock(&clock);
  const uint64_t before = DroppedLines();
  for (int i = 0; i < 5'000; ++i) Info("flood", "again");
  EXPECT_EQ(Lines().size(), 1'000u);
  EXPECT_EQ(DroppedLines() - before, 4'000u);
  Info("quiet", "not concerned");
  EXPECT_EQ(Lines().size(), 1'001u);
  clock.Advance(std::chrono::seconds(1));
  Info("flood", "later");
  EXPECT_THAT(Lines().back(), HasSubstr("later lines_dropped=4000\n"));
  Info("flood", "and on");
  EXPECT_THAT(Lines().back(), Not(HasSubstr("lines_dropped")));
}

TEST_F(Log, KeepsAComponentAtALevelOfItsOwn) {
  Configure(
      {.level = Level::kWarning, .components = {{"sql", Level::kDebug}, {"noisy", Level::kOff}}});
  Debug("sql", "one");
  Info("http", "no");
  Error("noisy", "no");
  Warning("http", "two");
  ASSERT_EQ(Lines().size(), 2u);
  EXPECT_TRUE(Enabled(Level::kDebug));
  EXPECT_FALSE(Enabled(Level::kInfo, "http"));
  Configure({.level = Level::kOff});
  Error("http", "no");
  EXPECT_EQ(Lines().size(), 2u);
}

TEST_F(Log, WritesNumbersAsNumbersAndIsReadableWhateverTheValues) {
  Configure({.format = Format::kJson});
  Error("we\"b", "bytes \xff\xfe \x1b[31m")
      .With("count", uint64_t{18446744073709551615u})
      .With("ratio", 0.25)
      .With("endless", std::numeric_limits<double>::quiet_NaN())
      .With("ok", false)
      .With("letter", 'x')
      .With("message", "mine")
      .With("a\"b\n", "\xe2\x80\xa8")
      .With(NotFound("no 'x'"));
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_THAT(Lines()[0], Not(HasSubstr("\x1b")));
  simdjson::dom::parser parser;
  simdjson::dom::element line;
  ASSERT_EQ(parser.parse(Lines()[0]).get(line), simdjson::SUCCESS) << Lines()[0];
  EXPECT_EQ(uint64_t(line["count"]), 18446744073709551615u);
  EXPECT_EQ(double(line["ratio"]), 0.25);
  EXPECT_EQ(std::string_view(line["endless"]), "nan");
  EXPECT_FALSE(bool(line["ok"]));
  EXPECT_EQ(std::string_view(line["letter"]), "x");
  EXPECT_EQ(std::string_view(line["message_"]), "mine");
  EXPECT_EQ(std::string_view(line["component"]), "we\"b");
  EXPECT_EQ(std::string_view(line["error"]), "NOT_FOUND: no 'x'");
}

TEST_F(Log, NeverLetsAValueLookLikeAnotherFieldOrLine) {
  for (const char* attack : {"a\nb", "a\rb", "\x1b[2J", "\x7f", "\xc2\x9b", "\xe2\x80\xa9",
                             "1 user=admin", "\" x=\"1"}) {
    Lines().clear();
    Info("web\n", "m").With("value", attack);
    ASSERT_EQ(Lines().size(), 1u);
    const std::string& line = Lines()[0];
    EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
    for (const char* raw : {"\r", "\x1b", "\x7f", "\xc2\x9b", "\xe2\x80\xa9"})
      EXPECT_THAT(line, Not(HasSubstr(raw)));
    EXPECT_THAT(line, Not(HasSubstr(" user=admin\n")));
  }
}

TEST_F(Log, BoundsWhatOneLineHolds) {
  auto long_text = std::string(20'000, 'x');
  Info("bounds", "{}", long_text).With("value", long_text);
  EXPECT_LT(Lines().back().size(), 17'000u);
  EXPECT_THAT(Lines().back(), HasSubstr("...(11808 bytes more)"));
}

TEST(SecretNames, AreKnownInEverySpelling) {
  for (const char* name :
       {"password", "user_password", "X-Api-Key", "apiKey", "refreshToken", "AUTHORIZATION", "key",
        "signingKey", "cluster-key", "Set-Cookie", "client_secret", "db.passwd"}) {
    EXPECT_TRUE(telemetry::IsSecretName(name)) << name;
  }
  for (const char* name : {"monkey", "path", "keyboard", "user_id", "", "ke", "turkey"}) {
    EXPECT_FALSE(telemetry::IsSecretName(name)) << name;
  }
}

TEST(LogThrottle, LetsEveryNthThrough) {
  EveryN every(3);
  std::vector<bool> taken;
  taken.reserve(7);
  for (int i = 0; i < 7; ++i) taken.push_back(every.Take());
  EXPECT_THAT(taken, testing::ElementsAre(true, false, false, true, false, false, true));
}

TEST(LogThrottle, LetsAFewASecondThroughAndCountsTheRest) {
  FakeClock clock(*ParseRfc3339("2026-01-02T03:04:05Z"));
  PerSecond throttle(2, clock);
  EXPECT_EQ(throttle.Take(), 0u);
  EXPECT_EQ(throttle.Take(), 0u);
  EXPECT_EQ(throttle.Take(), std::nullopt);
  clock.Advance(std::chrono::milliseconds(999));
  EXPECT_EQ(throttle.Take(), std::nullopt);
  clock.Advance(std::chrono::milliseconds(1));
  EXPECT_EQ(throttle.Take(), 2u);
  EXPECT_EQ(throttle.Take(), 0u);
}

}  // namespace
}  // namespace starling::log

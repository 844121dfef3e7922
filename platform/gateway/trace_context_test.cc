// W3C Trace Context through the gateway; docs/conformance/trace-context.md names the clauses.
#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kParent = "b7ad6b7169203331";

class TraceContextThroughTheGateway : public GatewayTest {
 protected:
  TraceContextThroughTheGateway() { StartWith(up_); }
  // What the upstream got.
  std::string Passed(std::string_view fields) {
    (void)Get("/a", fields);
    return up_.requests().back();
  }
  static std::string ParentIn(const std::string& request) {
    const size_t at = request.find("traceparent: ");
    return at == std::string::npos ? "" : request.substr(at + 13, 55);
  }
  RawServer up_{[](const std::string&, int) -> RawServer::Answer { return {Ok("ok")}; }};
};

TEST_F(TraceContextThroughTheGateway, GoesOnInTheSameTraceWithASpanOfOurOwn) {
  const std::string got =
      Passed(fmt::format("traceparent: 00-{}-{}-01\r\ntracestate: a=1,b=2\r\n", kTrace, kParent));
  const std::string parent = ParentIn(got);
  EXPECT_THAT(parent, testing::StartsWith(fmt::format("00-{}-", kTrace)));
  EXPECT_THAT(parent, Not(HasSubstr(kParent)));
  EXPECT_THAT(parent, testing::EndsWith("-01"));
  EXPECT_THAT(got, HasSubstr("tracestate: a=1,b=2\r\n"));
  EXPECT_EQ(got.find("traceparent"), got.rfind("traceparent"));
}

TEST_F(TraceContextThroughTheGateway, TakesWhatIsValid) {
  const std::string long_state = "k=" + std::string(254, 'v') + ",l=" + std::string(254, 'v');
  const std::string rows[] = {
      fmt::format("TraceParent: 00-{}-{}-00\r\nTraceState: a=1\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-ff\r\n", kTrace, kParent),
      fmt::format("traceparent:  \t00-{}-{}-01 \t\r\n", kTrace, kParent),
      // A later version is read as far as 00 goes.
      fmt::format("traceparent: cc-{}-{}-01\r\n", kTrace, kParent),
      fmt::format("traceparent: cc-{}-{}-01-what-the-future-will-be-like\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-01\r\ntracestate: {}\r\n", kTrace, kParent, long_state)};
  for (const std::string& row : rows) {
    const std::string got = Passed(row);
    EXPECT_THAT(ParentIn(got), testing::StartsWith(fmt::format("00-{}-", kTrace))) << row;
  }
  // At least 512 characters of state go on.
  EXPECT_THAT(up_.requests().back(), HasSubstr(long_state));
}

TEST_F(TraceContextThroughTheGateway, BeginsANewTraceForWhatIsNot) {
  const std::string upper = "0AF7651916CD43DD8448EB211C80319C";
  const std::string rows[] = {
      "",
      "traceparent: \r\n",
      fmt::format("traceparent: 00-{}-{}\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-0\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-001\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-01-x\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-01.\r\n", kTrace, kParent),
      fmt::format("traceparent: cc-{}-{}-01.x\r\n", kTrace, kParent),
      fmt::format("traceparent: ff-{}-{}-01\r\n", kTrace, kParent),
      fmt::format("traceparent: 0-{}-{}-01\r\n", kTrace, kParent),
      fmt::format("traceparent: 0x-{}-{}-01\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-0x\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{}-{}-01\r\n", upper, kParent),
      fmt::format("traceparent: 00-{}-{}-01\r\n", std::string(32, '0'), kParent),
      fmt::format("traceparent: 00-{}-{}-01\r\n", kTrace, std::string(16, '0')),
      fmt::format("traceparent: 00-{}-{}-01\r\n", std::string(31, 'a') + ".", kParent),
      fmt::format("traceparent: 00_{}_{}_01\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{0}-{1}-01\r\ntraceparent: 00-{0}-{1}-01\r\n", kTrace, kParent),
      fmt::format("traceparent: 00-{0}-{1}-01,00-{0}-{1}-01\r\n", kTrace, kParent),
      fmt::format("trace-parent: 00-{}-{}-01\r\n", kTrace, kParent)};
  for (const std::string& row : rows) {
    const std::string got = Passed(row + "tracestate: a=1\r\n");
    const std::string parent = ParentIn(got);
    EXPECT_EQ(parent.size(), 55u) << row;
    EXPECT_THAT(parent, Not(HasSubstr(kTrace))) << row;
    EXPECT_THAT(parent, Not(HasSubstr(upper))) << row;
    EXPECT_THAT(got, Not(HasSubstr("tracestate"))) << row;
  }
}

TEST_F(TraceContextThroughTheGateway, PassesStateInSeveralFieldsOnInOrder) {
  const std::string got = Passed(fmt::format(
      "traceparent: 00-{}-{}-01\r\ntracestate: a=1\r\ntracestate: b=2\r\n", kTrace, kParent));
  EXPECT_THAT(got, HasSubstr("tracestate: a=1\r\n"));
  EXPECT_LT(got.find("a=1"), got.find("b=2"));
}

TEST_F(TraceContextThroughTheGateway, TellsTheClientItsTrace) {
  const std::string answer =
      Get("/a", fmt::format("traceparent: 00-{}-{}-01\r\n", kTrace, kParent));
  EXPECT_THAT(answer, HasSubstr(fmt::format("traceparent: 00-{}-", kTrace)));
}

}  // namespace
}  // namespace starling::gateway

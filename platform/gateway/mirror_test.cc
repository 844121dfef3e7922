// Copies of requests to another upstream, and what they may not do to the request itself.
#include "platform/gateway/mirror.h"

#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::StatusOf;
using testing::HasSubstr;
using testing::Not;
using UpstreamAnswer = RawServer::Answer;

class Mirrors : public GatewayTest {
 protected:
  void StartMirror(const RawServer& upstream, const std::string& copy, double sample = 1.0,
                   int max_in_flight = 32) {
    RouteConfig route = Route("/{rest=**}", "up");
    route.access = "caller";
    route.timeout = std::chrono::seconds(2);
    route.mirror = {.upstream = "copy", .sample = sample, .max_in_flight = max_in_flight};
    Start({{"up", To({upstream.address()})}, {"copy", To({copy})}}, {route});
  }
  double Count(std::string_view result) {
    const std::string text = telemetry_.metrics().Expose();
    const size_t line = text.find(fmt::format(",result=\"{}\"}} ", result));
    return line == std::string::npos ? -1 : std::stod(text.substr(text.find("} ", line) + 2));
  }
  void WaitFor(const std::function<bool()>& done) {
    for (int i = 0; i < 2000 && !done(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(done());
  }
  RawServer up_{[](const std::string&, int) -> UpstreamAnswer { return {Ok("real")}; }};
};

TEST_F(Mirrors, GetTheWholeRequestAndWhoCalls) {
  RawServer copy([](const std::string&, int) -> UpstreamAnswer { return {Ok("copy")}; });
  StartMirror(up_, copy.address());
  const std::string answer =
      Ask("POST /a?b=c HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\nX-Starling-User: eve\r\n"
          "Content-Length: 5\r\n\r\nhello");
  EXPECT_EQ(BodyOf(answer), "real");
  WaitFor([&] { return Count("answered") == 1; });
  ASSERT_EQ(copy.requests().size(), 1u);
  EXPECT_THAT(copy.requests()[0], testing::StartsWith("POST /a?b=c HTTP/1.1\r\n"));
  EXPECT_THAT(copy.requests()[0], HasSubstr("X-Starling-User: ada\r\n"));
  EXPECT_THAT(copy.requests()[0], Not(HasSubstr("Bearer")));
  EXPECT_THAT(copy.requests()[0], testing::EndsWith("\r\n\r\nhello"));
  // Who may not ask is not copied.
  EXPECT_EQ(StatusOf(Get("/a")), 401);
  EXPECT_EQ(copy.requests().size(), 1u);
}

// The copy never answers, yet every request does: above the bound they are skipped.
TEST_F(Mirrors, ThatAreSlowDelayNothing) {
  std::atomic<bool> over = false;
  RawServer copy([&](const std::string&, int) -> UpstreamAnswer {
    while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return {Ok("late")};
  });
  StartMirror(up_, copy.address(), 1.0, 2);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(BodyOf(Get("/a", "Authorization: Bearer ada\r\n")), "real");
  EXPECT_EQ(Count("skipped"), 8);
  over = true;
  WaitFor([&] { return Count("answered") == 2; });
}

TEST_F(Mirrors, ThatAreGoneFailNothing) {
  uint16_t port = 0;
  {
    port = RawServer([](const std::string&, int) -> UpstreamAnswer { return {""}; }).port();
  }
  StartMirror(up_, fmt::format("127.0.0.1:{}", port));
  EXPECT_EQ(BodyOf(Get("/a", "Authorization: Bearer ada\r\n")), "real");
  WaitFor([&] { return Count("failed") == 1; });
}

TEST_F(Mirrors, TakeAPartOfTheRequests) {
  RawServer copy([](const std::string&, int) -> UpstreamAnswer { return {Ok("copy")}; });
  StartMirror(up_, copy.address(), 0.25, 10'000);
  http::RawSocket socket(port_);
  for (int i = 0; i < 1000; ++i)
    (void)socket.Ask("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\n\r\n");
  EXPECT_NEAR(static_cast<double>(copy.requests().size()), 250, 75);  // five standard deviations
}

}  // namespace
}  // namespace starling::gateway

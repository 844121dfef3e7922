// Endpoints that an operator drains, and connections that nobody asks any more.
#include <thread>

#include "platform/gateway/gateway_test_fixture.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::StatusOf;
using std::chrono::milliseconds;
using Answer = RawServer::Answer;

class Drain : public GatewayTest {
 protected:
  static RawServer::Handler Named(const std::string& name) {
    return [name](const std::string&, int) -> Answer { return {Ok(name)}; };
  }
  void StartWithBoth() {
    Start({{"up", To({a_.address(), b_.address()})}}, {Route("/{rest=**}", "up")});
  }
  int Of(const std::string& name) {
    int count = 0;
    for (int i = 0; i < 40; ++i) count += BodyOf(Get("/")) == name ? 1 : 0;
    return count;
  }
  EndpointState StateOf(const std::string& address) {
    for (const EndpointState& state : upstreams_.Find("up")->Endpoints()) {
      if (state.address == address) return state;
    }
    return {};
  }
  RawServer a_{Named("a")};
  RawServer b_{Named("b")};
};

TEST_F(Drain, ADrainedEndpointGetsNothingUntilItIsBack) {
  StartWithBoth();
  EXPECT_GT(Of("a"), 0);
  ASSERT_TRUE(upstreams_.Find("up")->SetDrained(a_.address(), true).ok());
  EXPECT_TRUE(StateOf(a_.address()).drained);
  EXPECT_EQ(Of("a"), 0);
  ASSERT_TRUE(upstreams_.Find("up")->SetDrained(b_.address(), true).ok());
  EXPECT_EQ(StatusOf(Get("/")), 503) << "all are drained, and none is asked";
  ASSERT_TRUE(upstreams_.Find("up")->SetDrained(a_.address(), false).ok());
  EXPECT_EQ(Of("a"), 40);
  const Status unknown = upstreams_.Find("up")->SetDrained("192.0.2.1:1", true);
  EXPECT_TRUE(absl::IsNotFound(unknown)) << unknown;
}

TEST_F(Drain, ARequestUnderWayEndsAndIsCounted) {
  RawServer slow([](const std::string&, int) -> Answer {
    return {.bytes = Ok("slow"), .before = milliseconds(500)};
  });
  Start({{"up", To({slow.address()})}}, {Route("/{rest=**}", "up")});
  std::string answer;
  std::thread thread([&] { answer = Get("/"); });
  while (slow.requests().empty()) std::this_thread::yield();
  ASSERT_TRUE(upstreams_.Find("up")->SetDrained(slow.address(), true).ok());
  EXPECT_EQ(StateOf(slow.address()).in_flight, 1);
  thread.join();
  EXPECT_EQ(BodyOf(answer), "slow");
  while (StateOf(slow.address()).in_flight > 0) std::this_thread::yield();
}

TEST_F(Drain, StaysOverAChangeOfTheUpstreamAndWhatAHealthCheckSays) {
  UpstreamConfig config = To({a_.address(), b_.address()});
  Start({{"up", config}}, {Route("/{rest=**}", "up")});
  ASSERT_TRUE(upstreams_.Find("up")->SetDrained(a_.address(), true).ok());
  config.health.path = "/healthz";
  config.health.interval = milliseconds(10);
  Start({{"up", config}}, {Route("/{rest=**}", "up")});
  const size_t before = a_.requests().size();
  while (a_.requests().size() < before + 3) std::this_thread::yield();  // it is asked, and is well
  EXPECT_EQ(Of("a"), 0);
}

TEST_F(Drain, IdleConnectionsAreClosedThoughNobodyAsksAgain) {
  UpstreamConfig config = To({a_.address()});
  config.idle_timeout = milliseconds(50);
  Start({{"up", config}}, {Route("/{rest=**}", "up")});
  EXPECT_EQ(BodyOf(Get("/")), "a");
  while (a_.ended() == 0) std::this_thread::yield();
  while (StateOf(a_.address()).idle > 0) std::this_thread::yield();
  EXPECT_EQ(a_.connections(), 1);
  EXPECT_EQ(BodyOf(Get("/")), "a");
  EXPECT_EQ(a_.connections(), 2);
}

TEST_F(Drain, ConnectionsThatAreAskedAreKept) {
  Start({{"up", To({a_.address()})}}, {Route("/{rest=**}", "up")});
  http::RawSocket socket(port_);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(BodyOf(socket.Ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")), "a");
  EXPECT_EQ(StateOf(a_.address()).idle, 1);
  EXPECT_EQ(a_.connections(), 1);
  EXPECT_EQ(a_.ended(), 0);
}

}  // namespace
}  // namespace starling::gateway

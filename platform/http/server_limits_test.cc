// What the server does at its bounds: sizes, times, counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/async/bounded_queue.h"
#include "platform/http/raw_socket.h"
#include "platform/http/server.h"

namespace starling::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kWaits = "GET /waits HTTP/1.1\r\nHost: x\r\n\r\n";

class ServerLimits : public testing::Test {
 protected:
  ~ServerLimits() override {
    server_.reset();
    // Handlers that still wait use the queues: the io threads end before those go.
    answers_.Close();
    runtime_.Stop();
  }

  uint16_t Start(Server::Options options) {
    options.sweep_interval = milliseconds(5);
    Router router;
    const auto add = [&](Verb verb, const char* path, Handler handler,
                         RouteOptions route_options = {}) {
      ASSERT_TRUE(router.Add(verb, path, std::move(handler), route_options).ok());
    };
    const auto size = [](Exchange& exchange) -> Task<void> {
      exchange.response.body = std::to_string(exchange.request.body.size());
      co_return;
    };
    add(Verb::kGet, "/hello", size);
    add(Verb::kPost, "/usual", size);
    add(Verb::kPost, "/large", size, {.max_body_bytes = 5000});
    add(Verb::kPost, "/small", size, {.max_body_bytes = 5});
    add(Verb::kGet, "/waits", [this](Exchange& exchange) -> Task<void> {
      EXPECT_TRUE(running_.TryPush(1));
      const std::optional<int> answer = co_await answers_.Pop();
      exchange.response.body = std::to_string(answer.value_or(-1));
    });
    add(Verb::kGet, "/endless", [](Exchange& exchange) -> Task<void> {
      ResponseStream& stream = exchange.StartStream();
      const std::string chunk(100'000, 'z');
      for (;;) {
        const Status written = co_await stream.Write(chunk);
        if (!written.ok()) co_return;
      }
    });
    server_ = std::make_unique<Server>(runtime_, std::move(options),
                                       std::make_shared<const Router>(std::move(router)));
    return server_->Start().value();
  }

  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  BoundedQueue<int> answers_{16};
  BoundedQueue<int> running_{16};
  std::unique_ptr<Server> server_;
};

TEST_F(ServerLimits, RefusesMalformedRequestsAndCloses) {
  const uint16_t port = Start({});
  const std::pair<std::string, int> cases[] = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"nonsense\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400},
      {"POST /usual HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"GET / HTTP/3.0\r\n\r\n", 505},
      {"GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
      {"GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(20'000, 'a') + "\r\n\r\n", 431},
  };
  for (const auto& [request, status] : cases) {
    RawSocket socket(port);
    // A good request before it is answered all the same.
    socket.Send(std::string(kHello) + request);
    EXPECT_EQ(StatusOf(socket.ReadResponse()), 200);
    const std::string response = socket.ReadToEnd();
    EXPECT_EQ(StatusOf(response), status) << request.substr(0, 80);
    EXPECT_THAT(response, HasSubstr("application/problem+json"));
    EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
    EXPECT_FALSE(socket.reset()) << request.substr(0, 80);
  }
  EXPECT_EQ(server_->Stats().malformed_requests, std::size(cases));
}

TEST_F(ServerLimits, BoundsBodiesByServerAndRoute) {
  const uint16_t port = Start({.max_body_bytes = 1000});
  const std::tuple<const char*, size_t, int> cases[] = {
      {"/usual", 1000, 200}, {"/usual", 1001, 413}, {"/large", 5000, 200}, {"/large", 5001, 413},
      {"/small", 5, 200},    {"/small", 6, 413},    {"/none", 1001, 413},
  };
  for (const auto& [path, size, status] : cases) {
    const std::string body(size, 'a');
    RawSocket whole(port);
    EXPECT_EQ(
        StatusOf(whole.Ask(fmt::format(
            "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", path, size, body))),
        status)
        << path << size;
    RawSocket chunked(port);
    EXPECT_EQ(StatusOf(chunked.Ask(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                               "chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                                               path, size, body))),
              status)
        << path << size;
  }
}

TEST_F(ServerLimits, LetsAClientThatSendsTooMuchSeeTheAnswer) {
  const uint16_t port = Start({.max_body_bytes = 1000});
  RawSocket socket(port);
  socket.Send("POST /usual HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" +
              std::string(2'000'000, 'a'));
  EXPECT_EQ(StatusOf(socket.ReadToEnd()), 413);
}

// Long enough that a busy machine does not make a fast client slow.
constexpr milliseconds kShort(300);

TEST_F(ServerLimits, AnswersSlowHeadsAndBodiesWith408) {
  const uint16_t port = Start({.header_timeout = kShort, .body_timeout = kShort});
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (const char* begun :
       {"GET / HTTP/1.1\r\nHost:", "G",
        "POST /usual HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab",
        "POST /usual HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    sockets.push_back(std::make_unique<RawSocket>(port));
    sockets.back()->Send(begun);
  }
  for (auto& socket : sockets) {
    EXPECT_EQ(StatusOf(socket->ReadToEnd()), 408);
    EXPECT_FALSE(socket->reset());
  }
  EXPECT_EQ(server_->Stats().timeouts, 4u);
}

TEST_F(ServerLimits, AnswersWhatCameBeforeASlowHead) {
  const uint16_t port = Start({.header_timeout = kShort});
  RawSocket socket(port);
  socket.Send(fmt::format("{}GET /he", kHello));
  EXPECT_EQ(StatusOf(socket.ReadResponse()), 200);
  EXPECT_EQ(StatusOf(socket.ReadToEnd()), 408);
}

TEST_F(ServerLimits, ClosesIdleConnectionsWithoutAWord) {
  const uint16_t port = Start({.header_timeout = kShort, .idle_timeout = kShort});
  RawSocket idle(port);
  EXPECT_EQ(StatusOf(idle.Ask(kHello)), 200);
  RawSocket silent(port);
  for (RawSocket* socket : {&idle, &silent}) {
    EXPECT_EQ(socket->ReadToEnd(), "");
    EXPECT_FALSE(socket->reset());
  }
  EXPECT_EQ(server_->Stats().timeouts, 0u);
}

TEST_F(ServerLimits, DoesNotTimeOutAHandler) {
  const uint16_t port = Start({.header_timeout = kShort,
                               .body_timeout = milliseconds(1),
                               .idle_timeout = kShort,
                               .write_timeout = milliseconds(1)});
  RawSocket socket(port);
  socket.Send(kWaits);
  ASSERT_TRUE(runtime_.Block(running_.Pop()).has_value());
  // A connection that came later has had its whole time.
  EXPECT_EQ(RawSocket(port).ReadToEnd(), "");
  EXPECT_TRUE(answers_.TryPush(3));
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "3");
}

TEST_F(ServerLimits, GivesUpOnAClientThatDoesNotRead) {
  const uint16_t port = Start({.write_timeout = milliseconds(50)});
  RawSocket socket(port);
  socket.Send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
  // Drain ends only when the connection is gone, and cuts nothing.
  EXPECT_EQ(runtime_.Block(server_->Drain(seconds(10))), 0u);
  EXPECT_EQ(server_->Stats().timeouts, 1u);
}

TEST_F(ServerLimits, RefusesConnectionsAboveTheBound) {
  const uint16_t port = Start({.max_connections = 2});
  RawSocket first(port);
  RawSocket second(port);
  EXPECT_EQ(StatusOf(first.Ask(kHello)), 200);
  EXPECT_EQ(StatusOf(second.Ask(kHello)), 200);
  RawSocket third(port);
  third.Send(kHello);
  const std::string response = third.ReadToEnd();
  EXPECT_EQ(StatusOf(response), 503);
  EXPECT_THAT(response, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_FALSE(third.reset());
  EXPECT_EQ(server_->Stats().rejected_connections, 1u);
  first.FinishSending();
  EXPECT_EQ(first.ReadToEnd(), "");
  RawSocket fourth(port);
  EXPECT_EQ(StatusOf(fourth.Ask(kHello)), 200);
}

TEST_F(ServerLimits, RefusesRequestsAboveTheBoundAndKeepsTheConnection) {
  const uint16_t port = Start({.max_in_flight = 1});
  RawSocket busy(port);
  busy.Send(kWaits);
  EXPECT_TRUE(runtime_.Block(running_.Pop()).has_value());
  RawSocket other(port);
  const std::string response = other.Ask(kHello);
  EXPECT_EQ(StatusOf(response), 503);
  EXPECT_THAT(response, HasSubstr("Retry-After: 1\r\n"));
  EXPECT_TRUE(answers_.TryPush(1));
  EXPECT_EQ(BodyOf(busy.ReadResponse()), "1");
  EXPECT_EQ(StatusOf(other.Ask(kHello)), 200);
  EXPECT_EQ(server_->Stats().rejected_requests, 1u);
}

}  // namespace
}  // namespace starling::http

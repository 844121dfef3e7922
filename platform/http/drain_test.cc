// What stopping a server does to the clients it has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

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

class Drain : public testing::Test {
 protected:
  ~Drain() override {
    server_.reset();
    // Handlers that still wait use the queues: the io threads end before those go.
    answers_.Close();
    runtime_.Stop();
  }

  uint16_t Start(Server::Options options = {}) {
    options.sweep_interval = milliseconds(5);
    Router router;
    EXPECT_TRUE(router
                    .Add(Verb::kGet, "/hello",
                         [](Exchange& exchange) -> Task<void> {
                           exchange.response.body = "hello";
                           co_return;
                         })
                    .ok());
    EXPECT_TRUE(router
                    .Add(Verb::kGet, "/waits",
                         [this](Exchange& exchange) -> Task<void> {
                           const CancellationToken token = exchange.cancellation();
                           const auto registration = token.OnCancel([this] { answers_.Close(); });
                           EXPECT_TRUE(running_.TryPush(1));
                           const std::optional<int> answer = co_await answers_.Pop();
                           exchange.response.body = std::to_string(answer.value_or(-1));
                         })
                    .ok());
    server_ = std::make_unique<Server>(runtime_, std::move(options),
                                       std::make_shared<const Router>(std::move(router)));
    return server_->Start().value();
  }

  Runtime runtime_{{.io_threads = 2, .blocking_threads = 1}};
  BoundedQueue<int> answers_{16};
  BoundedQueue<int> running_{16};
  std::unique_ptr<Server> server_;
};

TEST_F(Drain, LosesNoRequestOfBusyClients) {
  const uint16_t port = Start({.drain_idle_grace = seconds(5)});
  constexpr int kClients = 8;
  std::latch warm(kClients);
  std::atomic<int> answered = 0;
  std::atomic<int> lost = 0;
  std::atomic<int> closed_in_order = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      // Half keep their connection, half connect anew each time; both stop when they are told to go
      // away.
      bool warmed = false;
      for (int n = 0;;) {
        RawSocket socket(port);
        if (!socket.connected()) break;
        bool told = false;
        do {
          socket.Send(kHello);
          const std::string response = socket.ReadResponse();
          if (StatusOf(response) == 200 && BodyOf(response) == "hello") {
            ++answered;
          } else {
            ++lost;
          }
          told =
              StatusOf(response) != 200 || response.find("Connection: close") != std::string::npos;
          if (++n > 20 && !std::exchange(warmed, true)) warm.count_down();
        } while (i % 2 == 0 && !told);
        if (told) {
          if (socket.ReadToEnd().empty() && !socket.reset()) ++closed_in_order;
          break;
        }
      }
      if (!warmed) warm.count_down();
    });
  }
  warm.wait();
  EXPECT_EQ(runtime_.Block(server_->Drain(seconds(10))), 0u);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(lost, 0);
  EXPECT_GT(answered, 20 * kClients - 1);
  EXPECT_GE(closed_in_order, kClients / 2);  // those that keep their connection
  EXPECT_EQ(server_->Stats().active_connections, 0u);
}

TEST_F(Drain, AnswersAllThatWasPipelinedAndSaysCloseLast) {
  const uint16_t port = Start();
  RawSocket socket(port);
  socket.Send(std::string(kWaits) + std::string(kHello) + std::string(kHello));
  EXPECT_TRUE(runtime_.Block(running_.Pop()).has_value());
  size_t cut = 1;
  std::thread drain([&] { cut = runtime_.Block(server_->Drain(seconds(10))); });
  // The port is closed once drain has begun everywhere; the request in flight ends only then.
  while (RawSocket(port).connected()) {
  }
  EXPECT_TRUE(answers_.TryPush(5));
  const std::string first = socket.ReadResponse();
  const std::string second = socket.ReadResponse();
  const std::string third = socket.ReadResponse();
  EXPECT_EQ(BodyOf(first), "5");
  EXPECT_EQ(first.find("Connection: close"), std::string::npos);
  EXPECT_EQ(second.find("Connection: close"), std::string::npos);
  EXPECT_THAT(third, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(socket.ReadToEnd(), "");
  drain.join();
  EXPECT_EQ(cut, 0u);
}

TEST_F(Drain, ServesConnectionsThatWaitInTheBacklog) {
  const uint16_t port = Start();
  // Both io threads are held, so that nothing is accepted while the clients connect and the drain
  // begins.
  std::latch held(2);
  std::latch release(1);
  for (int i = 0; i < 2; ++i) {
    boost::asio::post(runtime_.context(i), [&] {
      held.count_down();
      release.wait();
    });
  }
  held.wait();
  std::vector<std::unique_ptr<RawSocket>> sockets;
  for (int i = 0; i < 20; ++i) {
    sockets.push_back(std::make_unique<RawSocket>(port));
    ASSERT_TRUE(sockets.back()->Send(kHello));
  }
  std::promise<size_t> cut;
  boost::asio::io_context outside;
  Spawn(outside.get_executor(), [](Server& server, std::promise<size_t>& cut) -> Task<void> {
    const size_t count = co_await server.Drain(seconds(10));
    cut.set_value(count);
  }(*server_, cut));
  outside.run_one();
  release.count_down();
  outside.run();
  EXPECT_EQ(cut.get_future().get(), 0u);
  for (auto& socket : sockets) {
    const std::string response = socket->ReadToEnd();
    EXPECT_EQ(StatusOf(response), 200);
    EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
  }
}

TEST_F(Drain, AnswersAnIdleConnectionThatStillAsks) {
  const uint16_t port = Start({.drain_idle_grace = seconds(10)});
  RawSocket socket(port);
  EXPECT_EQ(StatusOf(socket.Ask(kHello)), 200);
  std::thread drain([&] { EXPECT_EQ(runtime_.Block(server_->Drain(seconds(20))), 0u); });
  while (RawSocket(port).connected()) {
  }
  EXPECT_THAT(socket.Ask(kHello), HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(socket.ReadToEnd(), "");
  socket.Close();
  drain.join();
}

TEST_F(Drain, ClosesIdleConnectionsAfterTheirGrace) {
  const uint16_t port = Start({.drain_idle_grace = milliseconds(50)});
  RawSocket idle(port);
  RawSocket silent(port);
  EXPECT_EQ(StatusOf(idle.Ask(kHello)), 200);
  std::thread drain([&] { EXPECT_EQ(runtime_.Block(server_->Drain(seconds(10))), 0u); });
  for (RawSocket* socket : {&idle, &silent}) {
    EXPECT_EQ(socket->ReadToEnd(), "");
    EXPECT_FALSE(socket->reset());
    socket->Close();
  }
  drain.join();
}

TEST_F(Drain, CutsWhatDoesNotEndAndSaysHowMuch) {
  const uint16_t port = Start();
  RawSocket socket(port);
  RawSocket idle(port);
  EXPECT_EQ(StatusOf(idle.Ask(kHello)), 200);
  socket.Send(kWaits);
  EXPECT_TRUE(runtime_.Block(running_.Pop()).has_value());
  EXPECT_EQ(runtime_.Block(server_->Drain(milliseconds(1))), 1u);
  EXPECT_EQ(socket.ReadToEnd(), "");
  EXPECT_EQ(server_->Stats().active_connections, 0u);
  EXPECT_FALSE(RawSocket(port).connected());
}

TEST_F(Drain, IsNotNeededToDestroyAServer) {
  const uint16_t port = Start();
  RawSocket socket(port);
  socket.Send(kWaits);
  EXPECT_TRUE(runtime_.Block(running_.Pop()).has_value());
  server_.reset();
  EXPECT_EQ(socket.ReadToEnd(), "");
}

}  // namespace
}  // namespace starling::http

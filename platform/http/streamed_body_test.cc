// Bodies that handlers read themselves, over HTTP/1.1 and HTTP/2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "platform/async/bounded_queue.h"
#include "platform/http/h2_raw_client.h"
#include "platform/http/problem.h"
#include "platform/http/server.h"

namespace starling::http {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class StreamedBody : public testing::Test {
 protected:
  ~StreamedBody() override {
    server_.reset();
    go_.Close();
    if (runtime_ != nullptr) runtime_->Stop();
  }

  void Start(Server::Options options = {}) {
    runtime_ = std::make_unique<Runtime>(Runtime::Options{.io_threads = 1, .blocking_threads = 1});
    options.sweep_interval = std::chrono::milliseconds(5);
    Router router;
    const auto add = [&](const char* path, Handler handler, RouteOptions route = {}) {
      if (!route.streams_bodies_above) route.streams_bodies_above = 0;
      ASSERT_TRUE(router.Add(Verb::kPost, path, std::move(handler), route).ok());
    };
    // "BYTES in N, the longest LONGEST, first F last L", or the error.
    const auto count = [this](Exchange& exchange) -> Task<void> { return Count(exchange); };
    add("/count", count, {.max_body_bytes = 300'000'000});
    add("/above", count, {.streams_bodies_above = 10});
    add("/small", count, {.max_body_bytes = 5});
    add("/hasty", count, {.body_timeout = std::chrono::milliseconds(30)});
    add("/patient", count, {.body_timeout = Duration::max()});
    // A step for each number that the test gives.
    add("/steps",
        [this](Exchange& exchange) -> Task<void> {
          for (;;) {
            const std::optional<int> go = co_await go_.Pop();
            if (!go) co_return;
            const BodyPiece piece = co_await exchange.ReadBody();
            if (!piece.ok() || !piece->has_value()) {
              exchange.response.body =
                  fmt::format("{} {}", taken_.load(), ToString(piece.status()));
              co_return;
            }
            taken_ += (*piece)->size();
            EXPECT_TRUE(stepped_.TryPush(1));
          }
        },
        {.max_body_bytes = 300'000'000});
    add("/refuses", [](Exchange& exchange) -> Task<void> {
      exchange.response.status = 401;
      exchange.response.body = "no";
      co_return;
    });
    // Says each piece in upper case as it comes.
    add("/shouts", [](Exchange& exchange) -> Task<void> {
      ResponseStream& stream = exchange.StartStream();
      for (;;) {
        const BodyPiece piece = co_await exchange.ReadBody();
        if (!piece.ok() || !piece->has_value()) co_return;
        std::string loud(**piece);
        for (char& c : loud) c = static_cast<char>(std::toupper(c));
        const Status written = co_await stream.Write(loud);
        if (!written.ok()) co_return;
      }
    });
    // Stops its reader, which another coroutine waits in.
    add("/stops", [this](Exchange& exchange) -> Task<void> {
      BoundedQueue<int> ended(1);
      Executor executor = co_await CurrentExecutor();
      Spawn(executor, [&exchange, &ended]() -> Task<void> {
        const BodyPiece piece = co_await exchange.ReadBody();
        EXPECT_TRUE(absl::IsCancelled(piece.status()));
        EXPECT_TRUE(ended.TryPush(1));
      });
      const std::optional<int> go = co_await go_.Pop();
      exchange.StopReadingBody();
      const std::optional<int> done = co_await ended.Pop();
      exchange.response.body = go && done ? "stopped" : "?";
    });
    server_ = std::make_unique<Server>(*runtime_, std::move(options),
                                       std::make_shared<const Router>(std::move(router)));
    const StatusOr<uint16_t> port = server_->Start();
    ASSERT_TRUE(port.ok()) << port.status();
    port_ = *port;
  }

  Task<void> Count(Exchange& exchange) {
    size_t bytes = 0, pieces = 0, longest = 0;
    char first = '-', last = '-';
    const bool streams = exchange.body_streams();
    for (;;) {
      const BodyPiece piece = co_await exchange.ReadBody();
      if (!piece.ok()) {
        exchange.response = ProblemResponse(piece.status(), exchange.request.path);
        EXPECT_TRUE(refused_.TryPush(static_cast<int>(piece.status().code())));
        co_return;
      }
      if (!piece->has_value()) break;
      const std::string_view text = **piece;
      EXPECT_FALSE(text.empty());
      if (bytes == 0) first = text.front();
      last = text.back();
      bytes += text.size();
      longest = std::max(longest, text.size());
      ++pieces;
    }
    const BodyPiece after = co_await exchange.ReadBody();
    EXPECT_TRUE(after.ok() && !after->has_value());
    EXPECT_LE(longest, size_t{64} * 1024);
    exchange.response.body =
        fmt::format("{} bytes from {} to {}{}", bytes, first, last, streams ? ", streamed" : "");
  }

  void Await(BoundedQueue<int>& queue) {
    const std::optional<int> one = RunSync(Pop(queue));
    EXPECT_TRUE(one.has_value());
  }
  static Task<std::optional<int>> Pop(BoundedQueue<int>& queue) {
    std::optional<int> one = co_await queue.Pop();
    co_return one;
  }
  template <typename Condition>
  bool Becomes(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
      if (condition(server_->Stats())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  std::unique_ptr<Runtime> runtime_;
  BoundedQueue<int> go_{100'000};
  BoundedQueue<int> stepped_{100'000};
  BoundedQueue<int> refused_{16};
  std::atomic<size_t> taken_{0};
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
};

using Http1Body = StreamedBody;
using H2Body = StreamedBody;

constexpr std::string_view kChunkedHead =
    "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string Post(std::string_view path, size_t length, std::string_view fields = "") {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n", path, length,
                     fields);
}

TEST_F(Http1Body, IsReadToItsEndAndTheConnectionGoesOn) {
  Start();
  RawSocket socket(port_);
  const std::string body = "a" + std::string(3'000'000 - 2, 'm') + "z";
  for (int i = 0; i < 2; ++i) {
    socket.Send(Post("/count", body.size()) + body);
    EXPECT_EQ(BodyOf(socket.ReadResponse()), "3000000 bytes from a to z, streamed");
  }
  // Chunks, also those that come in pieces of their own.
  socket.Send(std::string(kChunkedHead) + "3\r\nabc\r\n1;x=y\r\n");
  socket.Send("d\r");
  socket.Send("\n2\r\ney\r\n0\r\nX: y\r\n\r\n");
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "6 bytes from a to y, streamed");
  EXPECT_THAT(socket.Ask(Post("/count", 0)), EndsWith("0 bytes from - to -"));
}

TEST_F(Http1Body, IsInTheRequestUpToTheRoutesBound) {
  Start();
  RawSocket socket(port_);
  EXPECT_THAT(socket.Ask(Post("/above", 10) + "0123456789"), EndsWith("10 bytes from 0 to 9"));
  EXPECT_THAT(socket.Ask(Post("/above", 11) + "0123456789a"),
              EndsWith("11 bytes from 0 to a, streamed"));
}

TEST_F(Http1Body, ManySmallChunksComeAsOnePiece) {
  Start();
  std::string chunks;
  for (int i = 0; i < 500; ++i) chunks += "1\r\nx\r\n";
  RawSocket socket(port_);
  socket.Send("POST /steps HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks);
  size_t steps = 0;
  while (taken_ < 500) {
    ASSERT_TRUE(go_.TryPush(1));
    Await(stepped_);
    ++steps;
  }
  EXPECT_LT(steps, 20u);
  socket.Send("0\r\n\r\n");
  ASSERT_TRUE(go_.TryPush(1));
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "500 OK");
}

TEST_F(Http1Body, OfPipelinedRequestsEachHasItsOwn) {
  Start();
  RawSocket socket(port_);
  socket.Send(Post("/count", 3) + "abc" + Post("/refuses", 2) + "de" + Post("/count", 2) + "fg");
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "3 bytes from a to c, streamed");
  EXPECT_EQ(StatusOf(socket.ReadResponse()), 401);
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "2 bytes from f to g, streamed");
}

TEST_F(Http1Body, AClientWaitsForLeaveUntilTheHandlerReads) {
  Start();
  RawSocket socket(port_);
  socket.Send(Post("/steps", 5, "Expect: 100-continue\r\n"));
  ASSERT_TRUE(go_.TryPush(1));
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue"));
  socket.Send("hello");
  Await(stepped_);
  ASSERT_TRUE(go_.TryPush(1));
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "5 OK");
  // Who is refused is not told to go on; whether it sends the body all the same is not known.
  const std::string refused = socket.Ask(Post("/refuses", 5, "Expect: 100-continue\r\n"));
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(refused, HasSubstr("Connection: close"));
  EXPECT_EQ(socket.ReadToEnd(), "");
}

TEST_F(Http1Body, OfAnAnswerBeforeItsEndASmallRestIsDropped) {
  Start();
  RawSocket socket(port_);
  socket.Send(Post("/refuses", 60'000) + std::string(10, 'x'));
  const std::string refused = socket.ReadResponse();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(refused, Not(HasSubstr("Connection: close")));
  socket.Send(std::string(59'990, 'x'));
  EXPECT_THAT(socket.Ask(Post("/count", 2) + "ab"), EndsWith("2 bytes from a to b, streamed"));
}

TEST_F(Http1Body, OfAnAnswerBeforeItsEndALongRestClosesTheConnection) {
  Start();
  RawSocket socket(port_);
  socket.Send(Post("/refuses", 600'000) + std::string(500'000, 'x'));
  const std::string refused = socket.ReadResponse();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(refused, HasSubstr("Connection: close"));
  EXPECT_EQ(socket.ReadToEnd(), "");
  EXPECT_FALSE(socket.reset());
}

TEST_F(Http1Body, ARestThatNeverComesIsNotAnsweredTwice) {
  Start({.body_timeout = std::chrono::milliseconds(30)});
  RawSocket socket(port_);
  socket.Send(Post("/refuses", 100) + "x");
  EXPECT_THAT(socket.ReadResponse(), StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(socket.ReadToEnd(), "");
}

TEST_F(Http1Body, WhatIsWrongWithItIsSaidToWhoReads) {
  Start();
  const struct {
    std::string sent;
    int status;
  } rows[] = {
      {Post("/small", 6) + "123456", 413},
      {"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef",
       413},
      {std::string(kChunkedHead) + "3\r\nabc\r\nxyz\r\n", 400},
      {std::string(kChunkedHead) + "2\r\nabc\r\n0\r\n\r\n", 400},
      {Post("/hasty", 10) + "12", 408},
  };
  for (const auto& row : rows) {
    RawSocket socket(port_);
    const std::string answer = socket.Ask(row.sent);
    EXPECT_EQ(StatusOf(answer), row.status) << row.sent;
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
    EXPECT_EQ(socket.ReadToEnd(), "") << row.sent;
  }
  EXPECT_EQ(server_->Stats().timeouts, 1u);
  EXPECT_EQ(server_->Stats().malformed_requests, 4u);
  RawSocket socket(port_);
  socket.Send(Post("/patient", 10) + "12");
  socket.Close();
  EXPECT_TRUE(Becomes([](const ServerStats& stats) { return stats.client_disconnects == 1; }));
  EXPECT_TRUE(Becomes([](const ServerStats& stats) { return stats.in_flight == 0; }));
}

TEST_F(Http1Body, AHandlerThatDoesNotReadHoldsItsClientBack) {
  Start();
  RawSocket socket(port_);
  const timeval soon{.tv_sec = 0, .tv_usec = 300'000};
  ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
  socket.Send(Post("/steps", 200'000'000));
  size_t sent = 0;
  const std::string piece(1'000'000, 'x');
  for (ssize_t size = 1; size > 0 && sent<100'000'000; sent += size> 0 ? size : 0)
    size = ::send(socket.descriptor(), piece.data(), piece.size(), MSG_NOSIGNAL);
  EXPECT_LT(sent, 50'000'000u) << "more than the kernel's buffers hold";
  socket.Close();
  for (int i = 0; i < 100'000; ++i) EXPECT_TRUE(go_.TryPush(1));
}

TEST_F(Http1Body, IsReadWhileTheAnswerIsWritten) {
  Start();
  RawSocket socket(port_);
  socket.Send("POST /shouts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  EXPECT_THAT(socket.ReadUntil("ABC\r\n"), HasSubstr("Transfer-Encoding: chunked"));
  socket.Send("2\r\nde\r\n");
  EXPECT_THAT(socket.ReadUntil("DE\r\n"), HasSubstr("2\r\n"));
  socket.Send("0\r\n\r\n");
  EXPECT_EQ(socket.ReadUntil("0\r\n\r\n"), "0\r\n\r\n");
  EXPECT_THAT(socket.Ask(Post("/count", 1) + "a"), EndsWith("1 bytes from a to a, streamed"));
}

TEST_F(Http1Body, AReaderThatWaitsCanBeStopped) {
  Start();
  RawSocket socket(port_);
  socket.Send(Post("/stops", 10));
  ASSERT_TRUE(go_.TryPush(1));
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "stopped");
  socket.Send("0123456789");
  EXPECT_THAT(socket.Ask(Post("/count", 1) + "a"), EndsWith("1 bytes from a to a, streamed"));
}

TEST_F(H2Body, IsReadToItsEndWithinItsWindow) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, PostFields("/count"));
  int64_t window = 65'535, connection_window = 65'535, left = 3'000'000;
  while (left > 0) {
    while (window < 16'384 || connection_window < 16'384) {
      const auto frame = client.ReadFrame(kWindowUpdate);
      ASSERT_TRUE(frame.has_value());
      (frame->stream == 0 ? connection_window : window) += FromBig(frame->payload);
      EXPECT_LE(window, 65'535) << "more than is held for a handler";
    }
    const auto size = std::min<int64_t>(left, 16'384);
    left -= size;
    window -= size;
    connection_window -= size;
    client.SendFrame(kData, left == 0 ? kEndStream : kNoFlag, 1,
                     std::string(static_cast<size_t>(size), 'b'));
  }
  EXPECT_EQ(client.ReadAnswer(1).body, "3000000 bytes from b to b, streamed");
}

TEST_F(H2Body, TheWindowOpensAsTheHandlerReadsAndOthersGoOn) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, PostFields("/steps"));
  for (const size_t size : {16'384, 16'384, 16'384, 16'383})
    client.SendFrame(kData, 0, 1, std::string(size, 'x'));
  EXPECT_TRUE(client.Pings());
  // Another stream is served meanwhile, through the connection's window.
  client.AskWithBody(3, PostFields("/count"));
  client.SendFrame(kData, kEndStream, 3, "hello");
  EXPECT_EQ(client.ReadAnswer(3).body, "5 bytes from h to o, streamed");
  // One step takes what is there; the next finds nothing, and gives it back.
  ASSERT_TRUE(go_.TryPush(1));
  Await(stepped_);
  EXPECT_EQ(taken_, 65'535u);
  ASSERT_TRUE(go_.TryPush(1));
  for (;;) {
    const auto frame = client.ReadFrame(kWindowUpdate);
    ASSERT_TRUE(frame.has_value());
    if (frame->stream == 1) {
      EXPECT_EQ(FromBig(frame->payload), 65'535u);
      break;
    }
  }
  client.SendFrame(kData, kEndStream, 1, "!");
  Await(stepped_);
  ASSERT_TRUE(go_.TryPush(1));
  EXPECT_EQ(client.ReadAnswer(1).body, "65536 OK");
}

TEST_F(H2Body, WhatIsWrongWithItIsSaidToWhoReads) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, PostFields("/small"));
  client.SendFrame(kData, 0, 1, "123456");
  EXPECT_EQ(client.ReadAnswer(1).status, 413);
  client.AskWithBody(3, PostFields("/hasty"));
  client.SendFrame(kData, 0, 3, "12");
  EXPECT_EQ(client.ReadAnswer(3).status, 408);
  client.AskWithBody(5, PostFields("/patient"));
  client.SendFrame(kData, 0, 5, "12");
  client.SendFrame(kRstStream, 0, 5, Big(NGHTTP2_CANCEL, 4));
  for (const StatusCode code :
       {StatusCode::kInvalidArgument, StatusCode::kDeadlineExceeded, StatusCode::kCancelled}) {
    EXPECT_EQ(RunSync(Pop(refused_)), static_cast<int>(code));
  }
  EXPECT_TRUE(client.Pings());
}

TEST_F(H2Body, AnAnswerBeforeItsEndResetsTheStreamWithoutAnError) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, PostFields("/refuses"));
  client.SendFrame(kData, 0, 1, "never mind");
  EXPECT_EQ(client.ReadAnswer(1).status, 401);
  while (!client.AnswerSoFar(1).reset) ASSERT_TRUE(client.ReadFrame().has_value());
  EXPECT_EQ(client.AnswerSoFar(1).reset, NGHTTP2_NO_ERROR);
  client.SendFrame(kData, kEndStream, 1, "late");
  EXPECT_TRUE(client.Pings());
}

TEST_F(H2Body, AClientWaitsForLeaveUntilTheHandlerReads) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  Fields fields = PostFields("/steps");
  fields.emplace_back("expect", "100-continue");
  client.AskWithBody(1, fields);
  EXPECT_TRUE(client.Pings());
  EXPECT_THAT(client.AnswerSoFar(1).interim, ElementsAre());
  ASSERT_TRUE(go_.TryPush(1));
  ASSERT_TRUE(client.ReadFrame(kHeaders).has_value());
  EXPECT_THAT(client.AnswerSoFar(1).interim, ElementsAre(100));
  client.SendFrame(kData, kEndStream, 1, "hello");
  Await(stepped_);
  ASSERT_TRUE(go_.TryPush(1));
  EXPECT_EQ(client.ReadAnswer(1).body, "5 OK");
}

TEST_F(H2Body, IsReadWhileTheAnswerIsWritten) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, PostFields("/shouts"));
  client.SendFrame(kData, 0, 1, "abc");
  while (client.AnswerSoFar(1).body != "ABC") ASSERT_TRUE(client.ReadFrame().has_value());
  client.SendFrame(kData, kEndStream, 1, "de");
  EXPECT_EQ(client.ReadAnswer(1).body, "ABCDE");
  EXPECT_FALSE(client.AnswerSoFar(1).reset.has_value());
}

TEST_F(H2Body, AReaderThatWaitsCanBeStopped) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, PostFields("/stops"));
  ASSERT_TRUE(go_.TryPush(1));
  EXPECT_EQ(client.ReadAnswer(1).body, "stopped");
}

TEST_F(H2Body, EndsWithTheServerWhereItsHandlerWaits) {
  Start();
  H2RawClient client(port_);
  client.Greet();
  client.AskWithBody(1, PostFields("/patient"));
  EXPECT_TRUE(client.Pings());
  RawSocket socket(port_);
  socket.Send(Post("/patient", 10));
  EXPECT_TRUE(Becomes([](const ServerStats& stats) { return stats.in_flight == 2; }));
  const size_t cut = RunSync(server_->Drain(Duration(0)));
  EXPECT_EQ(cut, 2u);
  EXPECT_EQ(server_->Stats().in_flight, 0u);
}

}  // namespace
}  // namespace starling::http

#include "platform/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>

#include "platform/async/bounded_queue.h"
#include "platform/http/raw_socket.h"

namespace starling::http {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Task<void> Hello(Exchange& exchange) {
  exchange.response.SetBody("text/plain", "hello");
  co_return;
}

Task<void> Echo(Exchange& exchange) {
  exchange.response.body = fmt::format("{} {} {}", exchange.request.verb_text,
                                       exchange.request.path, exchange.request.body);
  co_return;
}

Task<void> Large(Exchange& exchange) {
  exchange.response.body = std::string(3'000'000, 'x');
  co_return;
}

Task<void> Throws(Exchange&) {
  throw std::runtime_error("secret");
  co_return;
}

Task<void> Streams(Exchange& exchange) {
  exchange.response.headers.Set("content-type", "application/x-ndjson");
  ResponseStream& stream = exchange.StartStream();
  for (const char* line : {"{\"a\":1}\n", "", "{\"a\":2}\n"}) {
    const Status written = co_await stream.Write(line);
    if (!written.ok()) co_return;
  }
}

Task<void> Breaks(Exchange& exchange) {
  ResponseStream& stream = exchange.StartStream();
  const Status written = co_await stream.Write("part");
  EXPECT_TRUE(written.ok());
  stream.Abort();
}

// As many bytes as ?says claims, or not.
Task<void> Sized(Exchange& exchange) {
  exchange.response.length = std::stoull(exchange.request.query);
  exchange.response.headers.Set("date", "Sun, 06 Nov 1994 08:49:37 GMT");
  ResponseStream& stream = exchange.StartStream();
  for (const char* piece : {"hello", ", world"}) {
    const Status written = co_await stream.Write(piece);
    if (!written.ok()) co_return;
  }
}

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override {
    server_.reset();
    // Handlers that still wait use the queues: the io threads end before those go.
    answers_.Close();
    if (runtime_ != nullptr) runtime_->Stop();
  }

  void Start(Server::Options options = {}, int io_threads = 1) {
    runtime_ = std::make_unique<Runtime>(
        Runtime::Options{.io_threads = io_threads, .blocking_threads = 1});
    Router router;
    Add(router, Verb::kGet, "/hello", Hello);
    Add(router, Verb::kGet, "/echo/{x}", Echo);
    Add(router, Verb::kPost, "/echo", Echo);
    Add(router, Verb::kGet, "/large", Large);
    Add(router, Verb::kGet, "/throws", Throws);
    Add(router, Verb::kGet, "/stream", Streams);
    Add(router, Verb::kGet, "/breaks", Breaks);
    Add(router, Verb::kGet, "/sized", Sized);
    Add(router, Verb::kHead, "/known", [](Exchange& exchange) -> Task<void> {
      exchange.response.length = 77;
      co_return;
    });
    Add(router, Verb::kGet, "/waits", [this](Exchange& exchange) -> Task<void> {
      const std::optional<int> answer = co_await answers_.Pop();
      exchange.response.body = std::to_string(answer.value_or(-1));
    });
    server_ = std::make_unique<Server>(*runtime_, std::move(options),
                                       std::make_shared<const Router>(std::move(router)));
    const StatusOr<uint16_t> port = server_->Start();
    ASSERT_TRUE(port.ok()) << port.status();
    port_ = *port;
  }

  static void Add(Router& router, Verb verb, const char* path, Handler handler) {
    ASSERT_TRUE(router.Add(verb, path, std::move(handler)).ok());
  }

  std::unique_ptr<Runtime> runtime_;
  BoundedQueue<int> answers_{16};
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
};

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(ServerTest, AnswersOverOneConnectionManyTimes) {
  Start();
  RawSocket socket(port_);
  for (int i = 0; i < 3; ++i) {
    const std::string response = socket.Ask(kHello);
    EXPECT_THAT(response, StartsWith("HTTP/1.1 200 OK\r\nDate: "));
    EXPECT_THAT(response, HasSubstr("content-type: text/plain\r\n"));
    EXPECT_THAT(response, Not(HasSubstr("Connection:")));
    EXPECT_THAT(response, EndsWith("Content-Length: 5\r\n\r\nhello"));
  }
  const ServerStats stats = server_->Stats();
  EXPECT_EQ(stats.accepted, 1u);
  EXPECT_EQ(stats.active_connections, 1u);
  EXPECT_EQ(stats.requests, 3u);
  EXPECT_EQ(stats.in_flight, 0u);
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  Start({.max_pipelined = 3});
  RawSocket socket(port_);
  std::string requests;
  std::string bodies;
  for (int i = 0; i < 100; ++i) {
    requests += fmt::format("GET /echo/{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
    requests += fmt::format("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n{:04}", i);
  }
  socket.Send(requests);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(BodyOf(socket.ReadResponse()), fmt::format("GET /echo/{} ", i));
    EXPECT_EQ(BodyOf(socket.ReadResponse()), fmt::format("POST /echo {:04}", i));
  }
}

TEST_F(ServerTest, DoesNotHoldBackAnAnswerForAPipelinedRequestThatWaits) {
  Start();
  RawSocket socket(port_);
  socket.Send(std::string(kHello) + "GET /waits HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(kHello));
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "hello");
  ASSERT_TRUE(answers_.TryPush(7));
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "7");
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "hello");
}

TEST_F(ServerTest, ReadsBodiesOfBothKinds) {
  Start();
  RawSocket socket(port_);
  EXPECT_EQ(BodyOf(socket.Ask("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")),
            "POST /echo abc");
  EXPECT_EQ(BodyOf(socket.Ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "2\r\nde\r\n1\r\nf\r\n0\r\n\r\n")),
            "POST /echo def");
  const std::string large(1'000'000, 'y');
  EXPECT_EQ(
      BodyOf(socket.Ask(fmt::format(
          "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", large.size(), large))),
      "POST /echo " + large);
  EXPECT_EQ(BodyOf(socket.Ask(kHello)), "hello");
}

TEST_F(ServerTest, AsksForTheBodyOfAClientThatWaitsForLeave) {
  Start();
  RawSocket socket(port_);
  socket.Send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(socket.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(BodyOf(socket.Ask("abc")), "POST /echo abc");
  // Who sends the body at once is not answered twice.
  EXPECT_EQ(
      BodyOf(socket.Ask(
          "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nz")),
      "POST /echo z");
}

TEST_F(ServerTest, RefusesABodyNobodyWantsBeforeItIsSent) {
  Start();
  for (const auto& [head, status] :
       {std::pair("POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n", 404),
        std::pair("POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n", 405),
        std::pair("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n", 413)}) {
    RawSocket socket(port_);
    socket.Send(std::string(head) + "Expect: 100-continue\r\n\r\n");
    const std::string response = socket.ReadToEnd();
    EXPECT_EQ(StatusOf(response), status);
    EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
  }
}

TEST_F(ServerTest, ClosesWhenTheClientWantsItTo) {
  Start();
  RawSocket close(port_);
  close.Send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + std::string(kHello));
  const std::string response = close.ReadToEnd();
  EXPECT_THAT(response, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(response, EndsWith("\r\n\r\nhello"));
  EXPECT_EQ(response.find("HTTP/1.1", 1),
            std::string::npos);  // what came behind the last request is not answered
  RawSocket old(port_);
  old.Send("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.ReadToEnd(), EndsWith("\r\n\r\nhello"));
  RawSocket old_but_kept(port_);
  EXPECT_THAT(old_but_kept.Ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
              HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_EQ(BodyOf(old_but_kept.Ask(kHello)), "hello");
}

TEST_F(ServerTest, AnswersAClientThatFinishedSending) {
  Start();
  RawSocket socket(port_);
  socket.Send(std::string(kHello) + std::string(kHello));
  socket.FinishSending();
  const std::string both = socket.ReadToEnd();
  EXPECT_NE(both.find("hello", both.find("hello") + 1), std::string::npos) << both;
}

TEST_F(ServerTest, AnswersHeadWithTheLengthAndNoBody) {
  Start();
  RawSocket socket(port_);
  socket.Send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), HasSubstr("Content-Length: 5\r\n"));
  EXPECT_EQ(BodyOf(socket.Ask(kHello)), "hello");
  socket.Send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(socket.ReadUntil("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ(BodyOf(socket.Ask(kHello)), "hello");
}

TEST_F(ServerTest, SendsMoreThanTheKernelTakesAtOnce) {
  Start();
  RawSocket socket(port_);
  socket.Send("GET /large HTTP/1.1\r\nHost: x\r\n\r\nGET /large HTTP/1.1\r\nHost: x\r\n\r\n" +
              std::string(kHello));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(BodyOf(socket.ReadResponse()), std::string(3'000'000, 'x'));
  EXPECT_EQ(BodyOf(socket.ReadResponse()), "hello");
}

TEST_F(ServerTest, StreamsInChunks) {
  Start();
  RawSocket socket(port_);
  for (int i = 0; i < 2; ++i) {
    socket.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string response = socket.ReadUntil("0\r\n\r\n");
    EXPECT_THAT(
        response,
        HasSubstr("content-type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"));
    EXPECT_THAT(response, EndsWith("\r\n\r\n8\r\n{\"a\":1}\n\r\n8\r\n{\"a\":2}\n\r\n0\r\n\r\n"));
  }
  RawSocket old(port_);
  old.Send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old.ReadToEnd(), EndsWith("\r\n\r\n{\"a\":1}\n{\"a\":2}\n"));
}

TEST_F(ServerTest, ResetsTheConnectionOfABrokenStream) {
  Start();
  for (const char* version : {"1.0", "1.1"}) {
    RawSocket socket(port_);
    socket.Send(fmt::format("GET /breaks HTTP/{}\r\nHost: x\r\n\r\n", version));
    const std::string response = socket.ReadToEnd();
    EXPECT_THAT(response, HasSubstr("part"));
    EXPECT_THAT(response, Not(HasSubstr("0\r\n\r\n")));
    EXPECT_TRUE(socket.reset()) << version;
  }
}

TEST_F(ServerTest, StreamsUnderALengthThatIsKnown) {
  Start();
  RawSocket socket(port_);
  for (int i = 0; i < 2; ++i) {
    const std::string response = socket.Ask("GET /sized?12 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(response, HasSubstr("Content-Length: 12\r\n\r\n"));
    EXPECT_THAT(response, Not(HasSubstr("Transfer-Encoding")));
    EXPECT_EQ(BodyOf(response), "hello, world");
  }
  RawSocket old(port_);
  old.Send("GET /sized?12 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + std::string(kHello));
  EXPECT_EQ(BodyOf(old.ReadResponse()), "hello, world");
  EXPECT_EQ(BodyOf(old.ReadResponse()), "hello");

  RawSocket head(port_);
  head.Send("HEAD /sized?12 HTTP/1.1\r\nHost: x\r\n\r\nHEAD /known HTTP/1.1\r\nHost: x\r\n\r\n" +
            std::string(kHello));
  EXPECT_THAT(head.ReadUntil("\r\n\r\n"), HasSubstr("Content-Length: 12\r\n"));
  EXPECT_THAT(head.ReadUntil("\r\n\r\n"), HasSubstr("Content-Length: 77\r\n"));
  EXPECT_EQ(BodyOf(head.ReadResponse()), "hello");
}

TEST_F(ServerTest, BreaksAStreamThatIsNotAsLongAsItSaid) {
  Start();
  for (const char* said : {"7", "100"}) {
    RawSocket socket(port_);
    socket.Send(fmt::format("GET /sized?{} HTTP/1.1\r\nHost: x\r\n\r\n", said) +
                std::string(kHello));
    EXPECT_THAT(socket.ReadToEnd(), Not(HasSubstr("HTTP/1.1 200 OK\r\ncontent-type")));
    EXPECT_TRUE(socket.reset()) << said;
  }
}

TEST_F(ServerTest, KeepsADateThatTheAnswerHas) {
  Start();
  RawSocket socket(port_);
  const std::string response = socket.Ask("GET /sized?12 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(response, HasSubstr("date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  EXPECT_THAT(response, Not(HasSubstr("Date: ")));
  EXPECT_THAT(socket.Ask(kHello), HasSubstr("Date: "));
}

TEST_F(ServerTest, AnswersAnExceptionWithoutSayingWhat) {
  Start();
  RawSocket socket(port_);
  const std::string response = socket.Ask("GET /throws HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(StatusOf(response), 500);
  EXPECT_THAT(response, Not(HasSubstr("secret")));
  EXPECT_EQ(BodyOf(socket.Ask(kHello)), "hello");
  EXPECT_EQ(server_->Stats().handler_exceptions, 1u);
}

TEST_F(ServerTest, CancelsTheHandlerOfAClientThatLeft) {
  Start({.sweep_interval = std::chrono::milliseconds(5)});
  std::latch cancelled(2);
  CancellationToken::Registration registrations[2];
  int started = 0;
  BoundedQueue<int> running(2);
  Router router;
  Add(router, Verb::kGet, "/waits", [&](Exchange& exchange) -> Task<void> {
    registrations[started++] = exchange.cancellation().OnCancel([&] { cancelled.count_down(); });
    EXPECT_TRUE(running.TryPush(1));
    const std::optional<int> answer = co_await answers_.Pop();
    EXPECT_TRUE(answer.has_value());
    EXPECT_TRUE(exchange.cancellation().IsCancelled());
  });
  server_->SetRouter(std::make_shared<const Router>(std::move(router)));
  {
    RawSocket first(port_);
    RawSocket second(port_);
    first.Send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n");
    second.Send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 2; ++i) {
      const std::optional<int> one = runtime_->Block(running.Pop());
      EXPECT_TRUE(one.has_value());
    }
  }
  cancelled.wait();
  EXPECT_EQ(server_->Stats().client_disconnects, 2u);
  EXPECT_TRUE(answers_.TryPush(0));
  EXPECT_TRUE(answers_.TryPush(0));
  EXPECT_EQ(runtime_->Block(server_->Drain(std::chrono::seconds(10))), 0u);
}

TEST_F(ServerTest, TellsAStreamThatItsClientLeft) {
  Start();
  std::latch told(1);
  Router router;
  Add(router, Verb::kGet, "/endless", [&](Exchange& exchange) -> Task<void> {
    ResponseStream& stream = exchange.StartStream();
    const std::string chunk(100'000, 'z');
    for (;;) {
      const Status written = co_await stream.Write(chunk);
      if (!written.ok()) {
        EXPECT_EQ(written.code(), StatusCode::kCancelled);
        break;
      }
    }
    told.count_down();
  });
  server_->SetRouter(std::make_shared<const Router>(std::move(router)));
  {
    RawSocket socket(port_);
    socket.Send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(socket.ReadUntil("zzzz"), "");
  }
  told.wait();
}

TEST_F(ServerTest, SwapsItsRouterWhileItRuns) {
  Start();
  RawSocket socket(port_);
  EXPECT_EQ(StatusOf(socket.Ask("GET /new HTTP/1.1\r\nHost: x\r\n\r\n")), 404);
  Router router;
  Add(router, Verb::kGet, "/new", Hello);
  server_->SetRouter(std::make_shared<const Router>(std::move(router)));
  EXPECT_EQ(StatusOf(socket.Ask("GET /new HTTP/1.1\r\nHost: x\r\n\r\n")), 200);
  EXPECT_EQ(StatusOf(socket.Ask(kHello)), 404);
}

TEST_F(ServerTest, TellsItsObserverWhatWasAnswered) {
  std::mutex mutex;
  std::vector<std::string> seen;
  Start({.observer = [&](const Exchange& exchange, Duration took) {
    const std::lock_guard lock(mutex);
    EXPECT_GE(took.count(), 0);
    EXPECT_EQ(exchange.request.remote_address, "127.0.0.1");
    seen.push_back(
        fmt::format("{} {} {}", exchange.request.target, exchange.route, exchange.response.status));
  }});
  RawSocket socket(port_);
  socket.Ask("GET /echo/7?a HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.Ask("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::lock_guard lock(mutex);
  EXPECT_THAT(seen, testing::ElementsAre("/echo/7?a /echo/{x} 200", "/nothing  404"));
}

TEST_F(ServerTest, ServesOnEveryThreadAndSaysWhoHoldsThePort) {
  Start({}, 2);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(BodyOf(RawSocket(port_).Ask(kHello)), "hello");
  for (const int threads : {1, 2}) {
    Runtime runtime({.io_threads = threads, .blocking_threads = 1});
    Server second(runtime, {.port = port_}, std::make_shared<const Router>());
    const Status status = second.Start().status();
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << threads;
    EXPECT_THAT(std::string(status.message()), HasSubstr(fmt::format("127.0.0.1 port {}", port_)));
    EXPECT_THAT(std::string(status.message()), HasSubstr("ss -ltnp"));
  }
}

TEST(ServerStart, RefusesAnAddressThatIsNone) {
  Runtime runtime({.io_threads = 1, .blocking_threads = 1});
  for (const auto& [address, code] : {std::pair("localhost", StatusCode::kInvalidArgument),
                                      std::pair("192.0.2.1", StatusCode::kUnavailable)}) {
    Server server(runtime, {.address = address}, std::make_shared<const Router>());
    const Status status = server.Start().status();
    EXPECT_EQ(status.code(), code) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr(address));
  }
}

}  // namespace
}  // namespace starling::http

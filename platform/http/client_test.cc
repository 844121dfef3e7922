#include "platform/http/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "platform/async/bounded_queue.h"
#include "platform/http/problem.h"
#include "platform/http/server.h"

namespace starling::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// A server that says what it is told to, connection by connection, whatever it is asked.
class ScriptedServer {
 public:
  // One list of answers a connection; each answers one request. After the last the connection is
  // closed.
  explicit ScriptedServer(std::vector<std::vector<std::string>> connections)
      : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 16), 0);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, connections = std::move(connections)] {
      for (const auto& answers : connections) Serve(answers);
      ::close(listener_);
    });
  }
  ~ScriptedServer() { thread_.join(); }
  std::string url() const { return fmt::format("http://127.0.0.1:{}/", port_); }

 private:
  void Serve(const std::vector<std::string>& answers) {
    const int socket = ::accept(listener_, nullptr, nullptr);
    for (const std::string& answer : answers) {
      std::string request;
      char bytes[4096];
      ssize_t size = 1;
      while (request.find("\r\n\r\n") == std::string::npos && size > 0) {
        size = ::recv(socket, bytes, sizeof(bytes), 0);
        if (size > 0) request.append(bytes, static_cast<size_t>(size));
      }
      ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
    }
    ::close(socket);
  }

  int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    Router router;
    const auto add = [&](Verb verb, const char* path, Handler handler) {
      ASSERT_TRUE(router.Add(verb, path, std::move(handler)).ok());
    };
    const auto echo = [](Exchange& exchange) -> Task<void> {
      const Request& request = exchange.request;
      exchange.response.headers.Add("x-host", request.headers.Find("host").value_or("none"));
      exchange.response.headers.Add("x-sent", request.headers.Find("x-sent").value_or("none"));
      exchange.response.body =
          fmt::format("{} {} {}", request.verb_text, request.target, request.body);
      co_return;
    };
    for (const Verb verb : {Verb::kGet, Verb::kPost, Verb::kPut, Verb::kPatch, Verb::kDelete})
      add(verb, "/echo", echo);
    add(Verb::kGet, "/missing", [](Exchange& exchange) -> Task<void> {
      exchange.response = ProblemResponse(NotFound("product 'x' is not there"));
      co_return;
    });
    add(Verb::kGet, "/large", [](Exchange& exchange) -> Task<void> {
      exchange.response.body = std::string(5000, 'x');
      co_return;
    });
    add(Verb::kGet, "/stream", [](Exchange& exchange) -> Task<void> {
      ResponseStream& stream = exchange.StartStream();
      for (int i = 0; i < 3; ++i) {
        const Status written = co_await stream.Write("part ");
        EXPECT_TRUE(written.ok());
      }
    });
    add(Verb::kGet, "/waits", [this](Exchange& exchange) -> Task<void> {
      EXPECT_TRUE(running_.TryPush(1));
      const std::optional<int> answer = co_await answers_.Pop();
      exchange.response.body = std::to_string(answer.value_or(-1));
    });
    server_ = std::make_unique<Server>(runtime_, Server::Options{.sweep_interval = milliseconds(5)},
                                       std::make_shared<const Router>(std::move(router)));
    base_ = fmt::format("http://127.0.0.1:{}", server_->Start().value());
  }
  ~ClientTest() override {
    server_.reset();
    // Handlers that still wait use the queues: the io threads end before those go.
    answers_.Close();
    runtime_.Stop();
  }

  ClientRequest To(std::string_view path, Verb verb = Verb::kGet) {
    ClientRequest request;
    request.verb = verb;
    request.url = base_ + std::string(path);
    return request;
  }
  StatusOr<ClientResponse> Send(Client& client, ClientRequest request) {
    return runtime_.Block(client.Send(std::move(request)));
  }

  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  BoundedQueue<int> answers_{64};
  BoundedQueue<int> running_{64};
  std::unique_ptr<Server> server_;
  std::string base_;
};

TEST_F(ClientTest, SendsEveryVerbOverOneConnection) {
  Client client(runtime_, {});
  for (const Verb verb : {Verb::kGet, Verb::kPost, Verb::kPut, Verb::kPatch, Verb::kDelete}) {
    ClientRequest request = To("/echo?a=b", verb);
    request.headers.Add("X-Sent", "value");
    request.body = verb == Verb::kGet ? "" : "body";
    const StatusOr<ClientResponse> response = Send(client, request);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, fmt::format("{} /echo?a=b {}", VerbText(verb), request.body));
    EXPECT_EQ(response->headers.Find("x-sent"), "value");
    EXPECT_EQ(fmt::format("http://{}", response->headers.Find("x-host").value()), base_);
  }
  EXPECT_EQ(client.Stats().connections_opened, 1u);
  EXPECT_EQ(client.Stats().connections_reused, 4u);
}

TEST_F(ClientTest, ReadsHeadAndChunkedAnswers) {
  Client client(runtime_, {});
  const StatusOr<ClientResponse> head = Send(client, To("/large", Verb::kHead));
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->body, "");
  EXPECT_EQ(head->headers.Find("content-length"), "5000");
  EXPECT_EQ(Send(client, To("/stream"))->body, "part part part ");
  EXPECT_EQ(client.Stats().connections_opened, 1u);
}

TEST_F(ClientTest, GivesAnErrorAnswerAsAResultThatIsEasilyAStatus) {
  Client client(runtime_, {});
  const StatusOr<ClientResponse> response = Send(client, To("/missing"));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 404);
  EXPECT_EQ(ToString(StatusFromHttp(response->status, response->headers, response->body)),
            "NOT_FOUND: product 'x' is not there");
}

TEST_F(ClientTest, CanBeCalledFromOutsideTheRuntime) {
  Client client(runtime_, {});
  EXPECT_EQ(RunSync(client.Send(To("/echo")))->body, "GET /echo ");
}

TEST_F(ClientTest, KeepsItsDeadline) {
  Client client(runtime_, {});
  ClientRequest request = To("/waits");
  request.timeout = milliseconds(30);
  EXPECT_EQ(Send(client, request).status().code(), StatusCode::kDeadlineExceeded);
}

TEST_F(ClientTest, IsCancelledByItsToken) {
  Client client(runtime_, {});
  CancellationSource source;
  ClientRequest request = To("/waits");
  request.cancellation = source.token();
  std::thread canceller([&] {
    EXPECT_TRUE(runtime_.Block(running_.Pop()).has_value());
    source.Cancel();
  });
  EXPECT_EQ(Send(client, request).status().code(), StatusCode::kCancelled);
  canceller.join();
  EXPECT_EQ(Send(client, request).status().code(), StatusCode::kCancelled);  // and before it began
}

TEST_F(ClientTest, BoundsItsConnectionsAndThoseWhoWaitForOne) {
  Client client(runtime_, {.max_connections_per_origin = 2, .max_waiting = 2});
  std::latch done(4);
  std::atomic<int> ok = 0;
  for (int i = 0; i < 4; ++i) {
    Spawn(runtime_.executor(0),
          [](Client& client, ClientRequest request, std::latch& done,
             std::atomic<int>& ok) -> Task<void> {
            const StatusOr<ClientResponse> response = co_await client.Send(std::move(request));
            if (response.ok()) ++ok;
            done.count_down();
          }(client, To("/waits"), done, ok));
  }
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(runtime_.Block(running_.Pop()).has_value());
  const Status refused = Send(client, To("/waits")).status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("already wait"));
  EXPECT_EQ(running_.size(), 0u);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(answers_.TryPush(i));
  done.wait();
  EXPECT_EQ(ok, 4);
  EXPECT_EQ(client.Stats().connections_opened, 2u);
  EXPECT_EQ(client.Stats().connections_reused, 2u);
}

TEST_F(ClientTest, KeepsItsDeadlineWhileItWaitsForAConnection) {
  Client client(runtime_, {.max_connections_per_origin = 1});
  std::latch done(1);
  Spawn(runtime_.executor(0),
        [](Client& client, ClientRequest request, std::latch& done) -> Task<void> {
          const StatusOr<ClientResponse> response = co_await client.Send(std::move(request));
          EXPECT_TRUE(response.ok());
          done.count_down();
        }(client, To("/waits"), done));
  EXPECT_TRUE(runtime_.Block(running_.Pop()).has_value());
  ClientRequest second = To("/echo");
  second.timeout = milliseconds(20);
  EXPECT_EQ(Send(client, second).status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(answers_.TryPush(1));
  done.wait();
  EXPECT_TRUE(Send(client, To("/echo")).ok());
}

TEST_F(ClientTest, RefusesAnswersAboveItsBound) {
  Client client(runtime_, {.max_response_bytes = 4999});
  EXPECT_EQ(Send(client, To("/large")).status().code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(Send(client, To("/echo")).ok());
}

TEST_F(ClientTest, SaysWhatIsWrongWithARequest) {
  Client client(runtime_, {});
  ClientRequest bad_url = To("/");
  bad_url.url = "ftp://example.org/";
  EXPECT_EQ(Send(client, bad_url).status().code(), StatusCode::kInvalidArgument);
  ClientRequest bad_header = To("/echo");
  bad_header.headers.Add("X", "a\r\nHost: evil");
  EXPECT_EQ(Send(client, bad_header).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Send(client, To("/echo", Verb::kOther)).status().code(), StatusCode::kInvalidArgument);
}

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST_F(ClientTest, SaysWhoCouldNotBeReached) {
  Client client(runtime_, {});
  std::string url;
  {
    ScriptedServer gone({});
    url = gone.url();
  }
  ClientRequest request;
  request.url = url;
  const Status refused = Send(client, request).status();
  EXPECT_EQ(refused.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(url.substr(7, url.size() - 8)));
}

TEST_F(ClientTest, TriesAgainWhenAPooledConnectionWasClosedBeforeTheAnswer) {
  // The second request of the first connection is read and not answered.
  ScriptedServer server({{kOk, ""}, {kOk}});
  Client client(runtime_, {});
  ClientRequest request;
  request.url = server.url();
  EXPECT_EQ(Send(client, request)->body, "ok");
  const StatusOr<ClientResponse> again = Send(client, request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->body, "ok");
  EXPECT_EQ(client.Stats().retries, 1u);
}

TEST_F(ClientTest, DoesNotTryAgainWhatMayHaveBeenDone) {
  struct Case {
    const char* what;
    std::vector<std::vector<std::string>> script;
    Verb verb;
    const char* key;
    bool ok;
  };
  const Case cases[] = {
      {"POST", {{kOk, ""}}, Verb::kPost, nullptr, false},
      {"POST with a key", {{kOk, ""}, {kOk}}, Verb::kPost, "7", true},
      {"after the first byte", {{kOk, "H"}}, Verb::kGet, nullptr, false},
      {"on the second connection too", {{kOk, ""}, {""}}, Verb::kGet, nullptr, false},
  };
  for (const Case& test : cases) {
    ScriptedServer server(test.script);
    Client client(runtime_, {});
    ClientRequest request;
    request.url = server.url();
    request.verb = test.verb;
    if (test.key != nullptr) request.headers.Add("Idempotency-Key", test.key);
    EXPECT_TRUE(Send(client, request).ok()) << test.what;
    const Status status = Send(client, request).status();
    EXPECT_EQ(status.code(), test.ok ? StatusCode::kOk : StatusCode::kUnavailable) << test.what;
  }
}

TEST_F(ClientTest, DoesNotReuseWhatIsNotClean) {
  for (const char* answer : {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
                             "HTTP/1.0 200 OK\r\n\r\nok", "HTTP/1.1 200 OK\r\n\r\nok",
                             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore"}) {
    ScriptedServer server({{answer}, {kOk}});
    Client client(runtime_, {});
    ClientRequest request;
    request.url = server.url();
    for (int i = 0; i < 2; ++i) {
      const StatusOr<ClientResponse> response = Send(client, request);
      ASSERT_TRUE(response.ok()) << answer << response.status();
      EXPECT_EQ(response->body, "ok") << answer;
    }
    EXPECT_EQ(client.Stats().connections_opened, 2u) << answer;
    EXPECT_EQ(client.Stats().retries, 0u) << answer;
  }
}

TEST_F(ClientTest, SkipsInformationalAnswersAndRefusesNonsense) {
  Client client(runtime_, {});
  {
    ScriptedServer server({{fmt::format(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n{}", kOk)}});
    ClientRequest request;
    request.url = server.url();
    EXPECT_EQ(Send(client, request)->status, 200);
  }
  for (const char* nonsense : {"nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", ""}) {
    ScriptedServer server({{nonsense}});
    ClientRequest request;
    request.url = server.url();
    EXPECT_EQ(Send(client, request).status().code(), StatusCode::kUnavailable) << nonsense;
  }
}

TEST_F(ClientTest, ClosesIdleConnections) {
  Client client(runtime_, {.idle_timeout = milliseconds(5)});
  EXPECT_TRUE(Send(client, To("/echo")).ok());
  while (server_->Stats().active_connections > 0) std::this_thread::yield();
  EXPECT_TRUE(Send(client, To("/echo")).ok());
  EXPECT_EQ(client.Stats().connections_opened, 2u);
  EXPECT_EQ(client.Stats().retries, 0u);
}

}  // namespace
}  // namespace starling::http

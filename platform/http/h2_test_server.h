// A server with routes that tests of HTTP/2 and TLS ask.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "platform/async/bounded_queue.h"
#include "platform/http/server.h"

namespace starling::http {

class H2TestServer : public testing::Test {
 protected:
  ~H2TestServer() override {
    server_.reset();
    // Handlers that still wait use the queues: the io threads end before those go.
    answers_.Close();
    if (runtime_ != nullptr) runtime_->Stop();
  }

  uint16_t Start(Server::Options options = {}) {
    runtime_ = std::make_unique<Runtime>(Runtime::Options{.io_threads = 1, .blocking_threads = 1});
    options.sweep_interval = std::chrono::milliseconds(5);
    Router router;
    const auto add = [&](Verb verb, const char* path, Handler handler,
                         RouteOptions route_options = {}) {
      ASSERT_TRUE(router.Add(verb, path, std::move(handler), route_options).ok());
    };
    add(Verb::kGet, "/hello", [](Exchange& exchange) -> Task<void> {
      exchange.response.SetBody("text/plain", "hello");
      co_return;
    });
    // What the request was, a line each.
    const auto echo = [](Exchange& exchange) -> Task<void> {
      const Request& request = exchange.request;
      exchange.response.body = fmt::format("{} {} {} {}\n", request.major_version,
                                           request.verb_text, request.path, request.query);
      for (const Headers::Field field : request.headers)
        exchange.response.body += fmt::format("{}: {}\n", field.name, field.value);
      exchange.response.body += request.body;
      if (const auto& client = request.client_certificate) {
        exchange.response.headers.Set("Client-Subject", client->subject);
        exchange.response.headers.Set("Client-Issuer", client->issuer);
        for (const std::string& name : client->alternative_names)
          exchange.response.headers.Add("Client-Name", name);
      }
      co_return;
    };
    add(Verb::kGet, "/echo/{x}", echo);
    add(Verb::kPost, "/echo", echo);
    add(Verb::kPost, "/small", echo, {.max_body_bytes = 5});
    add(Verb::kPost, "/large",
        [](Exchange& exchange) -> Task<void> {
          exchange.response.body = std::to_string(exchange.request.body.size());
          co_return;
        },
        {.max_body_bytes = 5'000'000});
    add(Verb::kGet, "/bytes/{n}", [](Exchange& exchange) -> Task<void> {
      exchange.response.body =
          std::string(std::stoul(std::string(*exchange.parameters.Find("n"))), 'x');
      co_return;
    });
    add(Verb::kGet, "/fields", [](Exchange& exchange) -> Task<void> {
      exchange.response.status = 201;
      exchange.response.headers.Set("X-Mixed", "a\r\nb");
      exchange.response.headers.Set("Connection", "close");
      exchange.response.headers.Set("Keep-Alive", "5");
      exchange.response.headers.Set("Transfer-Encoding", "chunked");
      exchange.response.headers.Set("Content-Length", "7");
      exchange.response.body = "12";
      co_return;
    });
    add(Verb::kGet, "/nothing", [](Exchange& exchange) -> Task<void> {
      exchange.response.status = 204;
      co_return;
    });
    add(Verb::kGet, "/throws", [](Exchange&) -> Task<void> {
      throw std::runtime_error("secret");
      co_return;
    });
    add(Verb::kGet, "/stream", [this](Exchange& exchange) -> Task<void> {
      exchange.response.headers.Set("content-type", "application/x-ndjson");
      ResponseStream& stream = exchange.StartStream();
      for (const char* line : {"{\"a\":1}\n", "", "{\"a\":2}\n"}) {
        const Status written = co_await stream.Write(line);
        stream_status_ = written;
        if (!written.ok()) co_return;
      }
    });
    // As many bytes as ?says claims, or not.
    add(Verb::kGet, "/sized", [](Exchange& exchange) -> Task<void> {
      exchange.response.length = std::stoull(exchange.request.query);
      exchange.response.headers.Set("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
      ResponseStream& stream = exchange.StartStream();
      for (const char* piece : {"hello", ", world"}) {
        const Status written = co_await stream.Write(piece);
        if (!written.ok()) co_return;
      }
    });
    // With a body of that many bytes, in pieces when the query says so.
    add(Verb::kGet, "/trailers/{n}", [](Exchange& exchange) -> Task<void> {
      const std::string body(std::stoul(std::string(*exchange.parameters.Find("n"))), 'x');
      if (exchange.request.query == "stream") {
        ResponseStream& stream = exchange.StartStream();
        const Status written = co_await stream.Write(body);
        EXPECT_TRUE(written.ok());
      } else {
        exchange.response.body = body;
      }
      Headers& trailers = exchange.response.trailers;
      trailers.Set("X-Sum", "42");
      trailers.Set("Content-Length", "7");
      trailers.Set("Set-Cookie", "a=b");
      trailers.Set("X-Split", "a\r\nb");
    });
    add(Verb::kGet, "/breaks", [](Exchange& exchange) -> Task<void> {
      ResponseStream& stream = exchange.StartStream();
      const Status written = co_await stream.Write("part");
      EXPECT_TRUE(written.ok());
      stream.Abort();
    });
    add(Verb::kGet, "/endless", [this](Exchange& exchange) -> Task<void> {
      ResponseStream& stream = exchange.StartStream();
      const std::string chunk(10'000, 'z');
      for (;;) {
        const Status written = co_await stream.Write(chunk);
        if (written.ok()) continue;
        EXPECT_TRUE(ended_.TryPush(1));
        co_return;
      }
    });
    // Says that it runs, and answers with what the test gives.
    add(Verb::kGet, "/waits", [this](Exchange& exchange) -> Task<void> {
      EXPECT_TRUE(running_.TryPush(1));
      const std::optional<int> answer = co_await answers_.Pop();
      if (exchange.cancellation().IsCancelled()) {
        EXPECT_TRUE(ended_.TryPush(1));
      }
      exchange.response.body = std::to_string(answer.value_or(-1));
    });
    // Waits until its client is gone.
    add(Verb::kGet, "/watches", [this](Exchange& exchange) -> Task<void> {
      EXPECT_TRUE(running_.TryPush(1));
      const CancellationToken token = exchange.cancellation();
      while (!token.IsCancelled()) co_await SleepFor(std::chrono::milliseconds(1));
      EXPECT_TRUE(ended_.TryPush(1));
    });
    server_ = std::make_unique<Server>(*runtime_, std::move(options),
                                       std::make_shared<const Router>(std::move(router)));
    const StatusOr<uint16_t> port = server_->Start();
    EXPECT_TRUE(port.ok()) << port.status();
    return port.value_or(0);
  }

  // Waits on this thread for what handlers said.
  void Await(BoundedQueue<int>& queue) { RunSync(AwaitOne(queue)); }
  static Task<void> AwaitOne(BoundedQueue<int>& queue) {
    const std::optional<int> one = co_await queue.Pop();
    EXPECT_TRUE(one.has_value());
  }
  // The server's counters follow what a client sees, by a moment.
  template <typename Condition>
  bool Becomes(Condition condition) {
    for (int i = 0; i < 5000; ++i) {
      if (condition(server_->Stats())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  std::unique_ptr<Runtime> runtime_;
  BoundedQueue<int> answers_{1024};
  BoundedQueue<int> running_{1024};
  BoundedQueue<int> ended_{1024};
  std::unique_ptr<Server> server_;
  Status stream_status_;
};

}  // namespace starling::http

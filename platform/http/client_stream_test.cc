// Bodies that are read piece by piece, against the real server and one that says what a test wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "platform/async/bounded_queue.h"
#include "platform/http/client.h"
#include "platform/http/problem.h"
#include "platform/http/server.h"

namespace starling::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

class ClientStreamTest : public testing::Test {
 protected:
  ClientStreamTest() {
    Router router;
    EXPECT_TRUE(router
                    .Add(Verb::kPost, "/changes",
                         [this](Exchange& exchange) -> Task<void> {
                           ResponseStream& stream = exchange.StartStream();
                           while (true) {
                             std::optional<std::string> part = co_await parts_.Pop();
                             if (!part) co_return;
                             const Status written = co_await stream.Write(*std::move(part));
                             if (!written.ok()) co_return;
                           }
                         })
                    .ok());
    EXPECT_TRUE(router
                    .Add(Verb::kGet, "/missing",
                         [](Exchange& exchange) -> Task<void> {
                           exchange.response = ProblemResponse(NotFound("not here"));
                           co_return;
                         })
                    .ok());
    EXPECT_TRUE(router
                    .Add(Verb::kGet, "/whole",
                         [](Exchange& exchange) -> Task<void> {
                           exchange.response.body = std::string(100'000, 'x');
                           co_return;
                         })
                    .ok());
    server_ = std::make_unique<Server>(runtime_, Server::Options{.sweep_interval = milliseconds(5)},
                                       std::make_shared<const Router>(std::move(router)));
    base_ = fmt::format("http://127.0.0.1:{}", server_->Start().value());
  }
  ~ClientStreamTest() override {
    parts_.Close();
    server_.reset();
    runtime_.Stop();
  }

  ClientRequest To(std::string_view path, Verb verb) {
    ClientRequest request;
    request.verb = verb;
    request.url = base_ + std::string(path);
    request.on_piece = [this](std::string_view piece) {
      got_ += piece;
      EXPECT_TRUE(pieces_.TryPush(std::string(piece)));
      return OkStatus();
    };
    return request;
  }
  StatusOr<ClientResponse> Send(ClientRequest request) {
    return runtime_.Block(client_.Send(std::move(request)));
  }

  BoundedQueue<std::string> parts_{64};     // what the server sends
  BoundedQueue<std::string> pieces_{1024};  // what the client was given
  std::string got_;
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  std::unique_ptr<Server> server_;
  std::string base_;
  Client client_{runtime_, {.max_connections_per_origin = 2, .max_response_bytes = 1000}};
};

TEST_F(ClientStreamTest, GivesEachPieceAsItComes) {
  std::thread server([this] {
    // The next part is sent once the one before was given: what is not given at once never ends.
    for (const char* part : {"one\n", "two\n", "three\n"}) {
      EXPECT_TRUE(parts_.TryPush(part));
      EXPECT_EQ(runtime_.Block(pieces_.Pop()), part);
    }
    parts_.Close();
  });
  const StatusOr<ClientResponse> response = Send(To("/changes", Verb::kPost));
  server.join();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "");
  EXPECT_EQ(got_, "one\ntwo\nthree\n");
}

TEST_F(ClientStreamTest, HasNoBoundForTheWhole) {
  const StatusOr<ClientResponse> response = Send(To("/whole", Verb::kGet));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(got_, std::string(100'000, 'x'));
  EXPECT_TRUE(Send(To("/whole", Verb::kGet)).ok());
  EXPECT_EQ(client_.Stats().connections_opened, 1u);
}

TEST_F(ClientStreamTest, AnErrorAnswerIsAResultAndNoPiece) {
  const StatusOr<ClientResponse> response = Send(To("/missing", Verb::kGet));
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 404);
  EXPECT_THAT(response->body, HasSubstr("not here"));
  EXPECT_EQ(got_, "");
}

TEST_F(ClientStreamTest, EndsWhenAPieceIsRefused) {
  EXPECT_TRUE(parts_.TryPush("bad"));
  ClientRequest request = To("/changes", Verb::kPost);
  request.on_piece = [](std::string_view piece) { return DataLoss("'{}' is no JSON", piece); };
  EXPECT_EQ(ToString(Send(std::move(request)).status()), "DATA_LOSS: 'bad' is no JSON");
}

TEST_F(ClientStreamTest, LastsLongerThanItsTimeoutAndEndsWhenQuiet) {
  EXPECT_TRUE(parts_.TryPush("one"));
  ClientRequest request = To("/changes", Verb::kPost);
  request.timeout = seconds(30);
  request.quiet_timeout = milliseconds(50);
  const Status quiet = Send(std::move(request)).status();
  EXPECT_EQ(quiet.code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(quiet.message()), HasSubstr("was quiet for 50ms"));
  EXPECT_EQ(got_, "one");
}

TEST_F(ClientStreamTest, IsCancelledByItsToken) {
  EXPECT_TRUE(parts_.TryPush("one"));
  CancellationSource source;
  ClientRequest request = To("/changes", Verb::kPost);
  request.cancellation = source.token();
  std::thread canceller([&] {
    EXPECT_EQ(runtime_.Block(pieces_.Pop()), "one");
    source.Cancel();
  });
  EXPECT_EQ(Send(std::move(request)).status().code(), StatusCode::kCancelled);
  canceller.join();
}

TEST_F(ClientStreamTest, AServerThatGoesIsUnavailable) {
  EXPECT_TRUE(parts_.TryPush("one"));
  std::thread ender([&] {
    EXPECT_EQ(runtime_.Block(pieces_.Pop()), "one");
    server_.reset();
  });
  EXPECT_EQ(Send(To("/changes", Verb::kPost)).status().code(), StatusCode::kUnavailable);
  ender.join();
}

}  // namespace
}  // namespace starling::http

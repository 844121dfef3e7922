// Calls of gRPC through the gateway: a real server behind it, real clients before it.
#include "platform/gateway/grpc.h"
#include "platform/gateway/gateway_test_fixture.h"
#include "platform/gateway/grpc_test_service.h"

namespace starling::gateway {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

class Grpc : public GatewayTest {
 protected:
  static UpstreamConfig ToH2(std::vector<std::string> endpoints) {
    UpstreamConfig config = To(std::move(endpoints));
    config.protocol = "h2";
    return config;
  }
  static RouteConfig EchoRoute() {
    RouteConfig route = Route("/test.Echo/{method}", "up");
    route.retries = 0;
    return route;
  }
  void StartWith(const GrpcTestServer& server) {
    Start({{"up", ToH2({server.address()})}}, {EchoRoute()});
  }
  template <typename Condition>
  static bool Becomes(Condition condition) {
    const Instant end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(milliseconds(1));
    return condition();
  }
  grpc::Status Ask(const std::string& text, Text* answer = nullptr) {
    EchoStub stub(port_);
    grpc::ClientContext context;
    Text unused;
    return stub.Unary(context, TextOf(text), answer == nullptr ? unused : *answer);
  }
};

TEST_F(Grpc, UnaryCallsGoThrough) {
  GrpcTestServer server;
  StartWith(server);
  EchoStub stub(port_);
  for (const size_t size : {size_t{0}, size_t{5}, size_t{1} << 20, size_t{5} << 20}) {
    grpc::ClientContext context;
    Text answer;
    const std::string text(size, 'x');
    const grpc::Status status = stub.Unary(context, TextOf(text), answer);
    EXPECT_TRUE(status.ok()) << size << ": " << status.error_message();
    EXPECT_EQ(answer.value().size(), size);
    EXPECT_EQ(context.GetServerInitialMetadata().count("content-length"), 0u);
  }
}

TEST_F(Grpc, StreamsOfTheServerGoThrough) {
  GrpcTestServer server;
  StartWith(server);
  EchoStub stub(port_);
  for (const int most : {0, 1, 1000}) {
    grpc::ClientContext context;
    const auto reader = stub.Count(context, std::to_string(most));
    int count = 0;
    for (Text text; reader->Read(&text); ++count) EXPECT_EQ(text.value(), std::to_string(count));
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(count, most);
  }
}

TEST_F(Grpc, StreamsOfTheClientGoThrough) {
  GrpcTestServer server;
  StartWith(server);
  EchoStub stub(port_);
  // More in all than a body may have.
  for (const int pieces : {0, 1, 20}) {
    grpc::ClientContext context;
    Text answer;
    const auto writer = stub.Sum(context, answer);
    const Text piece = TextOf(std::string(size_t{1} << 20, 'x'));
    for (int i = 0; i < pieces; ++i) EXPECT_TRUE(writer->Write(piece));
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(answer.value(), std::to_string(pieces << 20));
  }
}

TEST_F(Grpc, BothSidesTalkAtOnce) {
  GrpcTestServer server;
  StartWith(server);
  EchoStub stub(port_);
  grpc::ClientContext context;
  const auto chat = stub.Chat(context);
  for (int i = 0; i < 100; ++i) {
    Text answer;
    const std::string text =
        fmt::format("{}{}", i, std::string(static_cast<size_t>(i) * 1000, '.'));
    ASSERT_TRUE(chat->Write(TextOf(text)));
    ASSERT_TRUE(chat->Read(&answer));
    EXPECT_EQ(answer.value(), "re: " + text);
  }
  chat->WritesDone();
  Text none;
  EXPECT_FALSE(chat->Read(&none));
  EXPECT_TRUE(chat->Finish().ok());
}

TEST_F(Grpc, MetadataGoesBothWays) {
  GrpcTestServer server;
  StartWith(server);
  EchoStub stub(port_);
  grpc::ClientContext context;
  context.AddMetadata("x-mine", "one");
  context.AddMetadata("my_name", "two");
  context.AddMetadata("x-raw-bin", std::string("\0\xff\r\n", 4));
  context.AddMetadata("x-starling-user", "eve");
  Text answer;
  ASSERT_TRUE(stub.Unary(context, TextOf("metadata"), answer).ok());
  const auto& first = context.GetServerInitialMetadata();
  const auto& last = context.GetServerTrailingMetadata();
  const auto is = [](const auto& metadata, const char* name, std::string_view value) {
    const auto found = metadata.find(name);
    return found != metadata.end() &&
           std::string_view(found->second.data(), found->second.size()) == value;
  };
  EXPECT_TRUE(is(first, "got-x-mine", "one"));
  EXPECT_TRUE(is(last, "end-x-mine", "one"));
  EXPECT_TRUE(is(last, "end-my_name", "two"));
  EXPECT_TRUE(is(last, "end-x-raw-bin", std::string_view("\0\xff\r\n", 4)));
  EXPECT_EQ(first.count("got-x-starling-user"), 0u);
  EXPECT_EQ(first.count("traceparent"), 1u);
}

TEST_F(Grpc, ErrorsOfTheServerComeAsTheyAre) {
  GrpcTestServer server;
  StartWith(server);
  const grpc::Status status = Ask("error");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "50 % is \xc3\xa9nough\n");
  EXPECT_EQ(status.error_details(), "details\x01");
}

TEST_F(Grpc, TheGatewaysOwnErrorsAreAnswersOfGrpc) {
  GrpcTestServer server;
  std::string nobody;
  { nobody = GrpcTestServer().address(); }
  RouteConfig closed = EchoRoute();
  closed.access = "user";
  Start({{"up", ToH2({server.address()})}}, {closed});
  EXPECT_EQ(Ask("x").error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(Ask("x").error_message(), HasSubstr("this needs credentials"));
  closed.access = "search.write";
  Start({{"up", ToH2({server.address()})}}, {closed});
  {
    EchoStub stub(port_);
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer reader");
    Text answer;
    EXPECT_EQ(stub.Unary(context, TextOf("x"), answer).error_code(),
              grpc::StatusCode::PERMISSION_DENIED);
  }
  Start({{"up", ToH2({nobody})}}, {EchoRoute()});
  const grpc::Status status = Ask("x");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("cannot connect"));
  RouteConfig quick = EchoRoute();
  quick.timeout = milliseconds(50);
  Start({{"up", ToH2({server.address()})}}, {quick});
  EXPECT_EQ(Ask("wait").error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Becomes([&] { return server.echo.cancelled == 1; }));
}

TEST_F(Grpc, ADeadlineGoesOnAndIsKept) {
  GrpcTestServer server;
  RouteConfig route = EchoRoute();
  route.timeout = std::chrono::seconds(20);
  Start({{"up", ToH2({server.address()})}}, {route});
  EchoStub stub(port_);
  const auto ask = [&](const char* text, Duration timeout) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    Text answer;
    return stub.Unary(context, TextOf(text), answer).error_code();
  };
  EXPECT_EQ(ask("x", std::chrono::seconds(10)), grpc::StatusCode::OK);
  EXPECT_GT(server.echo.deadline_ms, 0);
  EXPECT_LE(server.echo.deadline_ms, 10'100);  // gRPC rounds up
  EXPECT_EQ(ask("x", std::chrono::hours(10)), grpc::StatusCode::OK);
  EXPECT_LE(server.echo.deadline_ms, 20'100);  // the route's
  EXPECT_EQ(ask("wait", milliseconds(100)), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Becomes([&] { return server.echo.cancelled == 1; }));
}

TEST_F(Grpc, ACancelledCallIsCancelledAtTheServer) {
  GrpcTestServer server;
  StartWith(server);
  EchoStub stub(port_);
  {
    grpc::ClientContext context;
    std::thread canceller([&] {
      EXPECT_TRUE(Becomes([&] { return server.echo.running == 1; }));
      context.TryCancel();
    });
    Text answer;
    EXPECT_EQ(stub.Unary(context, TextOf("wait"), answer).error_code(),
              grpc::StatusCode::CANCELLED);
    canceller.join();
    EXPECT_TRUE(Becomes([&] { return server.echo.cancelled == 1; }));
  }
  grpc::ClientContext context;
  const auto reader = stub.Count(context, "-1");
  Text text;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(reader->Read(&text));
  context.TryCancel();
  while (reader->Read(&text)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(Becomes([&] { return server.echo.cancelled == 2; }));
}

TEST_F(Grpc, AServerThatDiesIsUnavailable) {
  GrpcTestServer server;
  StartWith(server);
  EchoStub stub(port_);
  grpc::ClientContext context;
  const auto chat = stub.Chat(context);
  Text answer;
  ASSERT_TRUE(chat->Write(TextOf("a")));
  ASSERT_TRUE(chat->Read(&answer));
  server.Kill();
  EXPECT_FALSE(chat->Read(&answer));
  const grpc::StatusCode code = chat->Finish().error_code();
  // It resets its streams by CANCEL, or is gone before it could.
  EXPECT_EQ(code, grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Ask("x").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Grpc, AThousandCallsRunAtOnce) {
  constexpr int kClients = 12, kCalls = 1000;
  GrpcTestServer server(kCalls);
  RouteConfig route = EchoRoute();
  route.timeout = std::chrono::seconds(60);
  Start({{"up", ToH2({server.address()})}}, {route});
  struct Call {
    grpc::ClientContext context;
    Text answer;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Text>> reader;
  };
  std::vector<std::unique_ptr<EchoStub>> stubs;
  stubs.reserve(kClients);
  std::vector<std::unique_ptr<Call>> calls;
  grpc::CompletionQueue queue;
  for (int i = 0; i < kClients; ++i) stubs.push_back(std::make_unique<EchoStub>(port_));
  for (int i = 0; i < kCalls; ++i) {
    EchoStub& stub = *stubs[i % kClients];
    auto call = std::make_unique<Call>();
    const auto method = stub.Method("/test.Echo/Gather", grpc::internal::RpcMethod::NORMAL_RPC);
    call->reader.reset(
        grpc::internal::ClientAsyncResponseReaderHelper::Create<Text, Text, MessageLite,
                                                                MessageLite>(
            stub.channel.get(), &queue, method, &call->context, TextOf(std::to_string(i))));
    calls.push_back(std::move(call));
  }
  for (const auto& call : calls) {
    call->reader->StartCall();
    call->reader->Finish(&call->answer, &call->status, call.get());
  }
  int good = 0;
  for (int i = 0; i < kCalls; ++i) {
    void* tag = nullptr;
    bool ok = false;
    ASSERT_TRUE(queue.Next(&tag, &ok));
    good += static_cast<Call*>(tag)->status.ok() ? 1 : 0;
  }
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_EQ(calls[i]->answer.value(), std::to_string(i)) << calls[i]->status.error_message();
  }
  EXPECT_EQ(good, kCalls);
  EXPECT_EQ(server.gather.most, static_cast<size_t>(kCalls));
}

TEST_F(Grpc, ItsHealthServiceIsAsked) {
  GrpcTestServer well;
  std::string nobody;
  { nobody = GrpcTestServer().address(); }
  UpstreamConfig config = ToH2({well.address(), nobody});
  config.health.path = "/grpc.health.v1.Health/Check";
  config.health.interval = milliseconds(10);
  Start({{"up", config}}, {EchoRoute()});
  EXPECT_TRUE(Becomes([&] { return upstreams_.Find("up")->Health().size() == 1; }));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(Ask("x").ok());
}

TEST_F(Grpc, ATimeoutThatIsNoneIsRefused) {
  for (const char* bad : {"", "5", "m", "5x", "-5m", "123456789m", "5 m"})
    EXPECT_FALSE(ParseGrpcTimeout(bad).has_value()) << bad;
  EXPECT_EQ(ParseGrpcTimeout("100m"), milliseconds(100));
  EXPECT_EQ(ParseGrpcTimeout("2H"), std::chrono::hours(2));
  EXPECT_EQ(GrpcTimeout(milliseconds(100)), "100m");
  EXPECT_EQ(GrpcTimeout(Duration(1)), "1m");
  EXPECT_EQ(GrpcTimeout(std::chrono::hours(100)), "360000S");
}

}  // namespace
}  // namespace starling::gateway

// Calls of gRPC-Web, by a raw client, to a real server of gRPC.
#include <absl/strings/escaping.h>

#include "platform/gateway/gateway_test_fixture.h"
#include "platform/gateway/grpc_test_service.h"
#include "platform/gateway/grpc_web.h"
#include "platform/http/h2_raw_client.h"

namespace starling::gateway {
namespace {

using http::RawSocket;
using http::StatusOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

std::string Message(const std::string& text) {
  const std::string body = TextOf(text).SerializeAsString();
  return std::string(1, '\0') + http::Big(static_cast<uint32_t>(body.size()), 4) + body;
}
std::string Trailers(std::string_view lines) {
  return std::string(1, '\x80') + http::Big(static_cast<uint32_t>(lines.size()), 4) +
         std::string(lines);
}

class GrpcWeb : public GatewayTest {
 protected:
  GrpcWeb() {
    UpstreamConfig config = To({server_of_grpc_.address()});
    config.protocol = "h2";
    RouteConfig route = Route("/test.Echo/{method}", "up");
    RouteConfig closed = Route("/closed/{rest=**}", "up");
    closed.access = "user";
    Start({{"up", config}}, {route, closed});
  }
  // Head and body, whatever the framing.
  std::pair<std::string, std::string> Call(std::string_view method, std::string_view type,
                                           std::string_view body, std::string_view fields = "") {
    RawSocket socket(port_);
    socket.Send(
        fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {}"
                    "\r\nX-Grpc-Web: 1\r\n{}Content-Length: {}\r\n\r\n{}",
                    method, type, fields, body.size(), body));
    const std::string all = socket.ReadToEnd();
    const size_t end = std::min(all.find("\r\n\r\n"), all.size() - 4);
    const std::string head = all.substr(0, end + 4);
    std::string rest = all.substr(end + 4), content;
    if (head.find("Transfer-Encoding: chunked") == std::string::npos) return {head, rest};
    for (;;) {
      const size_t size = std::stoul(rest, nullptr, 16);
      const size_t at = rest.find("\r\n") + 2;
      content += rest.substr(at, size);
      if (size == 0) return {head, content};
      rest = rest.substr(at + size + 2);
    }
  }
  static std::string Decoded(std::string_view text) {
    Base64Reader reader;
    std::string bytes;
    EXPECT_TRUE(reader.Read(text, bytes)) << text;
    EXPECT_TRUE(reader.ends_well());
    return bytes;
  }
  static std::string Encoded(const std::string& bytes) { return absl::Base64Escape(bytes); }

  GrpcTestServer server_of_grpc_;
};

TEST_F(GrpcWeb, AnswersAUnaryCallWithItsTrailersAsTheLastFrame) {
  const auto [head, body] =
      Call("/test.Echo/Unary", "application/grpc-web+proto", Message("hello"));
  EXPECT_EQ(StatusOf(head), 200);
  EXPECT_THAT(head, HasSubstr("content-type: application/grpc-web\r\n"));
  EXPECT_EQ(body, Message("hello") + Trailers("grpc-status: 0\r\n"));
}

TEST_F(GrpcWeb, TakesAndGivesBase64) {
  const auto [head, body] =
      Call("/test.Echo/Unary", "application/grpc-web-text", Encoded(Message("hello")));
  EXPECT_THAT(head, HasSubstr("content-type: application/grpc-web-text\r\n"));
  EXPECT_EQ(Decoded(body), Message("hello") + Trailers("grpc-status: 0\r\n"));
}

TEST_F(GrpcWeb, StreamsWhatTheServerStreams) {
  std::string expected;
  for (int i = 0; i < 100; ++i) expected += Message(std::to_string(i));
  expected += Trailers("grpc-status: 0\r\n");
  EXPECT_EQ(Call("/test.Echo/Count", "application/grpc-web", Message("100")).second, expected);
  EXPECT_EQ(
      Decoded(Call("/test.Echo/Count", "application/grpc-web-text+proto", Encoded(Message("100")))
                  .second),
      expected);
}

TEST_F(GrpcWeb, TakesAndGivesLargeMessages) {
  const std::string message = Message(std::string(500'000, 'x'));
  const std::string answer = message + Trailers("grpc-status: 0\r\n");
  EXPECT_EQ(Call("/test.Echo/Unary", "application/grpc-web", message).second, answer);
  EXPECT_EQ(Decoded(Call("/test.Echo/Unary", "application/grpc-web-text", Encoded(message)).second),
            answer);
}

TEST_F(GrpcWeb, SpeaksHttp2AsWell) {
  http::H2RawClient client(port_);
  client.Greet();
  http::Fields fields = http::PostFields("/test.Echo/Unary");
  fields.emplace_back("content-type", "application/grpc-web");
  client.AskWithBody(1, fields);
  client.SendFrame(http::kData, http::kEndStream, 1, Message("two"));
  const http::H2RawClient::Answer answer = client.ReadAnswer(1);
  EXPECT_EQ(answer.body, Message("two") + Trailers("grpc-status: 0\r\n"));
  EXPECT_TRUE(answer.trailers.empty());
}

TEST_F(GrpcWeb, GivesErrorsOfTheServer) {
  const auto [head, body] = Call("/test.Echo/Unary", "application/grpc-web", Message("error"));
  EXPECT_EQ(StatusOf(head), 200);
  const std::string all = head + body;
  EXPECT_THAT(all, HasSubstr("grpc-status: 9\r\n"));
  EXPECT_THAT(all, HasSubstr("grpc-message: 50 %25 is %C3%A9nough%0A\r\n"));
}

TEST_F(GrpcWeb, GivesTheGatewaysOwnErrors) {
  const auto [head, body] = Call("/closed/x", "application/grpc-web-text", "");
  EXPECT_EQ(StatusOf(head), 200);
  EXPECT_THAT(head, HasSubstr("content-type: application/grpc-web-text\r\n"));
  EXPECT_THAT(head, HasSubstr("grpc-status: 16\r\n"));
  EXPECT_THAT(head, Not(HasSubstr("problem")));
  EXPECT_EQ(body, "");
}

TEST_F(GrpcWeb, RefusesWhatIsNoBase64) {
  for (const char* bad : {"AAAA!AAA", "AAA", "=AAA", "A\r\nA="}) {
    const auto [head, body] = Call("/test.Echo/Unary", "application/grpc-web-text", bad);
    EXPECT_THAT(head, HasSubstr("grpc-status: 3\r\n")) << bad;
  }
}

TEST_F(GrpcWeb, PassesATimeoutOn) {
  const auto [head, body] =
      Call("/test.Echo/Unary", "application/grpc-web", Message("wait"), "grpc-timeout: 100m\r\n");
  EXPECT_THAT(head, HasSubstr("grpc-status: 4\r\n"));
  const auto [none, unused] =
      Call("/test.Echo/Unary", "application/grpc-web", Message("x"), "grpc-timeout: soon\r\n");
  EXPECT_THAT(none, HasSubstr("grpc-status: 3\r\n"));
}

TEST(Base64Reader, TakesPiecesThatEndAnywhere) {
  const std::string text = absl::Base64Escape("hello") + absl::Base64Escape("more");
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Base64Reader reader;
    std::string bytes;
    EXPECT_TRUE(reader.Read(text.substr(0, cut), bytes));
    EXPECT_TRUE(reader.Read(text.substr(cut), bytes));
    EXPECT_TRUE(reader.ends_well());
    EXPECT_EQ(bytes, "hellomore");
  }
}

}  // namespace
}  // namespace starling::gateway

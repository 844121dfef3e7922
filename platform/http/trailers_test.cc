// What goes out behind a body, over HTTP/1.1 and HTTP/2.
#include <gmock/gmock.h>

#include "platform/http/h2_raw_client.h"
#include "platform/http/h2_test_server.h"

namespace starling::http {
namespace {

using testing::HasSubstr;
using testing::Not;

class Trailers : public H2TestServer {
 protected:
  std::string Ask(std::string_view path, std::string_view fields) {
    RawSocket socket(port_);
    socket.Send(
        fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", path, fields));
    return socket.ReadToEnd();
  }
  uint16_t port_ = Start();
};

TEST_F(Trailers, GoBehindTheBodyOverHttp2) {
  for (const char* path : {"/trailers/2", "/trailers/0", "/trailers/100000", "/trailers/2?stream",
                           "/trailers/40000?stream"}) {
    SCOPED_TRACE(path);
    H2RawClient client(port_);
    client.Greet(Setting(4, 1 << 20));
    client.SendFrame(kWindowUpdate, 0, 0, Big(1 << 20, 4));
    client.Get(1, path);
    const H2RawClient::Answer answer = client.ReadAnswer(1);
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(std::to_string(answer.body.size()),
              std::string(path).substr(10, std::string(path).find('?') - 10));
    EXPECT_THAT(answer.trailers, testing::ElementsAre(testing::Pair("x-sum", "42")));
    EXPECT_EQ(answer.fields.count("x-sum"), 0u);
    EXPECT_TRUE(client.Pings());
  }
}

TEST_F(Trailers, GoBehindTheLastChunkToWhomTakesThem) {
  for (const char* path : {"/trailers/2", "/trailers/2?stream"}) {
    SCOPED_TRACE(path);
    const std::string answer = Ask(path, "TE: gzip, trailers\r\n");
    EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
    EXPECT_THAT(answer, Not(HasSubstr("Set-Cookie")));
    EXPECT_THAT(answer,
                testing::EndsWith("\r\n\r\n2\r\nxx\r\n0\r\nX-Sum: 42\r\nX-Split: a  b\r\n\r\n"));
  }
}

TEST_F(Trailers, DoNotGoToOthers) {
  EXPECT_THAT(Ask("/trailers/2", ""), testing::EndsWith("Content-Length: 2\r\n\r\nxx"));
  EXPECT_THAT(Ask("/trailers/2?stream", "TE: gzip\r\n"), testing::EndsWith("2\r\nxx\r\n0\r\n\r\n"));
  RawSocket old(port_);
  old.Send("GET /trailers/2 HTTP/1.0\r\nTE: trailers\r\n\r\n");
  EXPECT_THAT(old.ReadToEnd(), testing::EndsWith("\r\n\r\nxx"));
}

}  // namespace
}  // namespace starling::http

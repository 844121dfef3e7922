// HTTP/2 with those who really speak it: curl and h2load, which ./dev setup installs.
#include <gmock/gmock.h>

#include <cstdio>

#include "platform/http/h2_test_server.h"
#include "platform/http/tls_test_certificates.h"

namespace starling::http {
namespace {

using testing::HasSubstr;

class H2Peers : public H2TestServer {
 protected:
  uint16_t StartTls() {
    StatusOr<std::shared_ptr<Tls>> tls = Tls::Load({.certificates = {folder_.Write("x", shop_)}});
    EXPECT_TRUE(tls.ok()) << tls.status();
    return Start({.tls = *tls});
  }
  static std::string Output(const std::string& command) {
    std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    std::string output;
    char bytes[4096];
    for (size_t size; (size = std::fread(bytes, 1, sizeof(bytes), pipe)) > 0;)
      output.append(bytes, size);
    EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << output;
    return output;
  }
  static std::string Curl(const std::string& rest) {
    return Output("curl -sSk --max-time 20 -w '|%{http_code}|%{http_version}' " + rest);
  }

  const CertificateFolder folder_;
  const TestCertificate shop_{"shop", "DNS:localhost"};
};

TEST_F(H2Peers, SpeakWithoutTls) {
  const uint16_t port = Start();
  const std::string url = fmt::format("http://127.0.0.1:{}", port);
  EXPECT_EQ(Curl("--http2-prior-knowledge " + url + "/hello"), "hello|200|2");
  EXPECT_EQ(Curl(url + "/hello"), "hello|200|1.1");
  EXPECT_EQ(Curl("--http2-prior-knowledge " + url + "/stream"), "{\"a\":1}\n{\"a\":2}\n|200|2");
  const std::string body = folder_.Write("body", std::string(4'000'000, 'b'));
  EXPECT_EQ(Curl("--http2-prior-knowledge --data-binary @" + body + " " + url + "/large"),
            "4000000|200|2");
  EXPECT_THAT(Curl("--http2-prior-knowledge " + url + "/bytes/3000000"),
              HasSubstr(std::string(3'000'000, 'x') + "|200|2"));
  EXPECT_THAT(Output(fmt::format("h2load -n 2000 -c 4 -m 20 {}/hello", url)),
              HasSubstr("2000 succeeded"));
}

TEST_F(H2Peers, SpeakOverTls) {
  const uint16_t port = StartTls();
  const std::string url = fmt::format("https://127.0.0.1:{}", port);
  EXPECT_EQ(Curl("--http2 " + url + "/hello"), "hello|200|2");
  EXPECT_EQ(Curl("--http1.1 " + url + "/hello"), "hello|200|1.1");
  EXPECT_EQ(Curl("--http2 --tlsv1.2 --tls-max 1.2 " + url + "/hello"), "hello|200|2");
  const std::string body = folder_.Write("body", std::string(4'000'000, 'b'));
  EXPECT_EQ(Curl("--http2 --data-binary @" + body + " " + url + "/large"), "4000000|200|2");
  EXPECT_THAT(Curl("--http2 " + url + "/bytes/3000000"),
              HasSubstr(std::string(3'000'000, 'x') + "|200|2"));
  EXPECT_THAT(Output(fmt::format("h2load -n 2000 -c 4 -m 20 {}/bytes/20000", url)),
              HasSubstr("2000 succeeded"));
  EXPECT_THAT(Output(fmt::format("h2load --h1 -n 500 -c 4 {}/hello", url)),
              HasSubstr("500 succeeded"));
}

}  // namespace
}  // namespace starling::http

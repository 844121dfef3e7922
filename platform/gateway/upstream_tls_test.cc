// Upstreams over TLS: real certificates, good and bad.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "platform/gateway/gateway_test_fixture.h"
#include "platform/http/client_tls.h"
#include "platform/http/tls_test_certificates.h"

namespace starling::gateway {
namespace {

using http::BodyOf;
using http::StatusOf;
using http::TestCertificate;
using testing::HasSubstr;

// Agrees on TLS, and on nothing else.
class ServerWithoutAlpn {
 public:
  explicit ServerWithoutAlpn(const http::TlsOptions::Certificate& files)
      : context_(SSL_CTX_new(TLS_server_method())), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    SSL_CTX_use_certificate_chain_file(context_, files.certificate_file.c_str());
    SSL_CTX_use_PrivateKey_file(context_, files.key_file.c_str(), SSL_FILETYPE_PEM);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_, any, size), 0);
    EXPECT_EQ(::listen(listener_, 4), 0);
    EXPECT_EQ(::getsockname(listener_, any, &size), 0);
    port_ = ntohs(address.sin_port);
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to who has left
    thread_ = std::thread([this] {
      for (int socket; (socket = ::accept(listener_, nullptr, nullptr)) >= 0; ::close(socket)) {
        SSL* const ssl = SSL_new(context_);
        SSL_set_fd(ssl, socket);
        char byte;
        if (SSL_accept(ssl) == 1) SSL_read(ssl, &byte, 1);
        SSL_free(ssl);
      }
    });
  }
  ~ServerWithoutAlpn() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    SSL_CTX_free(context_);
  }
  ServerWithoutAlpn(const ServerWithoutAlpn&) = delete;
  uint16_t port() const { return port_; }

 private:
  SSL_CTX* const context_;
  const int listener_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class UpstreamTlsTest : public GatewayTest {
 protected:
  ~UpstreamTlsTest() override { upstream_.reset(); }

  // An HTTPS server with this certificate; "/{rest=**}" of the gateway goes there.
  uint16_t Serve(const TestCertificate& certificate,
                 http::TlsOptions::Clients clients = http::TlsOptions::Clients::kAnyone) {
    http::TlsOptions options;
    options.certificates = {folder_.Write("server", certificate)};
    options.clients = clients;
    options.client_ca_file = ca_file_;
    auto tls = http::Tls::Load(options);
    EXPECT_TRUE(tls.ok()) << tls.status();
    http::Router router;
    const http::Handler handler = [](http::Exchange& exchange) -> Task<void> {
      const auto& client = exchange.request.client_certificate;
      exchange.response.body =
          fmt::format("{} {} {}", *exchange.request.headers.Find("host"),
                      exchange.request.body.size(), client ? client->subject : "nobody");
      co_return;
    };
    EXPECT_TRUE(router.Add(http::Verb::kGet, "/{rest=**}", handler).ok());
    EXPECT_TRUE(
        router.Add(http::Verb::kPut, "/{rest=**}", handler, {.max_body_bytes = 9'000'000}).ok());
    upstream_ = std::make_unique<http::Server>(
        runtime_, http::ServerOptions{.sweep_interval = std::chrono::milliseconds(10), .tls = *tls},
        std::make_shared<const http::Router>(std::move(router)));
    const auto port = upstream_->Start();
    EXPECT_TRUE(port.ok()) << port.status();
    return port.value_or(0);
  }
  UpstreamConfig Config(uint16_t port) {
    UpstreamConfig config = To({fmt::format("https://127.0.0.1:{}", port)});
    config.tls.ca = ca_file_;
    config.tls.name = "up.example";
    return config;
  }
  void StartTo(const UpstreamConfig& config) {
    RouteConfig route = Route("/{rest=**}", "up");
    route.max_body = config::Bytes(9'000'000);
    Start({{"up", config}}, {route});
  }

  http::CertificateFolder folder_;
  const TestCertificate ca_{"ca", ""};
  const std::string ca_file_ = folder_.Write("ca.pem", ca_.CertificatePem());
  const TestCertificate good_{"up", "DNS:up.example,IP:127.0.0.1", &ca_};
  std::unique_ptr<http::Server> upstream_;
};

TEST_F(UpstreamTlsTest, PassesRequestsOnAndUsesConnectionsAndSessionsAgain) {
  StartTo(Config(Serve(good_)));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(BodyOf(Get("/x")), "shop.example 0 nobody");
  const std::string body(5'000'000, 'b');
  EXPECT_EQ(BodyOf(Ask(fmt::format("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
                                   body.size(), body))),
            "x 5000000 nobody");
  // At most one an io thread, the second resumed.
  const uint64_t handshakes = upstream_->Stats().tls_handshakes;
  EXPECT_LE(handshakes, 2u);
  EXPECT_EQ(upstream_->Stats().tls_resumed, handshakes - 1);
}

TEST_F(UpstreamTlsTest, OfAnAddressTheCertificateMustNameIt) {
  UpstreamConfig config = Config(Serve(good_));
  config.tls.name = "";
  StartTo(config);
  EXPECT_EQ(StatusOf(Get("/x")), 200);
}

TEST_F(UpstreamTlsTest, ACertificateThatIsNotGoodIsNotTalkedTo) {
  const TestCertificate other("up", "DNS:other.example", &ca_);
  const TestCertificate wild("up", "DNS:*.shop.example", &ca_);
  const TestCertificate expired("up", "DNS:up.example", &ca_, /*valid_for_seconds=*/-60);
  const TestCertificate own("up", "DNS:up.example");
  const struct {
    const TestCertificate& certificate;
    const char* name;
    const char* says;
    int status;
  } rows[] = {
      {other, "up.example", "hostname mismatch", 503},
      {own, "up.example", "self-signed certificate", 503},
      {expired, "up.example", "has expired", 503},
      {wild, "up.example", "hostname mismatch", 503},
      {wild, "a.up.shop.example", "hostname mismatch", 503},
      {wild, "up.shop.example", "", 200},
  };
  for (const auto& row : rows) {
    UpstreamConfig config = Config(Serve(row.certificate));
    config.tls.name = row.name;
    StartTo(config);
    const std::string answer = Get("/x");
    EXPECT_EQ(StatusOf(answer), row.status) << answer;
    EXPECT_THAT(answer, HasSubstr(row.says));
    if (row.status != 200) {
      EXPECT_EQ(upstream_->Stats().requests, 0u);
    }
  }
  // One that does not speak TLS, and waits for a request's end.
  RawServer plain([](const std::string&, int) -> RawServer::Answer { return {Ok("x")}; });
  StartTo(Config(plain.port()));
  EXPECT_EQ(StatusOf(Get("/x")), 504);
  EXPECT_TRUE(plain.requests().empty());
}

TEST_F(UpstreamTlsTest, ShowsItsOwnCertificate) {
  const TestCertificate mine("gateway", "DNS:gateway.example", &ca_);
  const auto files = folder_.Write("mine", mine);
  const uint16_t port = Serve(good_, http::TlsOptions::Clients::kMustShowCertificate);
  StartTo(Config(port));
  EXPECT_EQ(StatusOf(Get("/x")), 503);
  UpstreamConfig config = Config(port);
  config.tls.certificate = files.certificate_file;
  config.tls.key = files.key_file;
  StartTo(config);
  EXPECT_EQ(BodyOf(Get("/x")), "shop.example 0 CN=gateway");
}

TEST_F(UpstreamTlsTest, TakesNewFilesWhileItServes) {
  const TestCertificate mine("gateway", "DNS:gateway.example", &ca_);
  const TestCertificate next("gateway-2", "DNS:gateway.example", &ca_);
  const auto files = folder_.Write("mine", mine);
  UpstreamConfig config = Config(Serve(good_, http::TlsOptions::Clients::kMustShowCertificate));
  config.tls.certificate = files.certificate_file;
  config.tls.key = files.key_file;
  config.idle_timeout = std::chrono::milliseconds(1);
  StartTo(config);
  EXPECT_EQ(BodyOf(Get("/x")), "shop.example 0 CN=gateway");
  folder_.Write("mine", next);
  for (int i = 0; i < 500 && BodyOf(Get("/x")) != "shop.example 0 CN=gateway-2"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(BodyOf(Get("/x")), "shop.example 0 CN=gateway-2");
}

TEST_F(UpstreamTlsTest, HalfOfAChangeOfItsFilesIsNone) {
  const TestCertificate mine("gateway", "DNS:gateway.example", &ca_);
  const TestCertificate next("gateway-2", "DNS:gateway.example", &ca_);
  const auto files = folder_.Write("mine", mine);
  const auto tls = http::ClientTls::Load({.ca_file = ca_file_,
                                          .certificate_file = files.certificate_file,
                                          .key_file = files.key_file});
  ASSERT_TRUE(tls.ok()) << tls.status();
  EXPECT_EQ((*tls)->ReloadIfChanged().value(), false);
  folder_.Write("mine.pem", next.CertificatePem());
  const StatusOr<bool> half = (*tls)->ReloadIfChanged();
  EXPECT_EQ(half.status().code(), StatusCode::kInvalidArgument) << half.status();
  EXPECT_THAT(std::string(half.status().message()), HasSubstr("mine.key"));
  EXPECT_EQ((*tls)->ReloadIfChanged().value(), false) << "it is said once";
  EXPECT_NE((*tls)->NewSession(-1, "up.example"), nullptr) << "with what there was";
  folder_.Write("mine", next);
  EXPECT_EQ((*tls)->ReloadIfChanged().value(), true);
}

TEST_F(UpstreamTlsTest, SpeaksHttp2WhenTheServerAgrees) {
  UpstreamConfig config = Config(Serve(good_));
  config.protocol = "h2";
  config.health.path = "/healthz";
  StartTo(config);
  const std::string body(5'000'000, 'b');
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(BodyOf(Get("/x")), "shop.example 0 nobody");
    EXPECT_EQ(BodyOf(Ask(fmt::format("PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}",
                                     body.size(), body))),
              "x 5000000 nobody");
  }
  EXPECT_GE(upstream_->Stats().http2_connections, 1u);
}

TEST_F(UpstreamTlsTest, OfHttp2IsNotTalkedToWhenItDoesNotAgree) {
  const ServerWithoutAlpn server(folder_.Write("server", good_));
  UpstreamConfig config = Config(server.port());
  config.protocol = "h2";
  StartTo(config);
  const std::string answer = Get("/x");
  EXPECT_EQ(StatusOf(answer), 503);
  EXPECT_THAT(answer, HasSubstr("it does not agree to h2 (ALPN)"));
}

TEST_F(UpstreamTlsTest, IsCheckedOverTls) {
  UpstreamConfig config = Config(Serve(good_));
  const std::string good = config.endpoints[0];
  config.endpoints.push_back("https://127.0.0.1:1");
  config.health.path = "/healthz";
  config.health.interval = std::chrono::milliseconds(10);
  config.health.failures = 1;
  StartTo(config);
  const auto left = [&] { return upstreams_.Find("up")->Health(); };
  for (int i = 0; i < 5000 && left().size() != 1; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_EQ(left().size(), 1u);
  EXPECT_THAT(good, HasSubstr(left()[0].endpoint.address));
}

TEST_F(UpstreamTlsTest, IsRefusedWithAWordWhenItIsWrong) {
  const auto refused = [&](const UpstreamConfig& config) {
    return std::string(Set({{"up", config}}, {Route("/", "up")}).message());
  };
  UpstreamConfig config = To({"https://127.0.0.1:1", "127.0.0.1:2"});
  EXPECT_THAT(refused(config), HasSubstr("all or none"));
  config = To({"127.0.0.1:2"});
  config.tls.name = "x";
  EXPECT_THAT(refused(config), HasSubstr("upstreams.up.tls"));
  config = To({"https://127.0.0.1:1"});
  config.tls.ca = folder_.Path("none.pem");
  EXPECT_THAT(refused(config), HasSubstr("none.pem"));
  config.tls.ca = ca_file_;
  config.tls.certificate = ca_file_;
  EXPECT_THAT(refused(config), HasSubstr("needs a key"));
}

}  // namespace
}  // namespace starling::gateway

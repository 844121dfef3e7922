// The client over TLS: whom it believes, and that it believes nobody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/http/client.h"
#include "platform/http/server.h"
#include "platform/http/tls_test_certificates.h"

namespace starling::http {
namespace {

using testing::HasSubstr;

class ClientTlsTest : public testing::Test {
 protected:
  ~ClientTlsTest() override {
    server_.reset();
    runtime_.Stop();
  }
  // Serves with this certificate; gives the port.
  int Serve(const TestCertificate& certificate) {
    Router router;
    const Status added = router.Add(Verb::kGet, "/hello", [](Exchange& exchange) -> Task<void> {
      exchange.response.body = exchange.request.tls ? "over TLS" : "plain";
      co_return;
    });
    EXPECT_TRUE(added.ok());
    auto tls = Tls::Load({.certificates = {folder_.Write("server", certificate)}});
    EXPECT_TRUE(tls.ok()) << tls.status();
    server_ = std::make_unique<Server>(runtime_, Server::Options{.tls = *tls},
                                       std::make_shared<const Router>(std::move(router)));
    return server_->Start().value();
  }
  StatusOr<ClientResponse> Get(Client& client, std::string url, int timeout_ms = 5000) {
    return runtime_.Block(
        client.Send({.url = std::move(url), .timeout = std::chrono::milliseconds(timeout_ms)}));
  }

  const CertificateFolder folder_;
  const TestCertificate ca_{"ca", ""};
  const std::string ca_file_ = folder_.Write("ca.pem", ca_.CertificatePem());
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
  std::unique_ptr<Server> server_;
};

TEST_F(ClientTlsTest, TalksToAServerWhoseNameAndSignerAreRightAndKeepsTheConnection) {
  const TestCertificate right("server", "DNS:localhost,IP:127.0.0.1", &ca_);
  const int port = Serve(right);
  Client client(runtime_, {.ca_file = ca_file_});
  for (const char* host : {"localhost", "localhost", "127.0.0.1"}) {
    const auto response = Get(client, fmt::format("https://{}:{}/hello", host, port));
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->body, "over TLS");
  }
  EXPECT_EQ(client.Stats().connections_opened, 2u);
  EXPECT_EQ(client.Stats().connections_reused, 1u);
}

TEST_F(ClientTlsTest, DoesNotBelieveACertificateOfAnotherName) {
  const TestCertificate other("server", "DNS:elsewhere.example", &ca_);
  const int port = Serve(other);
  Client client(runtime_, {.ca_file = ca_file_});
  for (const char* host : {"localhost", "127.0.0.1"}) {
    const auto response = Get(client, fmt::format("https://{}:{}/hello", host, port));
    EXPECT_EQ(response.status().code(), StatusCode::kUnavailable);
    EXPECT_THAT(std::string(response.status().message()), HasSubstr("mismatch")) << host;
  }
}

TEST_F(ClientTlsTest, DoesNotBelieveAnotherSignerNorTheServerItself) {
  const TestCertificate other_ca("ca", "");
  const TestCertificate signed_by_other("server", "DNS:localhost", &other_ca);
  const TestCertificate self_signed("server", "DNS:localhost");
  for (const TestCertificate* certificate : {&signed_by_other, &self_signed}) {
    const int port = Serve(*certificate);
    for (const std::string& believed : {ca_file_, std::string()}) {
      Client client(runtime_, {.ca_file = believed});
      const auto response = Get(client, fmt::format("https://localhost:{}/hello", port));
      EXPECT_EQ(response.status().code(), StatusCode::kUnavailable);
      EXPECT_THAT(std::string(response.status().message()), HasSubstr("not believed"));
    }
  }
}

TEST_F(ClientTlsTest, SaysThatItsFileIsNoneAndStillSpeaksPlainHttp) {
  Client client(runtime_, {.ca_file = folder_.Path("absent.pem")});
  const TestCertificate right("server", "DNS:localhost", &ca_);
  const int port = Serve(right);
  const auto response = Get(client, fmt::format("https://localhost:{}/hello", port));
  EXPECT_EQ(response.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(response.status().message()), HasSubstr("absent.pem"));
}

TEST_F(ClientTlsTest, EndsAtItsDeadlineWithAServerThatNeverAgrees) {
  // Accepts by its backlog and says nothing.
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  Client client(runtime_, {.ca_file = ca_file_});
  const auto response =
      Get(client, fmt::format("https://127.0.0.1:{}/hello", ntohs(address.sin_port)), 50);
  EXPECT_EQ(response.status().code(), StatusCode::kDeadlineExceeded);
  ::close(listener);
}

TEST_F(ClientTlsTest, DoesNotFallBackToPlainHttp) {
  Router router;
  server_ = std::make_unique<Server>(runtime_, Server::Options{},
                                     std::make_shared<const Router>(std::move(router)));
  const int port = server_->Start().value();
  Client client(runtime_, {.ca_file = ca_file_});
  const auto response = Get(client, fmt::format("https://127.0.0.1:{}/hello", port));
  EXPECT_EQ(response.status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace starling::http

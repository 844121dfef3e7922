// Clients that show a certificate to the real process: who they are by it, over HTTP/1.1 and
// HTTP/2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "platform/http/tls_client.h"
#include "tests/flow/running_process.h"

namespace starling {
namespace {

using http::CertificateFolder;
using http::TestCertificate;
using http::TlsClient;
using testing::HasSubstr;
using testing::Not;
using testing_support::RunningProcess;

class ClientCertificateTest : public testing::Test {
 protected:
  ClientCertificateTest() {
    const auto server = folder_.Write("server", server_);
    const std::string ca = folder_.Write("ca.pem", ca_.CertificatePem());
    const std::string file =
        folder_.Write("starling.yaml", fmt::format(R"(
gateway:
  tls:
    port: 0
    certificates: [{{certificate: {}, key: {}}}]
    client_ca: {}
security:
  client_certificates:
    - {{san: "URI:spiffe://shop.example/till/*", name: "till-{{1}}", scopes: [users.read]}}
    - {{subject: "CN=ada", identity: user, name: ada}}
)",
                                                   server.certificate_file, server.key_file, ca));
    running_ = std::make_unique<RunningProcess>(config::Sources::Pairs{}, file);
    EXPECT_TRUE(running_->status().ok()) << running_->status();
  }
  // The answer to GET with this certificate.
  std::string Ask(const TestCertificate* certificate, const std::string& path,
                  const std::string& fields = "") {
    TlsClient client(static_cast<uint16_t>(running_->process().https_port()),
                     {.name = "localhost", .certificate = certificate});
    client.Send(
        fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", path, fields));
    return client.ReadUntil("\x01");
  }

  const CertificateFolder folder_;
  const TestCertificate ca_{"ca", ""};
  const TestCertificate other_ca_{"ca", ""};
  const TestCertificate server_{"server", "DNS:localhost"};
  const TestCertificate till_{"till", "URI:spiffe://shop.example/till/7", &ca_};
  const TestCertificate ada_{"ada", "", &ca_};
  const TestCertificate unknown_{"mallory", "", &ca_};
  const TestCertificate forged_{"ada", "", &other_ca_};
  std::unique_ptr<RunningProcess> running_;
};

TEST_F(ClientCertificateTest, IsACredential) {
  EXPECT_THAT(Ask(&till_, "/v1/users"), HasSubstr(" 200 OK"));
  EXPECT_THAT(Ask(&till_, "/v1/users/ada"), HasSubstr(" 404 "));  // may read, is not there
  EXPECT_THAT(Ask(&ada_, "/v1/users/ada"), HasSubstr(" 404 "));   // her own, not made yet
  EXPECT_THAT(Ask(&ada_, "/v1/users"), HasSubstr(" 403 "));
  EXPECT_THAT(Ask(&unknown_, "/v1/users"), HasSubstr(" 401 "));
  EXPECT_THAT(Ask(nullptr, "/v1/users"), HasSubstr(" 401 "));
}

TEST_F(ClientCertificateTest, OfAnotherSignerIsNone) {
  EXPECT_THAT(Ask(&forged_, "/v1/users/ada"), Not(HasSubstr("HTTP/1.1 ")));
}

TEST_F(ClientCertificateTest, IsNeverTakenFromAHeader) {
  for (const char* field : {"X-Client-Cert: CN=ada", "X-Forwarded-Client-Cert: Subject=\"CN=ada\"",
                            "X-SSL-Client-S-DN: CN=ada", "Client-Cert: :Q049YWRh:",
                            "X-Starling-User: ada", "X-Starling-Caller: user:ada"}) {
    EXPECT_THAT(Ask(nullptr, "/v1/users/ada", std::string(field) + "\r\n"), HasSubstr(" 401 "))
        << field;
  }
}

TEST_F(ClientCertificateTest, MayNotContradictAToken) {
  const std::string admin = "Authorization: Bearer " + running_->admin_key() + "\r\n";
  EXPECT_THAT(Ask(&unknown_, "/v1/users", admin), HasSubstr(" 200 OK"));
  EXPECT_THAT(Ask(&ada_, "/v1/users", admin), HasSubstr(" 200 OK"));
  EXPECT_THAT(Ask(&ada_, "/v1/users", "Authorization: Bearer nonsense\r\n"), HasSubstr(" 401 "));
}

TEST_F(ClientCertificateTest, IsACredentialOverHttp2Too) {
  const auto till = folder_.Write("till", till_);
  const std::string command = fmt::format(
      "curl -sk --http2 -o /dev/null -w '%{{http_version}} %{{http_code}}' --cert {} --key {} "
      "https://localhost:{}/v1/users",
      till.certificate_file, till.key_file, running_->process().https_port());
  FILE* curl = ::popen(command.c_str(), "r");
  ASSERT_NE(curl, nullptr);
  char said[64] = "";
  EXPECT_NE(std::fgets(said, sizeof(said), curl), nullptr);
  ::pclose(curl);
  EXPECT_STREQ(said, "2 200");
}

}  // namespace
}  // namespace starling

#include "platform/host/https.h"

#include <gmock/gmock.h>

#include "platform/http/tls_client.h"

namespace starling::host {
namespace {

using http::CertificateFolder;
using http::TestCertificate;
using http::TlsClient;

TlsConfig ConfigOf(const http::TlsOptions::Certificate& pair) {
  return {.certificates = {{.certificate = pair.certificate_file, .key = pair.key_file}},
          .port = 0};
}

class HttpsTest : public testing::Test {
 protected:
  ~HttpsTest() override { until_.Cancel(); }
  StatusOr<std::unique_ptr<Https>> Start(const TlsConfig& config) {
    http::Router router;
    const Status added =
        router.Add(http::Verb::kGet, "/hello", [](http::Exchange& exchange) -> Task<void> {
          exchange.response.body = exchange.request.tls ? "over TLS" : "plain";
          co_return;
        });
    EXPECT_TRUE(added.ok());
    return Https::Start(runtime_, config, {},
                        std::make_shared<const http::Router>(std::move(router)), until_.token(),
                        std::chrono::milliseconds(1));
  }
  std::string NameAt(const Https& https) {
    return TlsClient(static_cast<uint16_t>(https.port()), {}).ServerName();
  }

  CancellationSource until_;
  const CertificateFolder folder_;
  const TestCertificate old_{"old", "DNS:shop.example"};
  const TestCertificate renewed_{"renewed", "DNS:shop.example"};
  Runtime runtime_{{.io_threads = 1, .blocking_threads = 1}};
};

TEST_F(HttpsTest, IsNotServedWithoutCertificates) {
  const StatusOr<std::unique_ptr<Https>> https = Start({});
  ASSERT_TRUE(https.ok());
  EXPECT_EQ(*https, nullptr);
}

TEST_F(HttpsTest, NamesTheFileThatCannotBeUsed) {
  const StatusOr<std::unique_ptr<Https>> https =
      Start(ConfigOf({folder_.Path("absent.pem"), folder_.Path("absent.key")}));
  EXPECT_THAT(std::string(https.status().message()), testing::HasSubstr("absent.pem"));
}

TEST_F(HttpsTest, AnswersAndTakesFilesThatChangeAndAChangedConfiguration) {
  const StatusOr<std::unique_ptr<Https>> started = Start(ConfigOf(folder_.Write("shop", old_)));
  ASSERT_TRUE(started.ok()) << started.status();
  Https& https = **started;
  TlsClient client(static_cast<uint16_t>(https.port()), {});
  EXPECT_THAT(client.Ask("/hello", "over TLS"), testing::EndsWith("over TLS"));
  EXPECT_EQ(NameAt(https), "old");
  folder_.Write("shop", renewed_);
  for (int i = 0; i < 2000 && NameAt(https) != "renewed"; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(NameAt(https), "renewed");

  // Again and again: each look at the files is as good as the one before.
  for (int round = 0; round < 20; ++round) {
    const bool even = round % 2 == 0;
    folder_.Write("shop", even ? old_ : renewed_);
    const std::string expected = even ? "old" : "renewed";
    for (int i = 0; i < 2000 && NameAt(https) != expected; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_EQ(NameAt(https), expected) << "round " << round;
  }

  https.Set(ConfigOf({folder_.Path("absent.pem"), folder_.Path("absent.key")}));
  EXPECT_EQ(NameAt(https), "renewed");
  https.Set(ConfigOf(folder_.Write("other", old_)));
  EXPECT_EQ(NameAt(https), "old");
  EXPECT_EQ(runtime_.Block(https.Drain(std::chrono::seconds(5))), 0u);
}

}  // namespace
}  // namespace starling::host

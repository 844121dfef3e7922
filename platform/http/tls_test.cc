// TLS of the server: versions, names, reloads, tickets, clients' certificates, and HTTP over it.
#include <gmock/gmock.h>

#include "platform/http/h2_test_server.h"
#include "platform/http/tls_client.h"

namespace starling::http {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using Clients = TlsOptions::Clients;

class TlsTest : public H2TestServer {
 protected:
  uint16_t StartTls(TlsOptions options, ServerOptions server_options = {}) {
    StatusOr<std::shared_ptr<Tls>> tls = Tls::Load(std::move(options));
    EXPECT_TRUE(tls.ok()) << tls.status();
    tls_ = *tls;
    server_options.tls = tls_;
    return Start(std::move(server_options));
  }
  uint16_t StartTls() { return StartTls({.certificates = {folder_.Write("shop", shop_)}}); }
  std::string NameAt(uint16_t port, const std::string& name) {
    return TlsClient(port, {.name = name}).ServerName();
  }

  const CertificateFolder folder_;
  const TestCertificate root_{"root", ""};
  const TestCertificate shop_{"shop", "DNS:shop.example", &root_};
  const TestCertificate wildcard_{"wildcard", "DNS:*.shop.example,DNS:Other.Example", &root_};
  std::shared_ptr<Tls> tls_;
};

TEST_F(TlsTest, CarriesHttp1) {
  const uint16_t port = StartTls();
  TlsClient client(port, {});
  ASSERT_TRUE(client.connected()) << client.reason();
  EXPECT_EQ(client.protocol(), "http/1.1");
  EXPECT_EQ(client.version(), "TLSv1.3");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(BodyOf(client.Ask("/hello", "hello")), "hello");
  // Larger than what is sealed together, and more than the kernel takes at once.
  EXPECT_EQ(BodyOf(client.Ask("/bytes/3000000", std::string(3'000'000, 'x'))).size(), 3'000'000u);
  client.Send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(BodyOf(client.ReadUntil("never")), "hello");
  EXPECT_TRUE(client.clean_end());
  EXPECT_EQ(server_->Stats().tls_handshakes, 1u);
}

TEST_F(TlsTest, CarriesHttp1ForWhoKnowsNoAlpn) {
  TlsClient client(StartTls(), {.protocols = ""});
  EXPECT_EQ(client.protocol(), "");
  EXPECT_EQ(BodyOf(client.Ask("/hello", "hello")), "hello");
}

TEST_F(TlsTest, TakesManyPipelinedRequestsAndABodyInOneRecord) {
  TlsClient client(StartTls(), {});
  std::string requests;
  for (int i = 0; i < 100; ++i)
    requests += fmt::format("GET /echo/{} HTTP/1.1\r\nHost: x\r\n\r\n", i);
  requests += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nlast";
  client.Send(requests);
  const std::string answers = client.ReadUntil("last");
  for (int i = 0; i < 100; ++i) EXPECT_THAT(answers, HasSubstr(fmt::format("/echo/{} ", i)));
}

TEST_F(TlsTest, TakesManySmallRecordsOfHttp2ThatComeTogether) {
  TlsClient client(StartTls(), {.protocols = "\x02h2"});
  const int on = 1;
  ::setsockopt(client.socket().descriptor(), IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
  client.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  client.Send(std::string("\0\0\0\4\0\0\0\0\0", 9));  // SETTINGS
  // GET /bytes/7 of each stream, a record each: literal fields of HPACK.
  for (char stream = 1; stream < 60; stream += 2) {
    const std::string block = std::string("\x82\x87\x01\x01x\x04\x08/bytes/7", 15);
    client.Send(std::string("\0\0\x0f\1\5\0\0\0", 8) + stream + block);
  }
  const int off = 0;
  ::setsockopt(client.socket().descriptor(), IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
  const std::string last = std::string("\0\0\7\0\1\0\0\0\x3b", 9) + "xxxxxxx";
  EXPECT_THAT(client.ReadUntil(last), HasSubstr(last));
}

TEST_F(TlsTest, PrefersHttp2AndRefusesWhatItDoesNotSpeak) {
  const uint16_t port = StartTls();
  EXPECT_EQ(TlsClient(port, {.protocols = "\x08http/1.1\x02h2"}).protocol(), "h2");
  TlsClient other(port, {.protocols = "\x06spdy/9"});
  EXPECT_FALSE(other.connected());
  EXPECT_EQ(other.reason(), "tlsv1 alert no application protocol");
  EXPECT_TRUE(Becomes([](const ServerStats& stats) { return stats.tls_failures == 1; }));
}

TEST_F(TlsTest, SpeaksModernVersionsAndCiphersOnly) {
  const uint16_t port = StartTls();
  EXPECT_EQ(TlsClient(port, {.max_version = TLS1_2_VERSION}).version(), "TLSv1.2");
  TlsClient old(port, {.min_version = TLS1_1_VERSION, .max_version = TLS1_1_VERSION});
  EXPECT_FALSE(old.connected());
  for (const char* ciphers :
       {"ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA384"}) {
    TlsClient weak(port, {.max_version = TLS1_2_VERSION, .ciphers = ciphers});
    EXPECT_FALSE(weak.connected()) << ciphers;
  }
  TlsClient good(port, {.max_version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"});
  EXPECT_TRUE(good.connected());
}

TEST_F(TlsTest, SpeaksNothingBelowItsMinimum) {
  const uint16_t port = StartTls(
      {.certificates = {folder_.Write("shop", shop_)}, .min_version = TlsOptions::Version::k1_3});
  EXPECT_FALSE(TlsClient(port, {.max_version = TLS1_2_VERSION}).connected());
  EXPECT_TRUE(TlsClient(port, {}).connected());
}

TEST_F(TlsTest, ShowsTheCertificateOfTheNameThatIsAskedFor) {
  const TestCertificate fallback("fallback", "", &root_);
  const uint16_t port =
      StartTls({.certificates = {folder_.Write("fallback", fallback), folder_.Write("shop", shop_),
                                 folder_.Write("wildcard", wildcard_)}});
  const std::pair<const char*, const char*> cases[] = {
      {"", "fallback"},
      {"unknown.example", "fallback"},
      {"fallback", "fallback"},
      {"shop.example", "shop"},
      {"SHOP.Example", "shop"},
      {"a.shop.example", "wildcard"},
      {"other.example", "wildcard"},
      {"a.b.shop.example", "fallback"},
      {"example", "fallback"},
  };
  for (const auto& [name, certificate] : cases) EXPECT_EQ(NameAt(port, name), certificate) << name;
}

TEST_F(TlsTest, TakesNewCertificatesWithoutDroppingAConnection) {
  const uint16_t port = StartTls();
  TlsClient before(port, {});
  const TestCertificate renewed("renewed", "DNS:shop.example", &root_);
  StatusOr<bool> taken = tls_->ReloadIfChanged();
  EXPECT_TRUE(taken.ok() && !*taken);
  folder_.Write("shop", renewed);
  taken = tls_->ReloadIfChanged();
  EXPECT_TRUE(taken.ok() && *taken) << taken.status();
  EXPECT_EQ(NameAt(port, "shop.example"), "renewed");
  EXPECT_EQ(BodyOf(before.Ask("/hello", "hello")), "hello");
  // On demand, and with other files.
  const Status other = tls_->Reload({.certificates = {folder_.Write("wildcard", wildcard_)}});
  EXPECT_TRUE(other.ok()) << other;
  EXPECT_EQ(NameAt(port, ""), "wildcard");
  EXPECT_TRUE(tls_->Reload().ok());
}

TEST_F(TlsTest, KeepsWhatItHasWhenTheNewIsBroken) {
  const uint16_t port = StartTls();
  const std::string good_certificate = shop_.CertificatePem();
  const std::string good_key = shop_.KeyPem();
  struct Case {
    const char* file;
    std::string text;
    const char* told;
  };
  const Case cases[] = {
      {"shop.pem", "", "has no certificate in PEM"},
      {"shop.pem", good_certificate.substr(0, good_certificate.size() / 2), "certificate"},
      {"shop.key", "nonsense", "has no private key in PEM without a passphrase"},
      {"shop.key", wildcard_.KeyPem(), "is not that of the certificate"},
  };
  for (const Case& broken : cases) {
    const std::string path = folder_.Write(broken.file, broken.text);
    const StatusOr<bool> taken = tls_->ReloadIfChanged();
    EXPECT_EQ(taken.status().code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(taken.status().message()), HasSubstr(broken.told));
    EXPECT_THAT(std::string(taken.status().message()), HasSubstr(path));
    EXPECT_EQ(NameAt(port, ""), "shop");
    // It is not told again and again.
    const StatusOr<bool> again = tls_->ReloadIfChanged();
    EXPECT_TRUE(again.ok() && !*again) << again.status();
    folder_.Write("shop.pem", good_certificate);
    folder_.Write("shop.key", good_key);
    EXPECT_TRUE(tls_->Reload().ok());
  }
  std::filesystem::remove(folder_.Path("shop.key"));
  const StatusOr<bool> gone = tls_->ReloadIfChanged();
  EXPECT_THAT(std::string(gone.status().message()), HasSubstr("cannot read"));
  EXPECT_EQ(NameAt(port, ""), "shop");
}

TEST_F(TlsTest, DoesNotStartWithoutCertificates) {
  EXPECT_THAT(std::string(Tls::Load({}).status().message()), HasSubstr("at least one certificate"));
  const StatusOr<std::shared_ptr<Tls>> absent =
      Tls::Load({.certificates = {{folder_.Path("a.pem"), folder_.Path("a.key")}}});
  EXPECT_THAT(std::string(absent.status().message()), HasSubstr("a.pem"));
}

TEST_F(TlsTest, ResumesByTicketsAlsoAfterAReload) {
  const uint16_t port = StartTls();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient first(port, {.min_version = version, .max_version = version});
    first.Ask("/hello", "hello");  // TLS 1.3 gives tickets after the handshake
    EXPECT_FALSE(first.resumed());
    ASSERT_TRUE(tls_->Reload().ok());
    TlsClient second(port,
                     {.min_version = version, .max_version = version, .session = first.session()});
    EXPECT_EQ(BodyOf(second.Ask("/hello", "hello")), "hello");
    EXPECT_TRUE(second.resumed());
  }
  EXPECT_EQ(server_->Stats().tls_resumed, 2u);
  EXPECT_EQ(server_->Stats().tls_handshakes, 4u);
}

TEST_F(TlsTest, TellsWhoTheClientIsByItsCertificate) {
  const std::string ca = folder_.Write("ca.pem", root_.CertificatePem());
  const uint16_t port = StartTls({.certificates = {folder_.Write("shop", shop_)},
                                  .client_ca_file = ca,
                                  .clients = Clients::kMayShowCertificate});
  const TestCertificate device("device-7", "URI:spiffe://shop/device/7,DNS:device.example", &root_);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const TlsClient::Options options{.certificate = &device, .max_version = version};
    TlsClient client(port, options);
    const std::string answer = client.Ask("/echo/x", "Host: x");
    EXPECT_THAT(answer, HasSubstr("Client-Subject: CN=device-7\r\n"));
    EXPECT_THAT(answer, HasSubstr("Client-Issuer: CN=root\r\n"));
    EXPECT_THAT(answer, HasSubstr("Client-Name: URI:spiffe://shop/device/7\r\n"));
    EXPECT_THAT(answer, HasSubstr("Client-Name: DNS:device.example\r\n"));
    // A resumed session is still that client's.
    TlsClient::Options again = options;
    again.certificate = nullptr;
    again.session = client.session();
    TlsClient resumed(port, again);
    EXPECT_THAT(resumed.Ask("/echo/x", "Host: x"), HasSubstr("Client-Subject: CN=device-7\r\n"));
    EXPECT_TRUE(resumed.resumed());

    TlsClient anonymous(port, {.max_version = version});
    EXPECT_THAT(anonymous.Ask("/echo/x", "Host: x"), testing::Not(HasSubstr("Client-")));
    const TestCertificate stranger("device-7", "");
    TlsClient refused(port, {.certificate = &stranger, .max_version = version});
    EXPECT_THAT(refused.Ask("/echo/x", "Host: x"), IsEmpty());
  }
}

TEST_F(TlsTest, AsksForACertificateWhereItMustBeShown) {
  const std::string ca = folder_.Write("ca.pem", root_.CertificatePem());
  const uint16_t port = StartTls({.certificates = {folder_.Write("shop", shop_)},
                                  .client_ca_file = ca,
                                  .clients = Clients::kMustShowCertificate});
  const TestCertificate device("device-7", "", &root_);
  EXPECT_THAT(TlsClient(port, {}).Ask("/hello", "hello"), IsEmpty());
  TlsClient known(port, {.certificate = &device});
  EXPECT_EQ(BodyOf(known.Ask("/hello", "hello")), "hello");
  // Under other roots its session is worth nothing.
  folder_.Write("ca.pem", TestCertificate("other", "").CertificatePem());
  ASSERT_TRUE(tls_->Reload().ok());
  TlsClient resumes(port, {.session = known.session()});
  EXPECT_THAT(resumes.Ask("/hello", "hello"), IsEmpty());
}

TEST_F(TlsTest, DoesNotWaitForEverForAHandshake) {
  const uint16_t port = StartTls({.certificates = {folder_.Write("shop", shop_)}},
                                 {.header_timeout = std::chrono::milliseconds(30)});
  RawSocket silent(port);
  RawSocket slow(port);
  slow.Send("\x16\x03\x01");
  EXPECT_EQ(silent.ReadToEnd(), "");
  EXPECT_EQ(slow.ReadToEnd(), "");
  EXPECT_TRUE(Becomes([](const ServerStats& stats) {
    return stats.timeouts == 2 && stats.active_connections == 0;
  }));
}

TEST_F(TlsTest, RefusesWhoSpeaksPlainly) {
  const uint16_t port = StartTls();
  for (const char* text : {"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
                           "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "nonsense of some length"}) {
    RawSocket plain(port);
    plain.Send(text);
    EXPECT_THAT(plain.ReadToEnd(), testing::Not(HasSubstr("hello")));
  }
  EXPECT_TRUE(Becomes([](const ServerStats& stats) {
    return stats.tls_failures == 3 && stats.active_connections == 0;
  }));
  EXPECT_EQ(server_->Stats().requests, 0u);
}

TEST_F(TlsTest, SeesAClientThatLeavesWhileAHandlerRuns) {
  TlsClient client(StartTls(), {});
  client.Send("GET /watches HTTP/1.1\r\nHost: x\r\n\r\n");
  Await(running_);
  client.socket().Close();
  Await(ended_);
}

TEST_F(TlsTest, IsCutAtAnyPoint) {
  const uint16_t port = StartTls();
  RawSocket silent(port);
  TlsClient idle(port, {});
  idle.Ask("/hello", "hello");
  TlsClient busy(port, {});
  busy.Send("GET /watches HTTP/1.1\r\nHost: x\r\n\r\n");
  Await(running_);
  EXPECT_EQ(runtime_->Block(server_->Drain(std::chrono::milliseconds(1))), 1u);
  Await(ended_);
  EXPECT_EQ(silent.ReadToEnd(), "");
  EXPECT_EQ(idle.ReadUntil("never"), "");
}

}  // namespace
}  // namespace starling::http

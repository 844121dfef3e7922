// What a server needs to speak TLS: certificates, whose clients it believes, tickets.
//
//   STARLING_ASSIGN_OR_RETURN(
//       std::shared_ptr<Tls> tls,
//       Tls::Load({.certificates = {{"shop.pem", "shop.key"}, {"api.pem", "api.key"}}}));
//   Server server(runtime, {.port = 8443, .tls = tls}, router);
//   ...
//   const StatusOr<bool> taken = tls->ReloadIfChanged();   // say every few seconds
//
// TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only; ALPN gives h2 or
// http/1.1. A client gets the certificate that has the name it asks for (SNI), exact before
// "*.name"; without a name, or with one that none has, the first. Sessions are resumed by tickets
// in both versions, also over a reload; the tickets' key is made anew each 12 hours and the one
// before still opens what it has sealed. Neither renegotiation, compression nor early data.
//
// Reload reads and checks everything before one swap: connections keep what they have begun with,
// and when a file is broken all stays as it was. Thread-safe. Load and the reloads read files and
// parse (about a millisecond): not for an io thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "platform/base/clock.h"
#include "platform/base/snapshot.h"
#include "platform/base/status.h"

namespace starling::http {

struct TlsOptions {
  struct Certificate {
    std::string certificate_file;  // PEM: the server's own, then those between it and a root
    std::string key_file;          // PEM, without a passphrase
    bool operator==(const Certificate&) const = default;
  };
  enum class Version : uint8_t { k1_2, k1_3 };
  // Whether clients show a certificate, which one of client_ca_file must have signed.
  enum class Clients : uint8_t { kAnyone, kMayShowCertificate, kMustShowCertificate };

  std::vector<Certificate> certificates;  // at least one
  std::string client_ca_file;             // PEM; needed unless clients is kAnyone
  Clients clients = Clients::kAnyone;
  Version min_version = Version::k1_2;
  bool operator==(const TlsOptions&) const = default;
};

// A certificate as it is shown now.
struct TlsCertificate {
  std::string file;
  std::vector<std::string> names;  // its DNS names; its common name when it has none
  std::string issuer;              // RFC 2253: "CN=Shop CA,O=Shop"
  TimePoint not_after{};
};

class TlsSession;

class Tls {
 public:
  struct Contexts;  // opaque

  // INVALID_ARGUMENT naming the file and what is wrong with it.
  static StatusOr<std::shared_ptr<Tls>> Load(TlsOptions options);
  ~Tls();

  Status Reload();
  // Other certificates from now on.
  Status Reload(TlsOptions options);
  // Reload when a file has changed since it was last read, whether that went well or not. True:
  // there are new certificates.
  StatusOr<bool> ReloadIfChanged();

  // In the order of the options.
  std::vector<TlsCertificate> Certificates() const;

  // For the server: one connection's TLS.
  std::unique_ptr<TlsSession> NewSession(int descriptor) const;

 private:
  class Tickets;
  explicit Tls(TlsOptions options);
  Status Take(TlsOptions options, const std::vector<std::string>& texts);

  const std::shared_ptr<Tickets> tickets_;
  mutable std::mutex mutex_;  // of reloads
  TlsOptions options_;
  std::vector<std::string> texts_;  // of the files as they were last read
  Snapshot<Contexts> contexts_;
};

}  // namespace starling::http

// The section "gateway.tls" of the configuration.
#pragma once

#include <string>
#include <vector>

#include "platform/config/fields.h"
#include "platform/http/tls.h"

namespace starling::host {

struct TlsCertificateConfig {
  std::string certificate;
  std::string key;
  bool operator==(const TlsCertificateConfig&) const = default;
  static void Describe(config::Fields<TlsCertificateConfig>& fields) {
    fields.Add("certificate", &TlsCertificateConfig::certificate,
               "a PEM file: the certificate, then those between it and a root");
    fields.Add("key", &TlsCertificateConfig::key, "a PEM file: its key, without a passphrase");
  }
};

struct TlsConfig {
  enum class Clients { kOptional, kRequired };
  std::vector<TlsCertificateConfig> certificates;
  std::string client_ca;
  Clients clients = Clients::kOptional;
  http::TlsOptions::Version min_version = http::TlsOptions::Version::k1_2;
  std::string address;
  int port = 8443;
  static void Describe(config::Fields<TlsConfig>& fields) {
    fields.Add("certificates", &TlsConfig::certificates,
               "what the public API shows over TLS, chosen by the name that a client asks for, the "
               "first for others; files are read again when they change; empty: it is not served "
               "over TLS, and the first one needs a restart");
    fields.Add("client_ca", &TlsConfig::client_ca,
               "a PEM file of those who sign clients' certificates; empty: clients show none");
    fields.AddEnum("clients", &TlsConfig::clients,
                   {{"optional", Clients::kOptional}, {"required", Clients::kRequired}},
                   "whether a client must show a certificate, where client_ca is set");
    fields.AddEnum(
        "min_version", &TlsConfig::min_version,
        {{"1.2", http::TlsOptions::Version::k1_2}, {"1.3", http::TlsOptions::Version::k1_3}},
        "the oldest version of TLS that is spoken");
    fields
        .Add("address", &TlsConfig::address,
             "the address that the public API listens on over TLS; empty: http.address")
        .NeedsRestart();
    fields
        .Add("port", &TlsConfig::port,
             "TCP port of the public API over TLS, beside http.port; 0: any free one")
        .Range(0, 65535)
        .NeedsRestart();
  }
  http::TlsOptions Options() const {
    http::TlsOptions options{.client_ca_file = client_ca, .min_version = min_version};
    for (const TlsCertificateConfig& pair : certificates)
      options.certificates.push_back({pair.certificate, pair.key});
    if (!client_ca.empty()) {
      options.clients = clients == Clients::kRequired
                            ? http::TlsOptions::Clients::kMustShowCertificate
                            : http::TlsOptions::Clients::kMayShowCertificate;
    }
    return options;
  }
};

}  // namespace starling::host

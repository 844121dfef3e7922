// Who a client is by its certificate: the first rule of the configuration that fits.
//
//   CertificateRules rules({{.san = "URI:spiffe://shop.example/till/*", .name = "till-{1}",
//                            .scopes = {"catalog.read"}}});
//   auto caller = rules.Find(*request.client_certificate);   // "key:certificate:till-7", or
//   nullptr
//
// A service becomes an identity of kind kKey: it may what its scopes say, and never passes for one
// of our own processes. Only a certificate that TLS has verified against gateway.tls.client_ca
// comes here; no header field does. A subject is compared in the form of RFC 2253, in which what a
// name contains of ',' and '+' is escaped, and '*' matches no escape. Pure; thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "platform/http/message.h"
#include "platform/identity/security_config.h"
#include "platform/security/identity.h"

namespace starling::identity {

class CertificateRules {
 public:
  explicit CertificateRules(std::vector<CertificateRuleConfig> rules) : rules_(std::move(rules)) {}
  // nullptr when no rule fits.
  std::shared_ptr<const security::Identity> Find(const http::ClientCertificate& certificate) const;

 private:
  const std::vector<CertificateRuleConfig> rules_;
};

// What the first '*' stands for ("" without one), or nullopt: `text` is not of this pattern. A '*'
// matches one or more characters, none of them in `not_of`.
std::optional<std::string> MatchPattern(std::string_view pattern, std::string_view text,
                                        std::string_view not_of);

}  // namespace starling::identity

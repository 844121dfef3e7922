// The section "security" of the configuration: who is believed beside our own keys and sessions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "platform/config/fields.h"
#include "platform/http/url.h"
#include "platform/security/jwt.h"
#include "platform/security/scope.h"

namespace starling::identity {

inline std::string NoUrl(const std::string& text) {
  return text.empty() || http::ParseHttpUrl(text).ok() ? "" : "an http or https URL";
}

struct JwtIssuerConfig {
  std::string issuer;
  std::string audience;
  std::string jwks_url;
  std::string discovery;
  std::vector<std::string> algorithms{"RS256", "ES256", "EdDSA"};
  std::string user_claim = "sub";
  std::string user_prefix;
  std::string scope_claim;
  std::map<std::string, std::string> scopes;
  Duration refetch_interval = std::chrono::seconds(30);
  Duration keys_max_age = std::chrono::hours(24);
  static void Describe(config::Fields<JwtIssuerConfig>& fields) {
    fields.Add("issuer", &JwtIssuerConfig::issuer, "the `iss` of its tokens, exactly").NotEmpty();
    fields.Add("audience", &JwtIssuerConfig::audience, "the `aud` that a token must be for")
        .NotEmpty();
    fields
        .Add("jwks_url", &JwtIssuerConfig::jwks_url, "where its keys are: https://id.example/keys")
        .Check(NoUrl);
    fields
        .Add("discovery", &JwtIssuerConfig::discovery,
             "instead: where it says so, most often "
             "https://id.example/.well-known/openid-configuration")
        .Check(NoUrl);
    fields
        .Add("algorithms", &JwtIssuerConfig::algorithms,
             "that it signs with: of RS256, ES256, EdDSA")
        .Check([](const std::vector<std::string>& names) -> std::string {
          for (const std::string& name : names) {
            if (name != "RS256" && name != "ES256" && name != "EdDSA")
              return "names out of RS256, ES256, EdDSA";
          }
          return names.empty() ? "at least one of RS256, ES256, EdDSA" : "";
        });
    fields.Add("user_claim", &JwtIssuerConfig::user_claim, "the claim with the user's id")
        .NotEmpty();
    fields.Add("user_prefix", &JwtIssuerConfig::user_prefix,
               "put before that id: keeps the users of several issuers apart");
    fields.Add("scope_claim", &JwtIssuerConfig::scope_claim,
               "the claim with what the user may do; empty: scope or scopes");
    fields
        .Add("scopes", &JwtIssuerConfig::scopes,
             "what these mean here, others then count for nothing: {'read:items': catalog.read}")
        .Check([](const std::map<std::string, std::string>& scopes) -> std::string {
          for (const auto& [theirs, ours] : scopes) {
            if (!security::CheckScopeName(ours).ok())
              return "scopes such as catalog.read, which '" + ours + "' is not";
          }
          return "";
        });
    fields
        .Add("refetch_interval", &JwtIssuerConfig::refetch_interval,
             "how often, at most, tokens with an unknown key have its keys fetched")
        .AtLeast(std::chrono::seconds(1));
    fields
        .Add("keys_max_age", &JwtIssuerConfig::keys_max_age,
             "how long keys are trusted while the issuer does not answer; then 503")
        .AtLeast(std::chrono::minutes(1));
    fields.Check([](const JwtIssuerConfig& config) -> std::string {
      return config.jwks_url.empty() == config.discovery.empty()
                 ? "say where the keys are, by either jwks_url or discovery"
                 : "";
    });
  }
};

struct JwtIssuersConfig {
  std::vector<JwtIssuerConfig> issuers;
  static void Describe(config::Fields<JwtIssuersConfig>& fields) {
    fields
        .Add("issuers", &JwtIssuersConfig::issuers,
             "whose tokens are taken, with keys that are fetched from them")
        .NeedsRestart();
  }
};

struct CertificateRuleConfig {
  enum class Kind { kService, kUser };
  std::string subject;
  std::string san;
  Kind identity = Kind::kService;
  std::string name;
  std::vector<std::string> scopes;
  static void Describe(config::Fields<CertificateRuleConfig>& fields) {
    fields.Add("subject", &CertificateRuleConfig::subject,
               "certificates of this subject: CN=till-*,O=Shop; * is one or more characters, but "
               "for ',' '+' and '\\'");
    fields.Add("san", &CertificateRuleConfig::san,
               "instead: those with this other name: URI:spiffe://shop.example/ns/*/till, "
               "DNS:*.tills.example; * is one or more characters, but for '/' in an URI and '.' in "
               "DNS");
    fields.AddEnum("identity", &CertificateRuleConfig::identity,
                   {{"service", Kind::kService}, {"user", Kind::kUser}},
                   "what they are: a service (a program with these scopes) or a user");
    fields.Add("name", &CertificateRuleConfig::name,
               "their name, with {1} for what the first * stands for; empty: the name that fits");
    fields.Add("scopes", &CertificateRuleConfig::scopes, "what they may: [catalog.read]")
        .Check([](const std::vector<std::string>& scopes) -> std::string {
          return security::ScopeSet::Parse(scopes).ok() ? "" : "scopes such as catalog.read";
        });
    fields.Check([](const CertificateRuleConfig& config) -> std::string {
      if (config.subject.empty() == config.san.empty()) return "say either subject or san";
      if (!config.san.empty() && !config.san.starts_with("URI:") &&
          !config.san.starts_with("DNS:") && !config.san.starts_with("email:"))
        return "san begins with URI:, DNS: or email:";
      return "";
    });
  }
};

struct OidcConfig {
  std::string issuer;
  std::string discovery;
  std::string client_id;
  config::Secret client_secret;
  std::string public_url;
  std::string redirect_path = "/auth/callback";
  std::vector<std::string> scopes{"openid"};
  std::string post_login = "/";
  Duration clock_skew = std::chrono::seconds(30);
  static void Describe(config::Fields<OidcConfig>& fields) {
    fields
        .Add("issuer", &OidcConfig::issuer,
             "the OpenID provider at which people sign in; empty: they cannot")
        .Check(NoUrl)
        .NeedsRestart();
    fields
        .Add("discovery", &OidcConfig::discovery,
             "where it says what it has; empty: issuer/.well-known/openid-configuration")
        .Check(NoUrl)
        .NeedsRestart();
    fields.Add("client_id", &OidcConfig::client_id, "who we are to it").NeedsRestart();
    fields.Add("client_secret", &OidcConfig::client_secret, "what proves it").NeedsRestart();
    fields
        .Add("public_url", &OidcConfig::public_url,
             "where browsers find us: https://shop.example; cookies are for TLS alone when it is "
             "https")
        .Check(NoUrl)
        .NeedsRestart();
    const auto local_path = [](const std::string& path) -> std::string {
      return path.starts_with('/') && !path.starts_with("//") &&
                     path.find_first_of("\\?#{}* ") == std::string::npos
                 ? ""
                 : "a path such as /auth/callback";
    };
    fields
        .Add("redirect_path", &OidcConfig::redirect_path,
             "where the provider sends people back to; public_url before it is what it must know")
        .Check(local_path)
        .NeedsRestart();
    fields.Add("scopes", &OidcConfig::scopes, "what is asked for; openid is among it")
        .NeedsRestart();
    fields
        .Add("post_login", &OidcConfig::post_login,
             "where people go who have signed in, unless return_to says it")
        .Check(local_path)
        .NeedsRestart();
    fields
        .Add("clock_skew", &OidcConfig::clock_skew, "how far the provider's clock may be from ours")
        .NeedsRestart();
    fields.Check([](const OidcConfig& config) -> std::string {
      if (config.issuer.empty()) return "";
      if (config.client_id.empty() || config.client_secret.empty())
        return "say who we are to the issuer, by client_id and client_secret";
      const auto url = http::ParseHttpUrl(config.public_url);
      if (!url.ok() || url->target != "/" || config.public_url.ends_with('/'))
        return "public_url is a URL without a path: https://shop.example";
      return "";
    });
  }
};

struct SecurityConfig {
  std::string ca_file;
  JwtIssuersConfig jwt;
  std::vector<CertificateRuleConfig> client_certificates;
  OidcConfig oidc;
  static void Describe(config::Fields<SecurityConfig>& fields) {
    fields
        .Add("ca_file", &SecurityConfig::ca_file,
             "a PEM file of those by whom issuers and providers are believed; empty: the system's")
        .NeedsRestart();
    fields.Add("jwt", &SecurityConfig::jwt, "tokens of others, with keys fetched from them");
    fields.Add("client_certificates", &SecurityConfig::client_certificates,
               "who callers are by the certificate that one of gateway.tls.client_ca has signed; "
               "the first rule that fits counts");
    fields.Add("oidc", &SecurityConfig::oidc, "signing in at an OpenID provider, in a browser");
  }
};

}  // namespace starling::identity

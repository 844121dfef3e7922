#include "platform/identity/certificate_rules.h"

namespace starling::identity {
namespace {

bool Matches(std::string_view pattern, std::string_view text, std::string_view not_of,
             std::optional<std::string>& first) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (text.substr(0, star) != pattern.substr(0, star) || text.size() <= star) return false;
  text.remove_prefix(star);
  for (size_t size = 1; size <= text.size(); ++size) {
    if (not_of.find(text[size - 1]) != std::string_view::npos) return false;
    std::optional<std::string> later;
    if (Matches(pattern.substr(star + 1), text.substr(size), not_of, later)) {
      first = std::string(text.substr(0, size));
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<std::string> MatchPattern(std::string_view pattern, std::string_view text,
                                        std::string_view not_of) {
  // Names are short; what would take long to compare fits nothing.
  constexpr size_t kMaxText = 512;
  std::optional<std::string> first;
  if (text.size() > kMaxText || !Matches(pattern, text, not_of, first)) return std::nullopt;
  return first.value_or("");
}

std::shared_ptr<const security::Identity> CertificateRules::Find(
    const http::ClientCertificate& certificate) const {
  for (const CertificateRuleConfig& rule : rules_) {
    std::optional<std::string> star;
    std::string name;
    if (!rule.subject.empty()) {
      star = MatchPattern(rule.subject, certificate.subject, ",+\\");
      name = certificate.subject;
    } else {
      for (const std::string& other : certificate.alternative_names) {
        star = MatchPattern(rule.san, other, rule.san.starts_with("DNS:") ? "." : "/");
        name = other.substr(other.find(':') + 1);
        if (star) break;
      }
    }
    if (!star) continue;
    if (!rule.name.empty()) {
      name = rule.name;
      if (const size_t at = name.find("{1}"); at != std::string::npos) name.replace(at, 3, *star);
    }
    security::Identity identity;
    const bool is_user = rule.identity == CertificateRuleConfig::Kind::kUser;
    identity.kind = is_user ? security::Identity::kUser : security::Identity::kKey;
    identity.subject = is_user ? name : "certificate:" + name;
    // The configuration was checked: what does not parse gives nothing.
    identity.scopes = security::ScopeSet::Parse(rule.scopes).value_or(security::ScopeSet());
    return std::make_shared<const security::Identity>(std::move(identity));
  }
  return nullptr;
}

}  // namespace starling::identity

#include "platform/security/scope.h"

#include <algorithm>

namespace starling::security {
namespace {

constexpr std::string_view kAdmin = "admin";

bool IsWord(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// As a set keeps it: the wildcard "catalog.*" is "catalog.", a prefix.
bool Covers(std::string_view held, std::string_view scope) {
  return held.back() == '.' ? scope.starts_with(held) : scope == held;
}

}  // namespace

Status CheckScopeName(std::string_view scope) {
  if (scope == kAdmin) return OkStatus();
  const size_t dot = scope.find('.');
  if (scope.size() > ScopeSet::kMaxScopeLength || dot == std::string_view::npos ||
      !IsWord(scope.substr(0, dot)) ||
      (scope.substr(dot + 1) != "*" && !IsWord(scope.substr(dot + 1)))) {
    return InvalidField(
        "scopes", "'{}' is no scope; expected area.action such as catalog.read, area.* or admin",
        scope.substr(0, ScopeSet::kMaxScopeLength));
  }
  return OkStatus();
}

ScopeSet ScopeSet::Admin() {
  ScopeSet set;
  set.admin_ = true;
  return set;
}

StatusOr<ScopeSet> ScopeSet::Parse(const std::vector<std::string>& scopes) {
  ScopeSet set;
  for (const std::string& scope : scopes) {
    STARLING_RETURN_IF_ERROR(CheckScopeName(scope));
    if (scope == kAdmin) return Admin();
    set.scopes_.push_back(scope.ends_with('*') ? scope.substr(0, scope.size() - 1) : scope);
  }
  std::sort(set.scopes_.begin(), set.scopes_.end());
  // A wildcard sorts directly before what it covers, so each scope need only look at the one kept
  // before it.
  std::vector<std::string> kept;
  for (std::string& scope : set.scopes_) {
    if (kept.empty() || !Covers(kept.back(), scope)) kept.push_back(std::move(scope));
  }
  if (kept.size() > kMaxScopes) {
    return InvalidField("scopes", "{} scopes are above the limit of {}; use area.*", kept.size(),
                        kMaxScopes);
  }
  set.scopes_ = std::move(kept);
  return set;
}

StatusOr<ScopeSet> ScopeSet::ParseText(std::string_view text) {
  std::vector<std::string> scopes;
  while (true) {
    const size_t start = text.find_first_not_of(" ,");
    if (start == std::string_view::npos) break;
    text.remove_prefix(start);
    const size_t end = std::min(text.find_first_of(" ,"), text.size());
    scopes.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return Parse(scopes);
}

bool ScopeSet::Holds(std::string_view scope) const {
  if (admin_) return true;
  for (const std::string& held : scopes_) {
    if (Covers(held, scope)) return true;
  }
  return false;
}

bool ScopeSet::HoldsAll(const ScopeSet& other) const {
  if (admin_) return true;
  // A prefix "catalog." is covered by itself alone: equal texts.
  return !other.admin_ && std::all_of(other.scopes_.begin(), other.scopes_.end(),
                                      [this](const std::string& scope) { return Holds(scope); });
}

std::vector<std::string> ScopeSet::ToVector() const {
  if (admin_) return {std::string(kAdmin)};
  std::vector<std::string> scopes = scopes_;
  for (std::string& scope : scopes) {
    if (scope.back() == '.') scope += '*';
  }
  return scopes;
}

std::string ScopeSet::ToText() const {
  std::string text;
  for (const std::string& scope : ToVector()) {
    if (!text.empty()) text += ' ';
    text += scope;
  }
  return text;
}

}  // namespace starling::security

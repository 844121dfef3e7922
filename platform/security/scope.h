// Scopes: what a key or a user may do, as names that contracts ask for.
//
//   StatusOr<ScopeSet> scopes = ScopeSet::Parse({"catalog.*", "events.write"});
//   scopes->Holds("catalog.write");   // true
//   scopes->Holds("users.read");      // false
//   ScopeSet::Admin().Holds("anything.at_all");   // true
//
// A scope is `area.action`, both of [a-z0-9_]: "catalog.read". `area.*` holds every action of an
// area, `admin` holds everything. Sets are small (at most 64 scopes) and immutable once made; a
// test costs about 5 ns a scope held and allocates nothing. Thread-safe for reading.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "platform/base/status.h"

namespace starling::security {

class ScopeSet {
 public:
  static constexpr size_t kMaxScopes = 64;
  static constexpr size_t kMaxScopeLength = 64;

  ScopeSet() = default;  // holds nothing
  static ScopeSet Admin();
  // INVALID_ARGUMENT names the scope that is malformed. Duplicates and what a wildcard or `admin`
  // covers are dropped.
  static StatusOr<ScopeSet> Parse(const std::vector<std::string>& scopes);
  // The same from one text, separated by spaces or commas, as OAuth 2 (RFC 6749, 3.3) and command
  // lines write it.
  static StatusOr<ScopeSet> ParseText(std::string_view text);

  // Whether a caller with this set may do what asks for `scope`. A set is never asked for a
  // wildcard.
  bool Holds(std::string_view scope) const;
  // Whether this set holds all that `other` holds: nobody may hand out more than they have.
  bool HoldsAll(const ScopeSet& other) const;
  bool IsAdmin() const { return admin_; }
  bool empty() const { return !admin_ && scopes_.empty(); }

  // Sorted: {"catalog.*", "events.write"}; {"admin"} for the set that holds everything.
  std::vector<std::string> ToVector() const;
  // "catalog.* events.write", which ParseText reads back.
  std::string ToText() const;
  bool operator==(const ScopeSet&) const = default;

 private:
  bool admin_ = false;
  std::vector<std::string> scopes_;  // sorted; a wildcard is kept as "catalog."
};

// OK for "catalog.read", "catalog.*" and "admin".
Status CheckScopeName(std::string_view scope);

}  // namespace starling::security
